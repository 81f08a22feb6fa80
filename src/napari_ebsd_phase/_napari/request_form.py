# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classification is asked with: network, class prior, patterns, device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QWidget,
)
from superqt import QElidingLabel

from .card_dialog import CardDialog
from .cards import read_card, recommended_prior
from .centre_box import CentreBox
from .network_box import NetworkBox
from .notify import guarded
from .prior_chooser import PriorChooser
from .section import form

if TYPE_CHECKING:
    from .session import MapSession

_SPACING = 4

_OWN = "own"

_PRIORS = (
    (
        "known",
        "Known-phase frequencies",
        "Common symmetries are expected more often, as among known structures: the best choice "
        "for an unknown sample",
    ),
    (
        "uniform",
        "All point groups alike",
        "No point group is expected more than another; weak patterns are then named after rare "
        "groups more often",
    ),
    (
        _OWN,
        "Own choice…",
        "Only what you tick may be there: for a sample whose phases are known to be among a few "
        "symmetries",
    ),
)

_DEVICES = (
    ("auto", "Automatic", "The first accelerator that torch finds, else the processor"),
    ("cpu", "Processor (CPU)", "Works everywhere"),
    ("cuda", "NVIDIA or AMD GPU (CUDA)", "Needs a torch that was built for it"),
    ("mps", "Apple GPU (MPS)", "On a Mac with an Apple chip"),
)


class RequestForm(QWidget):
    """Fields of the Classify section; ``changed`` says that any of them is another."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._prior = ""
        self._own = ""
        self._prior_chosen = False
        self.network_box = NetworkBox("Network that names the patterns")
        self.card_button = QPushButton("C&ard…")
        self.card_button.setToolTip(
            "What the network tells apart, what it was trained on, and how good it is"
        )
        self.prior_box = QComboBox()
        self.prior_box.setToolTip("What is expected before a pattern is seen")
        for number, (key, title, tip) in enumerate(_PRIORS):
            self.prior_box.addItem(title, key)
            self.prior_box.setItemData(number, tip, Qt.ItemDataRole.ToolTipRole)
        self.own_label = QElidingLabel()
        self.own_button = QPushButton("Change…")
        self.own_button.setToolTip("Tick what may be in the sample")
        self.extent_box = QComboBox()
        self.extent_box.addItem("Whole map", False)
        self.extent_box.addItem("Selected shape", True)
        self.extent_box.setToolTip(
            "Every pattern, or only those inside the selected shapes of a Shapes layer (all of its "
            "shapes where none is selected)"
        )
        self.centre_box = CentreBox()
        self.device_box = QComboBox()
        self.device_box.setToolTip("Where the network runs")
        for number, (key, title, tip) in enumerate(_DEVICES):
            self.device_box.addItem(title, key)
            self.device_box.setItemData(number, tip, Qt.ItemDataRole.ToolTipRole)
        for box in (self.prior_box, self.extent_box, self.device_box):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(6)
        self._lay_out()
        self._show_prior(self._proposed_prior())
        self.network_box.chosen.connect(self._on_network)
        self.card_button.clicked.connect(self._show_card)
        self.prior_box.activated.connect(self._on_prior)
        self.own_button.clicked.connect(self._choose_own)
        self.extent_box.currentIndexChanged.connect(self.changed)
        self.centre_box.currentTextChanged.connect(lambda _: self.changed.emit())

    @property
    def network(self) -> str:
        """Name of a bundled network, or path of a ``.safetensors`` file."""
        return self.network_box.network

    @property
    def prior(self) -> str:
        """Class prior, for :func:`~.decoding.parse_prior`."""
        return self._prior

    @property
    def device(self) -> str:
        """``auto``, ``cpu``, ``cuda`` or ``mps``."""
        return str(self.device_box.currentData())

    @property
    def projection_centre(self) -> tuple[float, float, float] | str | None:
        """As :func:`~.centring.centred` takes it; an InputError for what is none."""
        return self.centre_box.told

    @property
    def only_shape(self) -> bool:
        """Whether only the selected shape is to be classified."""
        return bool(self.extent_box.currentData())

    def set_device(self, device: str) -> None:
        """Choose a device, as the settings of the plugin do."""
        self.device_box.setCurrentIndex(max(0, self.device_box.findData(device)))

    def set_prior(self, text: str) -> None:
        """Choose a class prior."""
        self._prior_chosen = True
        self._show_prior(text)
        self.changed.emit()

    def show_session(self, session: MapSession | None) -> None:
        """Begin with what a map was made with."""
        if session is not None and session.phase_map is not None:
            self._show_prior(session.prior)

    def _lay_out(self) -> None:
        network = QHBoxLayout()
        network.setSpacing(_SPACING)
        network.addWidget(self.network_box, 1)
        network.addWidget(self.card_button)
        self.own_row = QWidget()
        own = QHBoxLayout(self.own_row)
        own.setContentsMargins(0, 0, 0, 0)
        own.setSpacing(_SPACING)
        own.addWidget(self.own_label, 1)
        own.addWidget(self.own_button)
        fields = form()
        fields.addRow("Network", network)
        fields.addRow("Class prior", self.prior_box)
        fields.addRow("", self.own_row)
        fields.addRow("Patterns", self.extent_box)
        fields.addRow("Proj. centre", self.centre_box)
        fields.addRow("Device", self.device_box)
        self._fields = fields
        self.setLayout(fields)

    def _proposed_prior(self) -> str:
        return recommended_prior(read_card(self.network))

    def _show_prior(self, text: str) -> None:
        self._prior = text
        key = text if text in ("known", "uniform") else _OWN
        if key == _OWN:
            self._own = text
        self.prior_box.setCurrentIndex(self.prior_box.findData(key))
        self.own_label.setText(self._own.replace(",", ", "))
        self.own_label.setToolTip(self._own.replace(",", ", "))
        self._fields.setRowVisible(self.own_row, key == _OWN)

    @guarded
    def _on_network(self, _: str) -> None:
        if not self._prior_chosen:
            self._show_prior(self._proposed_prior())
        self.changed.emit()

    @guarded
    def _show_card(self, *_: object) -> None:
        CardDialog(read_card(self.network), self).open()

    @guarded
    def _on_prior(self, place: int) -> None:
        key = str(self.prior_box.itemData(place))
        if key != _OWN:
            self.set_prior(key)
        elif self._own:
            self.set_prior(self._own)
        else:
            # Until something is ticked, it is as it was.
            self._show_prior(self._prior)
            self._choose_own()

    @guarded
    def _choose_own(self, *_: object) -> None:
        chooser = PriorChooser(self._own, self)
        chooser.accepted_prior.connect(self.set_prior)
        chooser.open()
