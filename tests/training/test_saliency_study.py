# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole study on a few patterns: a trained network passes, an untrained one does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import load_materials
from napari_ebsd_phase.training.saliency_controls import untrained
from napari_ebsd_phase.training.saliency_figure import draw_study
from napari_ebsd_phase.training.saliency_measures import Interval
from napari_ebsd_phase.training.saliency_report import (
    axes_table,
    deletion_table,
    families_table,
    forgetting_table,
    plain,
)
from napari_ebsd_phase.training.saliency_sets import choose_materials, simulated_set
from napari_ebsd_phase.training.saliency_study import SOURCES, ask, delete, examine, forget
from napari_ebsd_phase.training.saliency_summary import (
    summarise_axes,
    summarise_deletion,
    summarise_families,
    summarise_rows,
)
from napari_ebsd_phase.training.saliency_verdict import CLAIMS, passes, verdict, verdict_table

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
LEVEL = "point_group"
MATERIALS, PATTERNS = 8, 4


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def sets(classifier):
    with MasterLibrary.open(LIBRARY) as library:
        stack, materials = load_materials(library)
        records = library.index
    trained_on = classifier.card["training"]["trained_on"]
    chosen = choose_materials(materials, [trained_on], MATERIALS)["seen"]
    return [simulated_set(stack, records, m, "seen", PATTERNS) for m in chosen]


def studied(network, sets):
    asked = list(ask(network, sets, LEVEL))
    rows = list(examine(network, asked, LEVEL))
    return asked, rows, summarise_axes(rows), summarise_deletion(delete(network, asked, LEVEL))


@pytest.fixture(scope="module")
def trained(classifier, sets):
    return studied(classifier, sets)


def test_the_trained_network_passes(trained):
    _, _, axes, (area, change) = trained
    told = axes["seen"], area["seen"], change["seen"]
    assert passes(*told)
    found = verdict(*told)
    assert [claim for claim in CLAIMS if found[claim]][:3] == list(CLAIMS)[:3]
    # Where the input changes equally, axes cost more still: how much, so few patterns do not tell.
    for other in ("bands", "random discs"):
        assert change["seen"][f"zone axes less {other}"]["log_odds"].low > 0


def test_an_untrained_network_does_not_pass(classifier, sets):
    _, _, axes, (area, change) = studied(untrained(classifier, 11), sets)
    told = axes["seen"], area["seen"], change["seen"]
    found = verdict(*told)
    assert not passes(*told)
    # It loses nothing with the zone axes, since it had nothing to say.
    assert not found["needs"]
    assert not found["needs_equally"]
    assert abs(area["seen"]["zone axes"]["log_odds"].mean) < 0.05


def test_parts_have_the_area_or_the_change_in_common(trained):
    _, _, _, (area, change) = trained
    parts = [part for part in area["seen"] if " less " not in part]
    assert len(parts) == 5
    areas = [area["seen"][part]["area"].mean for part in parts]
    changes = [change["seen"][part]["change"].mean for part in parts]
    assert areas == pytest.approx([areas[0]] * 5)
    assert changes == pytest.approx([changes[0]] * 5, rel=0.03)
    # There is more to blur at a zone axis: less of it does as much.
    axes, bands = change["seen"]["zone axes"], change["seen"]["bands"]
    assert axes["area"].mean < 0.8 * bands["area"].mean


def test_controls_that_know_nothing_of_a_crystal_do_not_prefer_turned_ones(trained):
    _, _, axes, _ = trained
    for source in SOURCES:
        turned = axes["seen"][source]["random_lift"]
        assert turned.low - 0.05 < 1.0 < turned.high + 0.05


def test_the_network_is_compared_with_itself_and_with_all_controls(trained):
    _, rows, axes, _ = trained
    assert {row["source"] for row in rows} == set(SOURCES) == set(axes["seen"])
    network = axes["seen"]["network"]
    assert network["behind"].mean == 0 == network["hit_behind"].mean
    assert network["lift"].groups == MATERIALS
    for row in rows:
        assert 0 < row["area"] < 0.4
        assert 0 <= row["share"] <= 1 or np.isnan(row["share"])
        total = [area for _, area in row["families"].values()]
        assert max(total) <= row["area"] + 1e-9 <= sum(total) + 1e-6


def test_families_have_the_lift_of_their_patterns(trained):
    _, rows, _, _ = trained
    found = summarise_families(rows)
    assert "<001>" in found["cubic"]
    mine = [r for r in rows if r["source"] == "intensity" and r["bravais"][0] == "c"]
    pairs: dict[str, list[tuple[float, float]]] = {}
    for row in mine:
        if "<001>" in row["families"]:
            pairs.setdefault(row["material"], []).append(row["families"]["<001>"])
    lifts = [np.mean(p, axis=0)[0] / np.mean(p, axis=0)[1] for p in pairs.values()]
    assert found["cubic"]["<001>"]["intensity"].mean == pytest.approx(np.mean(lifts))


def test_the_true_class_can_be_asked_for(classifier, sets):
    truth = sets[0].point_group
    assert {one.target for one in ask(classifier, sets[:1], LEVEL, true_class=True)} == {truth}


def test_tables_json_and_figure_hold_all_of_it(classifier, trained, tmp_path):
    asked, rows, axes, (deleted, equally) = trained
    some = [one for one in asked if one.number < 1]
    forgotten = summarise_rows(forget(classifier, some, LEVEL), "layer", ("signed", "absolute"))
    assert next(iter(forgotten["seen"])) == "head"
    assert forgotten["seen"]["head"]["signed"].mean > abs(
        forgotten["seen"]["first layer"]["signed"].mean
    )
    tables = [
        axes_table(axes),
        families_table(summarise_families(rows)),
        forgetting_table(forgotten),
        deletion_table(deleted),
        verdict_table({"seen": verdict(axes["seen"], deleted["seen"], equally["seen"])}),
        deletion_table(equally, equal="change"),
    ]
    for table in tables:
        columns = {line.count("|") for line in table.splitlines()}
        assert len(columns) == 1
    assert f"materials of training ({MATERIALS} materials)" in tables[0]
    assert "zone axes less bands" in tables[3]
    assert "input changed" in tables[3]
    assert "area" in tables[5]
    assert tables[4].count("| shown |") >= 3
    assert all(words in tables[4] for words in CLAIMS.values())
    # Whole numbers and strings stay, what is no number becomes null.
    text = json.dumps(plain({"a": Interval(1.0, float("nan"), np.float64(2), 3), "b": (1, "x")}))
    assert json.loads(text) == {
        "a": {"mean": 1.0, "low": None, "high": 2.0, "groups": 3},
        "b": [1, "x"],
    }
    draw_study("default", axes, forgotten, deleted, equally, tmp_path / "study.png")
    picture = np.asarray(Image.open(tmp_path / "study.png").convert("L"))
    assert picture.shape[1] > 1000
    assert picture.std() > 10
    assert [path.name for path in tmp_path.iterdir()] == ["study.png"]
