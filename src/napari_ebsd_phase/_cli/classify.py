# SPDX-License-Identifier: GPL-3.0-or-later
"""``classify``: the main job."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common

if TYPE_CHECKING:
    from distributed import Client

    from ..classifier import Classifier
    from ..phase_map import PhaseMap
    from ..scan import Scan
    from .partial import PartialResult

# Of the provenance, what does not change a single probability: an unfinished run need not tell.
UNTOLD = frozenset({"source", "network", "threshold", "quality_threshold", "date"})


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "classify",
        run,
        summary="point groups and Bravais lattices of a map, to files",
        description="Give every pattern of a scan the probability of each point group and Bravais "
        "lattice,\nand write maps and tables.\n\n"
        "The label of a pattern is its point group if the probability reaches the threshold,\n"
        "else its Laue group, else its crystal system, else nothing.\n\n"
        "A run that was interrupted leaves OUT.partial beside the first output; the same command\n"
        "with --resume goes on from there, and the result is the same to the last bit.",
        examples=(
            "napari-ebsd-phase classify map.h5oina -o map.h5 -o map.png",
            "napari-ebsd-phase classify map.up2 --grid 200x300 -o map.csv --prior cubic,hexagonal",
            "napari-ebsd-phase classify pictures/ -o pictures.csv",
            "napari-ebsd-phase classify a.h5 b.h5 -o both.csv",
            "napari-ebsd-phase classify map.h5oina -o map.h5 --scheduler tcp://node1:8786",
        ),
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="pattern file of any kind that kikuchipy reads (.h5oina .h5 .ebsp .up1 .up2 .dat), "
        "an image, or a folder of images (taken in the order of their names)",
    )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        required=True,
        metavar="OUT",
        help="file to write; its suffix says what: .h5 (everything; orix reads it), .csv (one row "
        "a pattern), .ang and .ctf (phases for other EBSD programs), .png (picture of the map), "
        ".tif (label image); may be given several times. "
        "With several SOURCEs: .csv only, with the rows of all of them",
    )
    parser.add_argument(
        "--region",
        type=common.region,
        metavar="R0:R1,C0:C1",
        help="only rows R0 to R1-1 and columns C0 to C1-1, counted from 0",
    )
    parser.add_argument(
        "--grid",
        type=common.grid,
        metavar="ROWSxCOLS",
        help="shape of the map, for files that do not tell",
    )
    parser.add_argument(
        "--threshold",
        type=common.probability,
        metavar="P",
        help="probability that a label needs (default: as the network's card says)",
    )
    common.add_projection_centre(parser)
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="compute on a Dask cluster: tcp://HOST:PORT of its scheduler, whose workers see "
        "SOURCE under the same path, or local:N for N processes on this machine",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace outputs that exist already"
    )
    common.add_quiet(parser)
    common.add_network_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..export import loss
    from .partial import PartialResult, partial_path

    outputs = [Path(name) for name in args.output]
    _check_formats(outputs, several=len(args.sources) > 1)
    unfinished = partial_path(outputs[0])
    replaced = _check_targets(outputs, unfinished, resume=args.resume, overwrite=args.overwrite)
    with ExitStack() as stack:
        scans = [open_scan(stack, source, args.grid, outputs) for source in args.sources]
        client = None
        if args.scheduler is not None:
            from ..cluster import connected

            client = stack.enter_context(connected(args.scheduler))
        # An estimate of the projection centre is the same to the last digit only if it is kept.
        earlier = PartialResult.settings(unfinished) if args.resume else []
        classifiers, maps = _prepare(args, scans, earlier)
        settings = [
            {k: v for k, v in m.provenance.items() if k not in UNTOLD} | {"shape": m.shape}
            for m in maps
        ]
        partial = PartialResult(unfinished, settings, [_beside(unfinished, p) for p in outputs])
        with _kept(partial, maps):
            _take_up(partial, maps, resume=args.resume, overwrite=args.overwrite)
            _classify(args, scans, classifiers, maps, partial, client)
    for path in outputs:
        _write(maps, path, overwrite=args.overwrite or _beside(unfinished, path) in replaced)
    partial.remove()
    if not args.quiet:
        print(_summary(maps, args.sources))
        for line in _centres(maps, args.sources):
            print(line)
        for path in outputs:
            if path.suffix.lower() in (".ang", ".ctf"):
                print(f"\n{path}: {loss(path)} (docs/exchange.md)")
        print("\nwritten: " + ", ".join(map(str, outputs)))


def _beside(unfinished: Path, output: Path) -> str:
    """An output as seen from the unfinished run: a name alone could be another folder's file."""
    return os.path.relpath(os.path.realpath(output), os.path.realpath(unfinished.parent))


