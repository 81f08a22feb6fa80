#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every figure of docs/performance.md, measured on this machine in one run.

    pip install ".[bench]"
    python benchmarks/run.py [--write docs/performance.md] [--quick]

Patterns are simulated, 128 x 128 pixels of 8 bits in an uncompressed kikuchipy .h5; maps of other
sizes are virtual data sets over the same file. Other programs work on the same file. About ten
minutes on two idle cores; --quick measures a tenth of the patterns. Compare figures of one run
only: they depend on the machine and on what else runs, which the table tells.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import torch
from large_file import make_file
from limits import convolution_rate, copy_rate, machine, multiplications
from peers import dictionary_rate, hough_rate
from processes import help_seconds, peak_memory, seconds_to_open_the_dock

from napari_ebsd_phase import classify, load_classifier, load_scan
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.cluster import classify_tiles_on, connected
from napari_ebsd_phase.loading import installed_classifiers
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.preprocessing import prepare
from napari_ebsd_phase.progressive import classify_progressively, prepare_map

# Does without the projection centre, and so without comparing patterns with themselves.
_FAST = "fast"
# Of the simulated patterns.
_CENTRE = (0.5, 0.2, 0.6)
_BEGIN, _END = "<!-- table of benchmarks/run.py -->", "<!-- end of table -->"
_SIZE = 128
_PLACE = "Scan 1/EBSD/Data/patterns"
_STORE = "patterns of all maps"

Row = tuple[str, str, str]


