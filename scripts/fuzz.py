# SPDX-License-Identifier: GPL-3.0-or-later
"""Read damaged files without end: whatever is not refused with one line is a defect.

    python scripts/fuzz.py scan --seconds 600            changed at random, repeatable by --seed
    python scripts/fuzz.py card network --inputs 500     so many of each, and no clock
    python scripts/fuzz.py scan --seconds 600 --guided   atheris seeks what runs new lines of code

What is found is kept (--keep FOLDER) and can be read again with --input FILE. `--guided` needs
`pip install --group fuzz` (Linux). Exit code 1: something was found.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

_ENDLESS = 120  # seconds after which an input that is still being read ends everything


def main() -> int:
    """Run some targets; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="+", choices=("card", "network", "scan", "result"))
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--seconds", type=float, default=60, help="for each target (default: 60)")
    how_long.add_argument("--inputs", type=int, help="so many for each target, however long")
    how_long.add_argument("--input", type=Path, help="read this one only")
    parser.add_argument("--seed", type=int, default=0, help="other inputs")
    parser.add_argument("--keep", type=Path, help="folder for inputs that show a defect")
    parser.add_argument("--guided", action="store_true", help="by atheris, one target")
    args = parser.parse_args()
    if args.guided:
        return guided(args)
    return max(run(name, args) for name in args.targets)


def run(name: str, args: argparse.Namespace) -> int:
    """Run one target on inputs that are changed at random."""
    from tests._fuzzing import MEMORY, TARGETS, inputs, try_input

    target = TARGETS[name]
    read = refused = 0
    known: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as seeds, tempfile.TemporaryDirectory() as folder:
        every = inputs(target, Path(seeds), args.seed)
        if args.input:
            every = iter([args.input.read_bytes()])
        end = time.monotonic() + args.seconds
        first = 0
        for number, data in enumerate(islice(every, args.inputs)):
            if not args.inputs and time.monotonic() > end:
                break
            keep(args.keep, "now", data)  # for what ends the process
            faulthandler.dump_traceback_later(_ENDLESS, exit=True)
            before = _peak()
            try:
                good = try_input(target, data, Path(folder))
                # The first inputs load libraries.
                assert number < 20 or _peak() - before < MEMORY, "more than 1 GB of memory"
                read, refused = read + good, refused + (not good)
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{frame.filename}:{frame.lineno}"
                known[where] += 1
                if known[where] == 1:
                    print(f"{name}, input {number}: {traceback.format_exc()}", file=sys.stderr)
                    keep(args.keep, f"{name}-{args.seed}-{number}", data)
            first = first or _peak()
        faulthandler.cancel_dump_traceback_later()
    memory = f"memory grew by {(_peak() - first) / 2**20:.0f} MB"
    print(f"{name}: {read} read, {refused} refused, {known.total()} not; {memory}", flush=True)
    for where, times in known.most_common():
        print(f"  {times} times: {where}")
    return int(bool(known))


def guided(args: argparse.Namespace) -> int:
    """Let atheris choose the changes by what lines of this package they reach."""
    import atheris

    with atheris.instrument_imports(include=["napari_ebsd_phase"]):
        import napari_ebsd_phase.loading
        import napari_ebsd_phase.phase_map
        import napari_ebsd_phase.scan  # noqa: F401 (counted from here on)
    from tests._fuzzing import TARGETS, try_input

    target = TARGETS[args.targets[0]]
    folder = Path(tempfile.mkdtemp())
    (folder / "seeds").mkdir()
    (folder / "corpus").mkdir()
    seeds = target.seeds(folder / "seeds")
    for number, data in enumerate(seeds):
        (folder / "corpus" / str(number)).write_bytes(data)

    def read(data: bytes) -> None:
        try:
            try_input(target, data, folder)
        except Exception:
            keep(args.keep, f"{args.targets[0]}-guided", data)
            raise

    def change(data: bytes, size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return atheris.Mutate(data, size)
        # Of a good input: HDF5 may crash when it writes in a damaged file.
        return target.change(chance.choice(seeds), chance)[:size]

    options = [f"-max_total_time={args.seconds:.0f}", "-timeout=60", "-rss_limit_mb=4096"]
    options += ["-max_len=200000", f"-seed={args.seed + 1}", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], read, custom_mutator=change)
    atheris.Fuzz()  # ends the process
    return 0


def keep(folder: Path | None, name: str, data: bytes) -> None:
    """Write an input that shows a defect."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _peak() -> int:
    """Most bytes of memory so far; the unit of what the system says is its own."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


if __name__ == "__main__":
    sys.exit(main())