def _check_formats(outputs: list[Path], *, several: bool) -> None:
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise InputError("two outputs have the same name: give each its own")
    for path in outputs:
        if several and path.suffix.lower() != ".csv":
            raise InputError(
                f"'{path}' holds a single map: classify one SOURCE at a time, or write a .csv, "
                "which takes the rows of all"
            )


def _check_targets(
    outputs: list[Path], unfinished: Path, *, resume: bool, overwrite: bool
) -> set[str]:
    """Check before the work that the outputs can be written; return those that may be replaced.

    A run that was killed while it wrote its outputs may have written some of them.
    """
    from ..export import check_output
    from .partial import PartialResult, check_not_running

    check_not_running(unfinished)
    promised: set[str] = set()
    if os.path.lexists(unfinished) and not overwrite:
        if not resume:
            raise InputError(
                f"'{unfinished}' is left of an interrupted run: "
                "use --resume to go on with it, or --overwrite to start again"
            )
        promised = set(PartialResult.promised_outputs(unfinished))
    for path in outputs:
        check_output(path, overwrite=overwrite or _beside(unfinished, path) in promised)
    return promised


def open_scan(
    stack: ExitStack, source: str, grid: tuple[int, int] | None, outputs: list[Path]
) -> Scan:
    from ..scan import load_scan

    scan = stack.enter_context(load_scan(source, grid=grid))
    for path in outputs:
        if path.exists() and path.samefile(scan.path):
            raise InputError(f"'{path}' is the source itself: choose another name for the output")
        pictures = path.suffix.lower() in {".png", ".tif", ".tiff"}
        if scan.path.is_dir() and pictures and path.parent.samefile(scan.path):
            raise InputError(
                f"'{path}' would be taken for a pattern of its folder the next time: write it "
                "elsewhere"
            )
    return scan


def _prepare(
    args: argparse.Namespace, scans: list[Scan], earlier: list[dict[str, Any]]
) -> tuple[list[Classifier], list[PhaseMap]]:
    """Check the request against the data, cheapest first; return networks and empty maps."""
    from ..centring import centred
    from ..loading import load_classifier
    from ..mapping import check_region, empty_map

    for scan in scans:
        check_region(scan.shape, args.region)
    common.set_threads(args.threads)
    network = load_classifier(args.model, device=args.device)
    network.prior(args.prior)
    classifiers, maps = [], []
    for scan, source, told in zip_longest(scans, args.sources, earlier[: len(scans)]):
        if network.takes_centre and args.projection_centre is not None:
            common.note(f"looking for the projection centre of {source}", quiet=args.quiet)
        classifier = centred(scan, network, args.projection_centre, earlier=told)
        classifiers.append(classifier)
        common.note(f"reading {source} for its checksum", quiet=args.quiet)
        phase_map = empty_map(
            scan,
            classifier,
            region=args.region,
            prior=args.prior,
            threshold=args.threshold,
            batch_size=args.batch_size,
        )
        if len(scans) > 1:  # files of one name in several folders must be told apart
            folder = scan.path.is_dir()
            phase_map.sources = [
                str(Path(source) / name) if folder else source for name in phase_map.sources
            ]
        maps.append(phase_map)
    return classifiers, maps


