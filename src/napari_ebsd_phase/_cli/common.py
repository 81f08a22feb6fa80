# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands share: options, their values, progress bars and tables."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..projection_centre import WAYS, Told, parse_centre

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

Commands = Any  # argparse does not name the type of its sub-parser list

DEVICES = ("auto", "cpu", "cuda", "mps")


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], None],
    *,
    summary: str,
    description: str,
    examples: Sequence[str] = (),
) -> argparse.ArgumentParser:
    """Add a command with its description and examples."""
    epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples) if examples else None
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def add_network_options(parser: argparse.ArgumentParser, *, batch_size: bool = True) -> None:
    """Options of every command that classifies patterns."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="installed network (see `napari-ebsd-phase models`) or a .safetensors file with its "
        "card beside it (default: default)",
    )
    group.add_argument(
        "--prior",
        default="known",
        metavar="LIST",
        help="what may be expected: known (as frequent as among known structures, the default), "
        "uniform (every point group alike), or names of point groups, crystal systems, Laue "
        "groups and Bravais lattices, as in m-3m,6/mmm or cubic,hexagonal or laue:m-3,cF",
    )
    group.add_argument(
        "--device", default="auto", choices=DEVICES, help="where to compute (default: auto)"
    )
    if batch_size:
        group.add_argument(
            "--batch-size",
            type=count,
            metavar="N",
            help="patterns that are computed at once (default: by their size); smaller needs less "
            "memory",
        )
    group.add_argument("--threads", type=count, metavar="N", help="processor cores to use")


def add_projection_centre(parser: argparse.ArgumentParser) -> None:
    """Option ``--projection-centre`` of a command whose network looks at patterns."""
    parser.add_argument(
        "--projection-centre",
        type=projection_centre,
        default="auto",
        metavar="X,Y,Z",
        help="where the source point lies before the screen, in Bruker's convention: fractions of "
        "the width from the left and of the height from the top, distance in heights. Networks "
        "that look for symmetry axes need it. Instead of numbers: file, what the file says; "
        "estimate, from the patterns, whatever phase they are of; auto (the default), the first "
        "of these that gives an answer; none, do without",
    )


def projection_centre(text: str) -> Told:
    """Value of ``--projection-centre``, as in ``0.5,0.2,0.6``, ``auto`` or ``none``."""
    if text in (*WAYS, "none"):
        return None if text == "none" else text
    centre = parse_centre(text)
    if centre is None:
        raise argparse.ArgumentTypeError(
            "expected X,Y,Z as in 0.5,0.2,0.6 (Bruker's convention), auto, file, estimate or "
            f"none, not {text!r}"
        )
    return centre


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Option ``--quiet``."""
    parser.add_argument(
        "--quiet", action="store_true", help="print no progress and no table, only errors"
    )


def count(text: str) -> int:
    """Value of an option that is a number of things."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, not {text!r}")
    return int(text)


def whole(text: str) -> int:
    """Value of an option that is 0, 1, 2, ..."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}")
    return int(text)


def probability(text: str) -> float:
    """Value of an option between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, not {text!r}")
    return value


def positive(text: str) -> float:
    """Value of an option above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, not {text!r}")
    return value


def region(text: str) -> tuple[slice, slice]:
    """Value of ``--region``, as in ``0:50,10:20``; either end may be left out."""
    match = re.fullmatch(r"(\d*):(\d*),(\d*):(\d*)", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"expected R0:R1,C0:C1 (rows R0 to R1-1, columns C0 to C1-1), not {text!r}"
        )
    first, last, left, right = (int(part) if part else None for part in match.groups())
    return slice(first, last), slice(left, right)


def grid(text: str) -> tuple[int, int]:
    """Value of ``--grid``, as in ``60x80``."""
    match = re.fullmatch(r"(\d+)[xX](\d+)", text, re.ASCII)
    if match is None or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
        raise argparse.ArgumentTypeError(f"expected ROWSxCOLS, as in 60x80, not {text!r}")
    return int(match[1]), int(match[2])


