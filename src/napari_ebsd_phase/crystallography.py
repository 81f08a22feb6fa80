# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, relations and colours of the symmetries that the program tells apart.

Four *levels* of naming share this file: the 32 point groups, the 11 Laue groups, the 7 crystal
systems and the 14 Bravais lattices. Class axes of arrays are last and in the order of the tuples
here. The relations are facts of International Tables for Crystallography, volume A, written down
as two short tables over the 230 space groups; the tests compare them with orix and gemmi.

**Colours.** Every name has one fixed colour. A Laue group has the colour of the point group of the
same name, so a name means one colour in a map that mixes levels; the four systems that hold more
than one Laue group have a colour of their own, the other three that of their only Laue group.
Hue tells the crystal family: crimson to orange is cubic, amber to brown orthorhombic, green
tetragonal, turquoise monoclinic, blue to violet hexagonal (with the trigonal names on the side of
deep blue and violet), pink to purple-red triclinic. The families' arcs on the CIELAB hue circle are
at least 10 degrees apart. Lightness and chroma tell the names inside a family apart, because they
survive when red and green do not.

The hex values come from a search that maximised the smallest colour difference (CIEDE2000) in
normal vision and in full deuteranopia and protanopia as simulated by Machado et al. (2009),
https://doi.org/10.1109/TVCG.2009.113. The tests hold these minimum differences (in practice, 2
is just noticeable side by side):

=====================================================  ======  ===============
between                                                normal  red-green blind
=====================================================  ======  ===============
any two Laue groups                                    17.5    10
any two crystal systems                                16.5    9.5
any two Bravais lattices                               17.5    10.5
two point groups of one Laue group (often confused)    12      8.5
any two colours of a map that mixes point groups,      8.5     5
Laue groups and systems
:data:`UNDECIDED_COLOR` and a Laue group or lattice    23      13.5
:data:`UNDECIDED_COLOR` and a point group or system    18      9.5
=====================================================  ======  ===============

So with red-green blindness a map of Laue groups, systems or lattices can be read by colour alone,
while a map of 32 point groups needs its legend or the value under the cursor.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsd_phase.errors import InputError

LEVELS: Final = ("point_group", "laue_group", "crystal_system", "bravais_lattice")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


POINT_GROUPS: Final = _words(
    "1 -1 2 m 2/m 222 mm2 mmm 4 -4 4/m 422 4mm -42m 4/mmm 3 -3 32 3m -3m "
    "6 -6 6/m 622 6mm -6m2 6/mmm 23 m-3 432 -43m m-3m"
)
LAUE_GROUPS: Final = _words("-1 2/m mmm 4/m 4/mmm -3 -3m 6/m 6/mmm m-3 m-3m")
CRYSTAL_SYSTEMS: Final = _words(
    "triclinic monoclinic orthorhombic tetragonal trigonal hexagonal cubic"
)
CRYSTAL_FAMILIES: Final = tuple(system for system in CRYSTAL_SYSTEMS if system != "trigonal")
BRAVAIS_LATTICES: Final = _words("aP mP mS oP oS oI oF tP tI hR hP cP cI cF")

# Each Laue group, how many point groups it has (POINT_GROUPS keeps them side by side), and its
# crystal system.
_LAUE_TABLE: Final = (
    ("-1", 2, "triclinic"),
    ("2/m", 3, "monoclinic"),
    ("mmm", 3, "orthorhombic"),
    ("4/m", 3, "tetragonal"),
    ("4/mmm", 4, "tetragonal"),
    ("-3", 2, "trigonal"),
    ("-3m", 3, "trigonal"),
    ("6/m", 3, "hexagonal"),
    ("6/mmm", 4, "hexagonal"),
    ("m-3", 2, "cubic"),
    ("m-3m", 3, "cubic"),
)

