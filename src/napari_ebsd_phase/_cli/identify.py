# SPDX-License-Identifier: GPL-3.0-or-later
"""``identify``: what a region is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InputError
from ..projection_centre import noted_centre
from . import candidates, common
from .label_image import read_labels

if TYPE_CHECKING:
    from ..candidates import Ranking
    from ..classifier import Classifier
    from ..regions import Identification
    from ..scan import Scan

_MOST = 5  # names a level in the table
_TITLES = {
    "point_group": "point group",
    "laue_group": "Laue group",
    "crystal_system": "crystal system",
    "bravais_lattice": "lattice",
}


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "identify",
        run,
        summary="what one region, or each of several, is",
        description="Pool the evidence of all patterns of a region, and print how probable each "
        "point group,\nLaue group, crystal system and Bravais lattice is.\n\n"
        "Patterns of one orientation count as one view of the crystal, however many there are,\n"
        "and several views count for less than their number, since the network's errors on one\n"
        "material agree. Each region is taken to be of one phase; notes below its table say\n"
        "where that, or something else, is in doubt.",
        examples=(
            "napari-ebsd-phase identify map.h5oina --region 10:30,40:60",
            "napari-ebsd-phase identify map.h5oina --labels grains.tif --json > grains.json",
            "napari-ebsd-phase identify pictures/ --prior known",
            "napari-ebsd-phase identify map.h5oina --region 10:30,40:60 --candidates --cif mine/",
        ),
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="pattern file of any kind that kikuchipy reads (.h5oina .h5 .ebsp .up1 .up2 .dat), "
        "an image, or a folder of images",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--region",
        type=common.region,
        metavar="R0:R1,C0:C1",
        help="rows R0 to R1-1 and columns C0 to C1-1, counted from 0 (default: the whole map)",
    )
    where.add_argument(
        "--labels",
        metavar="FILE.tif",
        help="label image of the shape of the map: each value above 0 is a region",
    )
    parser.add_argument(
        "--grid",
        type=common.grid,
        metavar="ROWSxCOLS",
        help="shape of the map, for files that do not tell",
    )
    parser.add_argument(
        "--max-patterns",
        type=common.count,
        default=500,
        metavar="N",
        help="patterns to read of each region at most, spread evenly over it (default: 500)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document instead of tables"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    common.add_projection_centre(parser)
    candidates.add_options(parser)
    common.add_network_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..scan import load_scan

    with load_scan(args.source, grid=args.grid) as scan:
        regions = _regions(args, scan.shape)  # before seconds are spent on the network
        common.set_threads(args.threads)
        from ..centring import centred
        from ..loading import load_classifier

        classifier = load_classifier(args.model, device=args.device)
        classifier.prior(args.prior)
        classifier = centred(scan, classifier, args.projection_centre)
        told = noted_centre({"projection_centre": classifier.card.get("told")})
        trial = candidates.Trial.of(args, scan, told)
        answers = _identify(args, scan, classifier, regions, trial)
        if args.json:
            print(json.dumps(_document(scan, classifier, args.prior, answers), indent=1))
            return
        for number, (region, answer, ranking) in enumerate(answers):
            print("\n\n" * (number > 0) + _report(region.name, answer))
            if ranking is not None:
                print("\n" + candidates.report(ranking))


class _Region(NamedTuple):
    """A region: its name in tables, what tells it in JSON, and what gives its place."""

    name: str
    where: dict[str, str | int]
    place: Callable[[], Any]


_Answer = tuple[_Region, "Identification", "Ranking | None"]


def _regions(args: argparse.Namespace, shape: tuple[int, int]) -> list[_Region]:
    """What is to be identified."""
    if args.labels is None:
        from ..mapping import check_region

        rows, cols = check_region(shape, args.region)
        text = f"{rows.start}:{rows.stop},{cols.start}:{cols.stop}"
        return [_Region(f"region {text}", {"region": text}, lambda: (rows, cols))]
    import numpy as np

    labels = read_labels(Path(args.labels), shape)
    values = np.unique(labels[labels > 0]).tolist()
    if not values:
        raise InputError(f"'{args.labels}' has no value above 0: there is no region to identify")
    return [
        # A mask is made when its turn comes: a label image may have thousands of regions.
        _Region(f"label {value}", {"label_value": value}, partial(np.equal, labels, value))
        for value in values
    ]


def _identify(
    args: argparse.Namespace,
    scan: Scan,
    classifier: Classifier,
    regions: list[_Region],
    trial: candidates.Trial | None,
) -> Iterator[_Answer]:
    """The answers, one after the other."""
    from ..regions import identify_regions

    bar: Callable[[str, int, int], None]
    found = identify_regions(
        scan,
        classifier,
        (region.place() for region in regions),
        prior=args.prior,
        max_patterns=args.max_patterns,
        batch_size=args.batch_size,
        projection_centre=None,  # the classifier has been told what is to be told
        progress=lambda done, total: bar(region.name, done, total),
    )
    for region in regions:
        # The bar is gone when the answer is printed.
        with common.titled_bars(quiet=args.quiet) as bar:
            answer = next(found)
        ranking = trial.rank(region.place(), answer, region.name) if trial else None
        yield region, answer, ranking


def _document(
    scan: Scan, classifier: Classifier, prior: str, answers: Iterable[_Answer]
) -> dict[str, Any]:
    from .. import __version__

    return {
        "source": scan.path.name,
        "shape": list(scan.shape),
        "network": classifier.name,
        "network_sha256": classifier.sha256,
        "card_sha256": classifier.card_sha256,
        "version": __version__,
        "prior": prior,
        "regions": [
            {
                **region.where,
                **answer.to_dict(),
                **({} if ranking is None else {"candidates": ranking.to_dict()}),
            }
            for region, answer, ranking in answers
        ],
    }


def _report(name: str, answer: Identification) -> str:
    """Heading, table and notes of one region."""
    label = f"{answer.label} ({_TITLES[answer.level]})" if answer.label else "undecided"
    heading = (
        f"{name}: {label}\n{answer.nameable:,} of {answer.patterns:,} patterns counted, "
        f"{answer.views:.1f} different views\n"
    )
    columns = [answer.ranked(level, _MOST) for level in _TITLES]
    rows = [
        [cell for named in row for cell in (named[0], _percent(named[1]))]
        for row in zip(*columns, strict=True)
    ]
    header = [cell for title in _TITLES.values() for cell in (title, "")]
    table = common.table(header, rows, " r" * len(_TITLES))
    notes = "".join(f"\n- {note}" for note in answer.notes)
    return f"{heading}\n{table}" + (f"\n{notes}" if notes else "")


def _percent(probability: float) -> str:
    """A probability that is never written as certain or impossible."""
    if probability > 0.99:
        return "> 99 %"
    return f"{100 * probability:.0f} %" if probability >= 0.01 else "< 1 %"
