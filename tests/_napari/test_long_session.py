# SPDX-License-Identifier: GPL-3.0-or-later
"""A day's work in one window: nothing is left behind by clicks, and nobody outside is asked."""

from __future__ import annotations

import gc
import socket
from collections import Counter

from qtpy.QtCore import QObject

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.layers import add_scan
from napari_ebsd_phase._napari.pattern_dock import PatternDock
from napari_ebsd_phase.samples import sample_path

from ._canvas import Canvas
from ._clicks import LONG, classify, dock_in, open_sample


def alive(dock: PatternDock) -> Counter[str]:
    """Objects of this package, and all that Qt holds in the dock."""
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    counts = Counter(kind.__name__ for kind in kinds if "napari_ebsd" in str(kind.__module__))
    counts["in the dock"] = len(dock.findChildren(QObject))
    return counts


def test_after_many_clicks_there_is_as_much_as_after_a_few(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = PatternDock(viewer)
    viewer.window.add_dock_widget(dock, name="EBSD pattern", area="right")
    session = add_scan(viewer, load_scan(sample_path("two_phase")))
    qtbot.wait(1)
    viewer.fit_to_view()
    canvas = Canvas(viewer, dock)

    def click_some(*places: tuple[int, int]) -> None:
        for place in places:
            canvas.click(session, *place)
            qtbot.waitUntil(lambda: dock.place is not None and not dock.busy, timeout=LONG)
            assert (dock.place.row, dock.place.col) == place

    click_some((10, 10), (30, 40), (20, 20))
    before = alive(dock)
    click_some(*((row, 3 * row) for row in range(8, 20)), (20, 20))

    assert alive(dock) == before


def test_the_plugin_asks_nobody_outside(make_napari_viewer, qtbot, monkeypatch):
    asked = []
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda *told: asked.append(told))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *told, **_: asked.append(told))
    viewer = make_napari_viewer(show=True)
    dock = dock_in(viewer, qtbot)

    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)

    assert dock.session.phase_map.done.all()
    assert asked == []