# The centring of space groups 1 to 230 in order, one word a point group in the order of
# POINT_GROUPS. S is a lattice centred on one face (A or C in the usual setting).
_CENTRINGS: Final = _words(
    "P P PPS PPSS PPSPPS PPPPSSFII PPPPPPPPPPSSSSSSSFFIII PPPPPPPPPPPPPPPPSSSSSSFFIIII "
    "PPPPII PI PPPPII PPPPPPPPII PPPPPPPPIIII PPPPPPPPIIII PPPPPPPPPPPPPPPPIIII "
    "PPPR PR PPPPPPR PPPPRR PPPPRR PPPPPP P PP PPPPPP PPPP PPPP PPPP "
    "PFIPI PPFFIPI PPFFIPPI PFIPFI PPPPFFFFII"
)

_FAMILY_LETTER: Final = dict(zip(CRYSTAL_FAMILIES, "amothc", strict=True))

# Symbols of the same 32 groups in other settings, as files and other programs write them.
_OTHER_SETTINGS: Final = {
    symbol: standard
    for standard, symbols in {
        "2": "211 121 112",
        "m": "m11 1m1 11m",
        "2/m": "2/m11 12/m1 112/m",
        "mm2": "m2m 2mm",
        "-42m": "-4m2",
        "32": "321 312",
        "3m": "3m1 31m",
        "-3m": "-3m1 -31m",
        "-6m2": "-62m",
        "m-3": "m3",
        "m-3m": "m3m",
    }.items()
    for symbol in symbols.split()
}


def _freeze(array: NDArray) -> NDArray:
    """Make a table read-only, since every caller shares it."""
    array.flags.writeable = False
    return array


LAUE_INDEX: Final[NDArray[np.int64]] = _freeze(
    np.repeat(np.arange(len(LAUE_GROUPS)), [count for _, count, _ in _LAUE_TABLE])
)
"""Index into `LAUE_GROUPS` of each point group, shape (32,)."""

SYSTEM_INDEX: Final[NDArray[np.int64]] = _freeze(
    np.array([CRYSTAL_SYSTEMS.index(_LAUE_TABLE[i][2]) for i in LAUE_INDEX])
)
"""Index into `CRYSTAL_SYSTEMS` of each point group, shape (32,)."""

_SYSTEM_OF: Final = {name: system for name, _, system in _LAUE_TABLE} | {
    name: CRYSTAL_SYSTEMS[i] for name, i in zip(POINT_GROUPS, SYSTEM_INDEX, strict=True)
}


def _family_of_system(system: str) -> str:
    return "hexagonal" if system == "trigonal" else system


def _lattice_symbol(point_group: str, centring: str) -> str:
    return _FAMILY_LETTER[_family_of_system(_SYSTEM_OF[point_group])] + centring


_SPACE_GROUPS: Final = tuple(
    (group, _lattice_symbol(group, centring))
    for group, centrings in zip(POINT_GROUPS, _CENTRINGS, strict=True)
    for centring in centrings
)

COMPATIBLE: Final[NDArray[np.bool_]] = _freeze(
    np.array(
        [
            [(group, lattice) in _SPACE_GROUPS for lattice in BRAVAIS_LATTICES]
            for group in POINT_GROUPS
        ]
    )
)
"""Pairs of point group and Bravais lattice that have a space group, shape (32, 14)."""

UNDECIDED_COLOR: Final = "#808080"
"""Grey of pixels that have no label."""

