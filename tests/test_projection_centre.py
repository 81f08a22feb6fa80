# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user asks of the projection centre, against what a map tells of its own."""

from __future__ import annotations

import pytest

from napari_ebsd_phase.projection_centre import (
    noted_centre,
    parse_centre,
    same_centre,
    was_estimated,
)

CENTRE = [32.0, 20.0, 40.0]
FILE = {"centre": CENTRE, "projection_centre": {"from": "file", "bruker": [0.5, 0.2, 0.6]}}
GIVEN = {"centre": CENTRE, "projection_centre": {"from": "given", "bruker": [0.5, 0.2, 0.6]}}
FOUND = {"centre": CENTRE, "projection_centre": {"from": "estimated", "bruker": [0.5, 0.2, 0.6]}}
NONE: dict[str, object] = {}


@pytest.mark.parametrize("text", ["0.5,0.2,0.6", " 0.5; 0.2 ; 0.6", "0.5, .2, 6e-1"])
def test_three_numbers_are_read(text):
    assert parse_centre(text) == (0.5, 0.2, 0.6)


@pytest.mark.parametrize(
    "text", ["", "0.5", "a,b,c", "0.5,0.2", "0.5,0.2,0", "0.5,0.2,-1", "nan,0.2,0.6", "0,0,inf"]
)
def test_what_is_no_projection_centre_is_none(text):
    assert parse_centre(text) is None


@pytest.mark.parametrize(
    ("told", "asked", "from_file", "same"),
    [
        (FILE, "auto", True, True),
        (FILE, "estimate", True, False),
        (FILE, None, True, False),
        (FILE, (0.5, 0.2, 0.6), True, False),
        (GIVEN, (0.5, 0.2, 0.6), True, True),
        (GIVEN, (0.5, 0.2, 0.61), True, False),
        (GIVEN, "auto", True, False),
        (FOUND, "auto", False, True),
        (FOUND, "auto", True, False),
        (FOUND, "estimate", True, True),
        (NONE, None, True, True),
        (NONE, "auto", False, True),  # an estimate that was not relied on
        (NONE, "auto", True, False),
    ],
)
def test_a_map_is_gone_on_with_where_it_was_made_as_asked(told, asked, from_file, same):
    assert same_centre(told, asked, from_file) is same


@pytest.mark.parametrize("damaged", ["file", 5, {"from": "given", "bruker": [1, 2]}, {"bruker": 7}])
def test_a_damaged_note_is_none(damaged):
    told = {"centre": CENTRE, "projection_centre": damaged}
    assert noted_centre(told) is None
    assert not was_estimated(told)
    assert not same_centre(told, (0.5, 0.2, 0.6), True)


def test_an_estimate_is_told_from_the_others():
    assert was_estimated(FOUND)
    assert noted_centre(FOUND) == (0.5, 0.2, 0.6)
    assert not was_estimated(FILE)
    assert not was_estimated({"projection_centre": FOUND["projection_centre"]})