def virtual_map(source: Path, target: Path, rows: int, cols: int) -> Path:
    """A file whose map of rows x cols patterns shows those of `source` again and again.

    The patterns are copied into it first, since data sets that lead out of a file are refused.
    """
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        file.move(_PLACE, _STORE)
        kept = h5py.VirtualSource(".", _STORE, file[_STORE].shape)
        layout = h5py.VirtualLayout((rows * cols, _SIZE, _SIZE), np.uint8)
        there = kept.shape[0]
        for start in range(0, rows * cols, there):
            count = min(there, rows * cols - start)
            layout[start : start + count] = kept[:count]
        if "CrystalMap" in file["Scan 1/EBSD"]:
            del file["Scan 1/EBSD/CrystalMap"]
        header = file["Scan 1/EBSD/Header"]
        for name, value in {"n_rows": rows, "n_columns": cols}.items():
            header[name][...] = value
        file.create_virtual_dataset(_PLACE, layout)
    return target


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rate_of(path: Path, classifier: Classifier, share: int = 1) -> tuple[int, float]:
    """Patterns of a file, or a share of its rows, and seconds to classify them, end to end.

    A network that looks for symmetry axes is told the projection centre.
    """
    with load_scan(path) as scan:
        rows, cols = max(1, scan.shape[0] // share), scan.shape[1]
        region = slice(0, rows), slice(0, cols)
        return rows * cols, seconds(
            lambda: classify(scan, classifier, region=region, projection_centre=_CENTRE)
        )


def parts(path: Path, classifier: Classifier) -> Iterator[Row]:
    """Reading, preprocessing and network apart, on all cores."""
    with load_scan(path) as scan:
        tiles = list(scan.tiles(1024))[:8]
        loaded = [scan.read(*tile).reshape(-1, _SIZE, _SIZE) for tile in tiles]
        count = sum(map(len, loaded))
        reading = seconds(lambda: [scan.read(*tile) for tile in tiles])
        mask = scan_screen(scan)
    batches = [p[i : i + 128] for p in loaded for i in range(0, len(p), 128)]

    def on_all_cores(work: Callable[[object], object], items: list) -> float:
        lanes = classifier.lanes
        return seconds(lambda: [each.result() for each in [lanes.submit(work, i) for i in items]])

    settings = classifier.preprocessing
    preparing = on_all_cores(lambda b: prepare(b, settings, mask=mask), batches)
    inputs = [
        prepare(b, settings, mask=mask).contiguous(memory_format=torch.channels_last)
        for b in batches
    ]

    def network(batch: torch.Tensor) -> None:
        with torch.inference_mode():
            classifier.network_scores(batch)

    yield "reading, from the system's cache", f"{count / reading:,.0f} patterns/s", ""
    yield "preprocessing alone", f"{count / preparing:,.0f} patterns/s", ""
    yield "network alone", f"{count / on_all_cores(network, inputs):,.0f} patterns/s", ""


def on_a_cluster(path: Path, classifier: Classifier, workers: int, rows: int) -> float:
    """Patterns a second on processes of one core each that are running already."""
    with load_scan(path) as scan, connected(f"local:{workers}") as client:
        client.wait_for_workers(workers)
        for part in (slice(0, 4 * workers), slice(0, rows)):  # the first is for getting ready
            plan = {"region": (part, slice(0, scan.shape[1])), "tile": 4 * scan.shape[1]}
            with closing(classify_tiles_on(client, scan, classifier, **plan)) as tiles:
                start = time.perf_counter()
                count = sum(tile.size for tile in tiles)
        return count / (time.perf_counter() - start)


def coarse_seconds(path: Path, classifier: Classifier) -> tuple[float, float]:
    """Seconds to the first coarse map of the full extent, and to the finest coarse one."""
    with load_scan(path) as scan:
        start = time.perf_counter()
        phase_map = prepare_map(scan, classifier)
        first = last = 0.0
        strides: list[int] = []
        with closing(classify_progressively(scan, classifier, phase_map=phase_map)) as results:
            for result in results:
                stride = getattr(result, "stride", 1)
                if strides and stride != strides[-1] and not first:
                    first = last
                if stride == 1:
                    break
                strides.append(stride)
                result.fill_into(phase_map)
                last = time.perf_counter() - start
    return first or last, last


def measure(folder: Path, shrink: int) -> Iterator[Row]:
    """Rows of the table: work, figure, remark."""
    cores = torch.get_num_threads()
    classifier = load_classifier(_FAST)
    path = folder / "map.h5"
    make_file(path, 20_000 // shrink, _SIZE)
    classify_once(path, classifier)

    count, taken = rate_of(path, classifier)
    rate = count / taken
    yield (
        f"**classify, {count:,} patterns, end to end**",
        f"**{rate:,.0f} patterns/s**",
        f"`{classifier.name}`, {classifier.precision}, {cores} cores",
    )
    yield from parts(path, classifier)
    for name in installed_classifiers():
        if name != classifier.name:
            other = load_classifier(name)
            n, t = rate_of(path, other, 8 if other.takes_centre else 1)
            remark = f"{other.precision}, projection centre known" * other.takes_centre
            yield f"the same with `{name}`", f"{n / t:,.0f} patterns/s", remark or other.precision
    exact = load_classifier(_FAST, precision="float32")
    with load_scan(path) as scan:
        rows = max(1, scan.shape[0] // 8)
        region = (slice(0, rows), slice(0, scan.shape[1]))
        t = seconds(lambda: classify(scan, exact, region=region))
        slow = rows * scan.shape[1] / t
    yield "the same in float32", f"{slow:,.0f} patterns/s", f"{rows * scan.shape[1]:,} patterns"

    macs = multiplications(classifier)
    convolutions = convolution_rate(classifier.precision, cores)
    share = rate * macs / convolutions
    yield (
        "limit: convolutions",
        f"{convolutions / 1e9:,.0f} G multiplications/s",
        f"3 x 3, 96 channels, 8 x 8 pixels, {classifier.precision}, {cores} cores",
    )
    yield (
        "share of the time that the network needs at that rate",
        f"{share:.0%}",
        f"{macs / 1e6:.0f} M multiplications a pattern",
    )
    yield "limit: copying memory", f"{copy_rate() / 1e9:.1f} GB/s", "one core"

    hough, hough_count = hough_rate(path, 2000 // shrink)
    yield (
        "PyEBSDIndex, one phase (FCC), defaults, processor only",
        f"{hough:,.0f} patterns/s",
        f"first {hough_count:,} patterns of the file; classify is **{rate / hough:.1f} x** that",
    )
    matched, subset, entries = dictionary_rate(path, 512 // shrink)
    yield (
        "kikuchipy dictionary indexing, one phase (Ni), 3 degrees",
        f"{matched:,.1f} patterns/s",
        f"first {subset:,} patterns, {entries:,} in the dictionary, whose simulation is not "
        f"counted; classify is **{rate / matched:.0f} x** that",
    )

    line = []
    for side in (32, 100, 316):
        virtual = virtual_map(path, folder / f"virtual_{side}.h5", side, side)
        if side * side <= 100_000 // shrink:
            n, t = rate_of(virtual, classifier)
            line.append(f"{n:,}: {t:.2f} s ({1e6 * t / n:.0f} us each)")
    yield "cost of 1 k, 10 k, 100 k patterns", "; ".join(line), "virtual maps over the same file"

    one, two = (on_a_cluster(path, classifier, n, max(8, 48 // shrink)) for n in (1, 2))
    yield (
        "Dask, one worker of one core, two workers",
        f"{one:,.0f}, {two:,.0f} patterns/s",
        f"{two / one:.2f} x",
    )
    for side in (32, 316):
        if side * side <= 100_000 // shrink:
            peak = peak_memory(folder / f"virtual_{side}.h5", folder / f"out_{side}.h5")
            yield f"peak memory, {side * side:,} patterns to .h5", f"{peak / 2**30:.2f} GiB", ""
    large = virtual_map(path, folder / "large.h5", 1000, 1000)
    first, last = coarse_seconds(large, classifier)
    yield (
        "coarse map of the full extent, 1,000 x 1,000 patterns",
        f"{first:.2f} s",
        f"finer after {last:.2f} s",
    )
    yield "`napari-ebsd-phase --help`", f"{help_seconds():.2f} s", ""
    yield "opening the dock in a running napari", seconds_to_open_the_dock(), ""
    if torch.cuda.is_available():
        for name in (_FAST, "default"):
            gpu = load_classifier(name, device="cuda")
            classify_once(path, gpu)
            n, t = rate_of(path, gpu)
            where = f"`{name}` on {torch.cuda.get_device_name()}"
            yield f"classify, {where}", f"{n / t:,.0f} patterns/s", ""
    else:
        yield "graphics processor", "not measured", "this machine has none"


def classify_once(path: Path, classifier: Classifier) -> None:
    """What is done once in a process, so that it is not measured."""
    with load_scan(path) as scan:
        region = slice(0, 4), slice(0, min(100, scan.shape[1]))
        classify(scan, classifier, region=region, projection_centre=_CENTRE)


def write_into(document: Path, table: str) -> None:
    """Put the table between its two marks."""
    text = document.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, mark, after = rest.partition(_END)
    if not mark:
        raise SystemExit(f"{document} has no lines '{_BEGIN}' and '{_END}'")
    document.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", encoding="utf-8")


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="document with the two marks")
    parser.add_argument("--quick", action="store_true", help="a tenth of the patterns")
    arguments = parser.parse_args()
    start = time.perf_counter()
    lines = [*machine(), "", "| work | figure | remark |", "|---|---|---|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for row in measure(Path(folder), 10 if arguments.quick else 1):
            lines.append(f"| {' | '.join(row)} |")
            print(lines[-1], flush=True)
    lines += ["", f"Measured in {(time.perf_counter() - start) / 60:.0f} minutes."]
    print("\n".join(lines[-2:]))
    if arguments.write:
        write_into(arguments.write, "\n".join(lines))


if __name__ == "__main__":
    main()