_POINT_GROUP_COLORS: Final = {
    "1": "#fab4d2", "-1": "#aa005a",
    "2": "#00645a", "m": "#96faff", "2/m": "#1ebeb4",
    "222": "#825a00", "mm2": "#a09650", "mmm": "#faa000",
    "4": "#82ff00", "-4": "#a0c8a0", "4/m": "#287832",
    "422": "#00dc50", "4mm": "#82ffc8", "-42m": "#009664", "4/mmm": "#c8fa96",
    "3": "#b4a0d2", "-3": "#9650a0",
    "32": "#966e96", "3m": "#0000f0", "-3m": "#5050ff",
    "6": "#00468c", "-6": "#468cb4", "6/m": "#28beff",
    "622": "#aad2ff", "6mm": "#0a5a82", "-6m2": "#1e78be", "6/mmm": "#6e8cdc",
    "23": "#783232", "m-3": "#ff8c82",
    "432": "#822800", "-43m": "#be786e", "m-3m": "#e6003c",
}  # fmt: skip
_SYSTEM_COLORS: Final = {
    "triclinic": _POINT_GROUP_COLORS["-1"],
    "monoclinic": _POINT_GROUP_COLORS["2/m"],
    "orthorhombic": _POINT_GROUP_COLORS["mmm"],
    "tetragonal": "#3cbe78",
    "trigonal": "#8228be",
    "hexagonal": "#50a0ff",
    "cubic": "#f06414",
}
_LATTICE_COLORS: Final = {
    "aP": _POINT_GROUP_COLORS["-1"],
    "mP": "#82fff0", "mS": "#00aabe",
    "oP": "#8c6400", "oS": "#beb400", "oI": "#ffe6a0", "oF": "#c8a06e",
    "tP": "#0a8c50", "tI": "#aaff14",
    "hR": "#3c0afa", "hP": "#0082ff",
    "cP": "#e63c46", "cI": "#8c3228", "cF": "#ffaaaa",
}  # fmt: skip
_COLORS: Final = {
    "point_group": _POINT_GROUP_COLORS,
    "laue_group": {name: _POINT_GROUP_COLORS[name] for name in LAUE_GROUPS},
    "crystal_system": _SYSTEM_COLORS,
    "bravais_lattice": _LATTICE_COLORS,
}


def names(level: str) -> tuple[str, ...]:
    """All names of one level, in the order of the class axis.

    Parameters
    ----------
    level
        One of `LEVELS`.

    Raises
    ------
    InputError
        If there is no such level.
    """
    return tuple(_colors_of(level))


def point_group(symbol: str) -> str:
    """Standard name, one of `POINT_GROUPS`, of a point group written in any usual setting.

    Files and other programs write some groups otherwise: ``-62m`` is ``-6m2`` with the axes turned
    by 30 degrees, ``-4m2`` is ``-42m`` turned by 45 degrees, ``321`` and ``312`` are ``32``.

    Raises
    ------
    InputError
        If the symbol is none of the 32 point groups.
    """
    standard = _OTHER_SETTINGS.get(symbol, symbol)
    if standard not in POINT_GROUPS:
        raise InputError(f"unknown point group {symbol!r}: use one of {' '.join(POINT_GROUPS)}")
    return standard


def laue_group(symbol: str) -> str:
    """Laue group of a point group: the group with an inversion centre added.

    Raises
    ------
    InputError
        If the symbol is none of the 32 point groups.
    """
    return LAUE_GROUPS[LAUE_INDEX[POINT_GROUPS.index(point_group(symbol))]]


def crystal_system(symbol: str) -> str:
    """Crystal system, one of `CRYSTAL_SYSTEMS`, of a point group or Laue group.

    Raises
    ------
    InputError
        If the symbol is none of the 32 point groups (the Laue groups are 11 of them).
    """
    return _SYSTEM_OF[point_group(symbol)]


def family(name: str) -> str:
    """Crystal family, one of `CRYSTAL_FAMILIES`, of a name of any level.

    Trigonal and hexagonal crystals are one family: they share the primitive lattice hP.

    Raises
    ------
    InputError
        If no level has the name.
    """
    if name in BRAVAIS_LATTICES:
        return CRYSTAL_FAMILIES[tuple(_FAMILY_LETTER.values()).index(name[0])]
    if name in CRYSTAL_SYSTEMS:
        return _family_of_system(name)
    try:
        return _family_of_system(crystal_system(name))
    except InputError:
        raise InputError(
            f"unknown symmetry {name!r}: use a point group, crystal system or Bravais lattice"
        ) from None


