# SPDX-License-Identifier: GPL-3.0-or-later
"""Export: the map as a file that other programs read, or as a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.history import get_save_history, update_save_history
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from ..errors import InputError
from ..export import KEEPS, write
from .background import Cancelled, Progress
from .figure import FIGURE_SUFFIXES, save_figure
from .label_visibility import hidden_labels
from .layers import layer_for
from .legend_rows import LEVEL_TITLES
from .notify import guarded
from .scan_facts import size_text
from .section import Section, form, wrapped
from .work import Work

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from ..phase_map import PhaseMap
    from ..scan import Scan
    from .layers_section import LayersSection
    from .session import MapSession

_TITLES = {
    ".h5": "Phase map, everything (.h5)",
    ".csv": "Table, a row a pattern (.csv)",
    ".ang": "EDAX OIM, MTEX (.ang)",
    ".ctf": "Oxford Channel 5, MTEX (.ctf)",
    ".tif": "Label image (.tif)",
    ".png": "Report: labels and lattices (.png)",
}

_FIGURE = "Figure of the level shown"
_FIGURE_KEEPS = (
    "The map as it is on screen, with legend, scale bar and caption; loses the numbers behind "
    "the colours."
)


@dataclass(frozen=True)
class Format:
    """Something that a map can be written as."""

    title: str
    suffixes: tuple[str, ...]
    keeps: str
    figure: bool = False

    @property
    def filters(self) -> list[str]:
        """Name filters for a file dialog, one a suffix."""
        return [f"{suffix[1:].upper()} (*{suffix})" for suffix in self.suffixes]


def formats() -> list[Format]:
    """All formats, the faithful one first."""
    files = [
        Format(_TITLES.get(suffix, suffix), (suffix,), keeps) for suffix, keeps in KEEPS.items()
    ]
    figure = Format(
        f"{_FIGURE} ({' '.join(FIGURE_SUFFIXES)})", FIGURE_SUFFIXES, _FIGURE_KEEPS, figure=True
    )
    return [*files, figure]


class ExportSection(Section):
    """Writes the phase map of the data set that is shown.

    Parameters
    ----------
    viewer
        Whose layers say what is hidden.
    layers
        Where the level of a figure is chosen.
    """

    def __init__(self, viewer: Viewer, layers: LayersSection) -> None:
        super().__init__("&Export", "Write the map to a file, or draw it for a paper")
        self._viewer = viewer
        self._layers = layers
        self._written: Path | None = None
        self._formats = formats()
        self.format = QComboBox()
        for number, entry in enumerate(self._formats):
            self.format.addItem(entry.title)
            self.format.setItemData(number, entry.keeps, Qt.ItemDataRole.ToolTipRole)
        self.format.setMinimumContentsLength(12)
        self.format.setToolTip("What kind of file to write")
        self.keeps = wrapped()
        self.export_button = QPushButton("E&xport…")
        self.export_button.setToolTip("Choose a name and write the file")
        self._work = Work(self, "Stop; no half-written file is left behind")
        self.cancel_button, self.progress = self._work.cancel_button, self._work.bar
        self.state = wrapped(selectable=True)
        self.folder_button = QPushButton("Show in folder")
        self.folder_button.setToolTip("Open the folder of the file that was written")
        self.copy_button = QPushButton("Copy path")
        self.copy_button.setToolTip("Copy the name of the file with its folder to the clipboard")
        self._lay_out()
        self.format.currentIndexChanged.connect(self._show_keeps)
        self.export_button.clicked.connect(self._ask)
        self.cancel_button.clicked.connect(self._on_cancel)
        self._work.ended.connect(self._on_ended)
        self.folder_button.clicked.connect(self._open_folder)
        self.copy_button.clicked.connect(self._copy_path)
        self._show_keeps()
        self.show_session(None)

    @property
    def written(self) -> Path | None:
        """The file that was written last."""
        return self._written

    def choose(self, suffix: str, *, figure: bool = False) -> None:
        """Choose a format by its suffix."""
        for number, entry in enumerate(self._formats):
            if suffix in entry.suffixes and entry.figure == figure:
                self.format.setCurrentIndex(number)
                return
        raise InputError(f"no format has the suffix {suffix}")

    def show_session(self, session: MapSession | None) -> None:
        there = session is not None and session.phase_map is not None
        running = session is not None and session.running
        self.export_button.setEnabled(there and not running and not self._work.busy)
        if self._work.busy:
            return
        if not there:
            self._say("Nothing to export yet: classify a scan first.")
        elif running:
            self._say("The map can be exported when the classification has ended or is cancelled.")
        elif self._written is None:
            self._say("")

    def set_session(self, session: MapSession | None) -> None:
        if session is not self.session:
            # A file that is half written for the other data set is written to its end.
            self._written = None
        super().set_session(session)

    def stop(self) -> None:
        """Give up what is at work, silently; no half-written file is left behind."""
        self._work.stop()

    def _lay_out(self) -> None:
        fields = form()
        fields.addRow("Format", self.format)
        buttons = QHBoxLayout()
        buttons.addWidget(self.export_button)
        buttons.addWidget(self.cancel_button)
        after = QHBoxLayout()
        after.addWidget(self.folder_button)
        after.addWidget(self.copy_button)
        self.box.addLayout(fields)
        self.box.addWidget(self.keeps)
        self.box.addLayout(buttons)
        self.box.addWidget(self.progress)
        self.box.addWidget(self.state)
        self.box.addLayout(after)

    def _show_keeps(self, *_: object) -> None:
        self.keeps.setText(self._formats[self.format.currentIndex()].keeps)

    def _say(self, text: str) -> None:
        self.state.setText(text)
        self.state.setVisible(bool(text))
        for button in (self.folder_button, self.copy_button):
            button.setVisible(self._written is not None and not self._work.busy)

    @guarded
    def _ask(self, *_: object) -> None:
        session = self.session
        if session is None or session.phase_map is None:
            raise InputError("nothing to export yet: classify a scan first")
        entry = self._formats[self.format.currentIndex()]
        name = f"{session.name}_{_stem(entry, self._layers.role)}{entry.suffixes[0]}"
        dialog = _SaveDialog(self, entry, name)
        dialog.fileSelected.connect(self._write)
        dialog.open()

    @guarded
    def _write(self, name: str) -> None:
        session = self.session
        if session is None or session.phase_map is None or self._work.busy:
            raise InputError("the map that was to be exported is gone: nothing was written")
        path = Path(name)
        update_save_history(str(path))
        entry = self._formats[self.format.currentIndex()]
        if path.suffix.lower() not in entry.suffixes:
            path = path.with_name(path.name + entry.suffixes[0])
        work = (
            self._figure_work(session, path)
            if entry.figure
            else _map_work(session.phase_map, session.scan, path)
        )
        self._written = None
        self._work.start(work, self._on_returned)
        self.export_button.setEnabled(False)
        self._say(_intention(session, path))

    def _figure_work(
        self, session: MapSession, path: Path
    ) -> Callable[[Progress, Cancelled], Path | None]:
        level = self._layers.role if self._layers.role in LEVEL_TITLES else "label"
        layer = layer_for(self._viewer, session, level)
        hidden = frozenset() if layer is None else hidden_labels(layer)

        def work(progress: Progress, cancelled: Cancelled) -> Path | None:
            save_figure(session, path, level=level, hidden=hidden)
            return path

        return work

    @guarded
    def _on_cancel(self, *_: object) -> None:
        self._say("Cancelling …")

    @guarded
    def _on_returned(self, path: Path | None) -> None:
        self._written = path

    @guarded
    def _on_ended(self) -> None:
        self.show_session(self.session)
        if self._written is not None:
            size = self._written.stat().st_size
            self._say(f"Written: {self._written} ({size_text(size)})")
        elif self.session is not None and self.session.phase_map is not None:
            self._say("Nothing was written.")

    @guarded
    def _open_folder(self, *_: object) -> None:
        if self._written is not None:
            folder = self._written.parent
            if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
                raise InputError(f"no program here shows folders: look into {folder}")

    @guarded
    def _copy_path(self, *_: object) -> None:
        if self._written is not None:
            QApplication.clipboard().setText(str(self._written))


class _SaveDialog(QFileDialog):
    """Asks for a file name, and gives it the suffix of the filter that is chosen."""

    def __init__(self, parent: QWidget, entry: Format, name: str) -> None:
        super().__init__(parent, "Export the phase map", get_save_history()[0])
        self.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self.setFileMode(QFileDialog.FileMode.AnyFile)
        self.setNameFilters(entry.filters)
        self.setDefaultSuffix(entry.suffixes[0][1:])
        self.selectFile(name)
        self.filterSelected.connect(self._use_suffix)
        self.finished.connect(self.deleteLater)

    def _use_suffix(self, name_filter: str) -> None:
        self.setDefaultSuffix(name_filter.partition("*.")[2].rstrip(")"))


def _map_work(
    phase_map: PhaseMap, scan: Scan | None, path: Path
) -> Callable[[Progress, Cancelled], Path | None]:
    """What writes a map; gives None if it was cancelled before that."""

    def work(progress: Progress, cancelled: Cancelled) -> Path | None:
        # It imports torch, which takes seconds.
        from ..map_request import add_file_hash

        if path.suffix.lower() == ".h5" and scan is not None and scan.path.exists():
            # It says which patterns the map is of. Of 100 GB it takes minutes, so it waits until
            # here, where it can be cancelled.
            add_file_hash(phase_map, scan, cancelled)
        if cancelled():
            return None
        write(phase_map, path, overwrite=True)  # the dialog has asked
        return path

    return work


def _intention(session: MapSession, path: Path) -> str:
    """What is going to be done, and why it may take long."""
    told = {} if session.phase_map is None else session.phase_map.provenance
    hashed = told.get("source_sha256") is not None
    if path.suffix.lower() != ".h5" or session.scan is None or hashed:
        return f"Writing {path.name} …"
    return f"Reading {session.scan.path.name} once for its checksum, then writing {path.name} …"


def _stem(entry: Format, role: str) -> str:
    """End of the file name that is proposed."""
    return (role if role in LEVEL_TITLES else "label") if entry.figure else "phases"
