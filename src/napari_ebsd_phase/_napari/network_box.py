# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose a network: one that is bundled, or a file."""

from __future__ import annotations

from typing import Final

from napari.utils.history import get_open_history, update_open_history
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QWidget

from .cards import SUFFIX, network_names, read_card
from .notify import guarded

_FILE: Final = "File…"
_SHORTEST: Final = 6


class NetworkBox(QComboBox):
    """Bundled networks, files that were chosen, and a way to choose another one.

    Parameters
    ----------
    tip
        What the network is for.
    parent
        Widget that it belongs to.

    Attributes
    ----------
    chosen
        Emitted with the network when it is another one.
    """

    chosen = Signal(str)

    def __init__(self, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(_SHORTEST)
        for name in network_names():
            self.addItem(name, name)
        self.addItem(_FILE, "")
        self._network = str(self.itemData(0))
        self.activated.connect(self._on_activated)

    @property
    def network(self) -> str:
        """Name of a bundled network, or path of a ``.safetensors`` file."""
        return self._network

    def set_network(self, network: str) -> None:
        """Choose a network; a file is added to the list.

        Raises
        ------
        InputError
            If it has no card that can be read.
        """
        read_card(network)
        place = self.findData(network)
        if place < 0:
            place = self.count() - 1
            self.insertItem(place, network.replace("\\", "/").rpartition("/")[2], network)
            self.setItemData(place, network, Qt.ItemDataRole.ToolTipRole)
        self.setCurrentIndex(place)
        self._network = network
        self.chosen.emit(network)

    @guarded
    def _on_activated(self, place: int) -> None:
        network = self.itemData(place)
        if network:
            self.set_network(str(network))
            return
        # "File…" is no network: it stays chosen only until the dialog has an answer.
        self.setCurrentIndex(self.findData(self._network))
        dialog = QFileDialog(self, "Choose a network", get_open_history()[0])
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter(f"Networks (*{SUFFIX})")
        dialog.fileSelected.connect(self._on_file)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @guarded
    def _on_file(self, name: str) -> None:
        update_open_history(name)
        self.set_network(name)