@contextmanager
def _kept(partial: PartialResult, maps: list[PhaseMap]) -> Iterator[None]:
    """Close the file of finished tiles, and tell somebody who presses Ctrl-C about it."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        done = sum(int(m.done.sum()) for m in maps)
        text = f"{done:,} patterns are kept, the same command with --resume goes on"
        raise KeyboardInterrupt(text if done else "") from interruption
    finally:
        partial.close()


def _take_up(
    partial: PartialResult, maps: list[PhaseMap], *, resume: bool, overwrite: bool
) -> None:
    """Fill in what an interrupted run has done, or begin."""
    if resume:
        try:
            for source, tile in partial.resume():
                tile.fill_into(maps[source])
            return
        except InputError:
            if not overwrite:
                raise
    partial.start()


def _classify(
    args: argparse.Namespace,
    scans: list[Scan],
    classifiers: list[Classifier],
    maps: list[PhaseMap],
    partial: PartialResult,
    client: Client | None,
) -> None:
    from ..mapping import check_region, tiles_on

    places = [check_region(scan.shape, args.region) for scan in scans]
    total = sum((r.stop - r.start) * (c.stop - c.start) for r, c in places)
    done = sum(int(m.done.sum()) for m in maps)
    with common.progress_bar(total, "classifying", quiet=args.quiet, done=done) as show:
        jobs = enumerate(zip(scans, classifiers, maps, strict=True))
        for number, (scan, classifier, phase_map) in jobs:
            with tiles_on(
                client,
                scan,
                classifier,
                region=args.region,
                prior=args.prior,
                batch_size=args.batch_size,
                skip=phase_map.done,
                waiting=lambda: common.note("waiting for a worker", quiet=args.quiet),
            ) as tiles:
                for tile in tiles:
                    partial.append(number, tile)
                    tile.fill_into(phase_map)
                    done += tile.size
                    show(done)


def _write(maps: list[PhaseMap], path: Path, *, overwrite: bool) -> None:
    if len(maps) == 1:
        maps[0].save(path, overwrite=overwrite)
        return
    with TemporaryDirectory() as folder:
        parts = []
        for number, phase_map in enumerate(maps):
            part = Path(folder) / f"{number}.csv"
            phase_map.save(part)
            parts.append(part)
        _join_tables(parts, path, overwrite=overwrite)


def _join_tables(parts: list[Path], path: Path, *, overwrite: bool) -> None:
    """Write tables that have the same header below each other."""
    from ..export import replacing

    with replacing(path, overwrite=overwrite) as temporary, temporary.open("wb") as joined:
        for part in parts:
            with part.open("rb") as table:
                header = table.readline()
                if part is parts[0]:
                    joined.write(header)
                joined.writelines(table)


def _centres(maps: list[PhaseMap], sources: list[str]) -> Iterator[str]:
    """Say of each source whose projection centre was estimated what it is."""
    for phase_map, source in zip(maps, sources, strict=True):
        told = phase_map.provenance.get("projection_centre", {})
        if told.get("from") == "estimated" and "bruker" in told:
            where = ", ".join(f"{value:.3f}" for value in told["bruker"])
            yield f"\n{source}: projection centre {where} (estimated from the patterns)"


def _summary(maps: list[PhaseMap], sources: list[str]) -> str:
    header: tuple[str, ...] = common.SUMMARY_HEADER
    right = common.SUMMARY_RIGHT
    rows: list[tuple[Any, ...]] = []
    for phase_map, source in zip(maps, sources, strict=True):
        lines: list[tuple[Any, ...]] = [*common.summary_rows(phase_map)]
        if len(maps) > 1:
            lines = [(source if i == 0 else "", *line) for i, line in enumerate(lines)]
        rows += lines
    if len(maps) > 1:
        header, right = ("source", *header), " " + right
    return common.table(header, rows, right)