def level_index(level: str) -> NDArray:
    """Class index of each of the 32 point groups at a level that follows from the point group."""
    return marginal(np.eye(len(POINT_GROUPS)), level).argmax(axis=1)


def marginal(point_group_probabilities: ArrayLike, level: str) -> NDArray:
    """Probabilities of a coarser level: the sum over the point groups of each of its classes.

    Parameters
    ----------
    point_group_probabilities
        Shape (..., 32), order of `POINT_GROUPS`. NaN stays NaN.
    level
        ``"point_group"`` (returned as it is), ``"laue_group"`` or ``"crystal_system"``.

    Returns
    -------
    Shape (..., 32), (..., 11) or (..., 7), of the input's floating point type.

    Raises
    ------
    InputError
        If the level does not follow from the point group, or the last axis is not 32 long.
    """
    array = np.asarray(point_group_probabilities)
    if array.ndim == 0 or array.shape[-1] != len(POINT_GROUPS):
        raise InputError(
            f"point group probabilities need a last axis of 32 classes, not shape {array.shape}"
        )
    if level == "point_group":
        return array
    if level not in ("laue_group", "crystal_system"):
        raise InputError(
            f"no probabilities of level {level!r} follow from those of the point groups: "
            "use point_group, laue_group or crystal_system"
        )
    index = LAUE_INDEX if level == "laue_group" else SYSTEM_INDEX
    # The classes of one group lie side by side, so each sum is over one slice. (A matrix product
    # would do, but spreads one NaN over the whole row even where it is multiplied by zero.)
    starts = np.searchsorted(index, np.arange(index[-1] + 1))
    return np.add.reduceat(array, starts, axis=-1)


def _space_group(number: int) -> tuple[str, str]:
    if not 1 <= number <= len(_SPACE_GROUPS):
        raise InputError(f"no space group has the number {number}: use 1 to {len(_SPACE_GROUPS)}")
    return _SPACE_GROUPS[number - 1]


def point_group_of_space_group(number: int) -> str:
    """Point group of a space group, one of `POINT_GROUPS`.

    Parameters
    ----------
    number
        1 to 230, International Tables for Crystallography.

    Raises
    ------
    InputError
        If the number is outside this range.
    """
    return _space_group(number)[0]


def bravais_lattice_of_space_group(number: int) -> str:
    """Bravais lattice of a space group, one of `BRAVAIS_LATTICES`.

    The seven space groups whose symbol begins with R have the lattice hR, in hexagonal axes or in
    rhombohedral ones; all other trigonal and all hexagonal space groups have hP.

    Parameters
    ----------
    number
        1 to 230, International Tables for Crystallography.

    Raises
    ------
    InputError
        If the number is outside this range.
    """
    return _space_group(number)[1]


def _colors_of(level: str) -> dict[str, str]:
    if level not in _COLORS:
        raise InputError(f"unknown level {level!r}: use one of {', '.join(LEVELS)}")
    return _COLORS[level]


def color(level: str, name: str) -> str:
    """Fixed colour of a name, as ``"#rrggbb"``.

    Parameters
    ----------
    level
        One of `LEVELS`, or ``"none"`` for undecided.
    name
        A name of this level. An empty name is undecided at any level, and `UNDECIDED_COLOR`.

    Raises
    ------
    InputError
        If the level does not exist or does not have the name.
    """
    if level == "none" and name == "":
        return UNDECIDED_COLOR
    table = _colors_of(level)
    if name == "":
        return UNDECIDED_COLOR
    if name not in table:
        raise InputError(f"level {level} has no {name!r}: use one of {' '.join(table)}")
    return table[name]


def colors(level: str) -> dict[str, str]:
    """Colours of all names of a level, in class order, as a new dictionary.

    `UNDECIDED_COLOR` is not in it: it belongs to no name.

    Raises
    ------
    InputError
        If there is no such level.
    """
    return dict(_colors_of(level))