def set_threads(threads: int | None) -> None:
    """Limit the cores of the network."""
    if threads:
        import os

        import torch

        if threads > 64 * (os.cpu_count() or 1):
            raise InputError(f"--threads {threads}: this machine has {os.cpu_count()} cores")
        torch.set_num_threads(threads)


def make_folder(path: Path) -> Path:
    """Make a folder for results, or raise InputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or "not possible"
        raise InputError(f"cannot make the folder '{path}' ({reason}): choose another") from error
    return path


@contextmanager
def progress_bar(
    total: int, title: str, *, quiet: bool, unit: str = "patterns", done: int = 0
) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing in a pipe; gives the function that says how many are done."""
    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    from tqdm import tqdm

    with tqdm(
        total=total, initial=done, desc=title, unit=f" {unit}", file=sys.stderr, leave=False
    ) as bar:

        def show(done: int) -> None:
            bar.update(done - bar.n)

        yield show


@contextmanager
def titled_bars(
    *, quiet: bool, unit: str = "patterns"
) -> Iterator[Callable[[str, int, int], None]]:
    """One bar after the other; gives the function that takes a title, the done and the total."""
    with ExitStack() as stack:
        current: dict[str, Callable[[int], None]] = {}

        def show(title: str, done: int, total: int) -> None:
            if title not in current:
                stack.close()
                current.clear()
                bar = progress_bar(total, title, quiet=quiet, unit=unit)
                current[title] = stack.enter_context(bar)
            current[title](done)

        yield show


def note(text: str, *, quiet: bool) -> None:
    """Say on a terminal what takes time."""
    if not quiet and sys.stderr.isatty():
        print(text, file=sys.stderr)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], right: str = "") -> str:
    """Text table; `right` has an r for every column that is aligned to the right."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    sides = right.ljust(len(header))
    return "\n".join(
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(line, widths, sides, strict=True)
        ).rstrip()
        for line in lines
    )


# Labels with fewer patterns share the last line: a noisy map has dozens of them.
_RARE = 0.01
_MOST_LINES = 12

SUMMARY_HEADER = ("label", "level", "lattice", "patterns", "share", "mean probability")
SUMMARY_RIGHT = "   rrr"


def summary_rows(phase_map: PhaseMap) -> list[tuple[str, ...]]:
    """One row for each label and lattice of a map, most frequent first.

    Apart from :meth:`.PhaseMap.summary` the lattices of one label are told apart: austenite and
    ferrite are both m-3m.
    """
    import numpy as np

    from ..crystallography import BRAVAIS_LATTICES
    from ..labels import label_table

    tally, sums_of = phase_map.tally()
    found = np.argwhere(tally)  # label code and lattice
    counts, sums = tally[tally > 0], sums_of[tally > 0]
    total = int(counts.sum())
    names = [("undecided", "none"), *((label.name, label.level) for label in label_table())]
    order = np.argsort(-counts, kind="stable")
    shown = [i for i in order if counts[i] >= _RARE * total][:_MOST_LINES]
    rows: list[tuple[str, ...]] = []
    for i in shown:
        (label, level), lattice = names[found[i, 0]], BRAVAIS_LATTICES[found[i, 1]]
        share, mean = 100 * counts[i] / total, sums[i] / counts[i]
        level = level.replace("_", " ").replace("laue", "Laue")
        rows.append((label, level, lattice, f"{counts[i]:,}", f"{share:.1f} %", f"{mean:.2f}"))
    rest = [i for i in order if i not in shown]
    if rest:
        number = int(counts[rest].sum())
        share, mean = 100 * number / total, float(sums[rest].sum()) / number
        name = f"{len(rest)} rarer"
        rows.append((name, "", "", f"{number:,}", f"{share:.1f} %", f"{mean:.2f}"))
    return rows
