# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, ``napari-ebsd-phase COMMAND``.

Exit codes: 0 done; 1 the program failed; 2 the request or its input was wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from ._cli import (
    classify,
    compare,
    demo,
    evaluate,
    explain,
    fine_tune,
    identify,
    models,
    provenance,
    simulate,
    sphere,
    training,
    view,
)
from .errors import InputError, SmallerBatches

__all__ = ["main"]

PROGRAM = "napari-ebsd-phase"
DEBUG = "NAPARI_EBSD_PHASE_DEBUG"

# Options whose values may begin with the sign of an inversion axis.
_NAMES_OF_GROUPS = frozenset({"--prior", "--point-group", "--target", "--against"})

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, and where the help is."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The same, but the hint on an unknown option leads to the help of its command."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            raise InputError(
                f"unrecognized arguments: {' '.join(unknown)} "
                f"(see {self.prog} {parsed.command} --help)"
            )
        return parsed


class _Version(argparse.Action):
    """Looks the version up when it is asked for only."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from . import __version__

        print(f"{PROGRAM} {__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Parser of all commands."""
    parser = _Parser(
        prog=PROGRAM,
        description="Point-group and Bravais-lattice maps from EBSD patterns, without a list of "
        "candidate phases.",
        epilog=f"`{PROGRAM} COMMAND --help` says more on a command; start with `{PROGRAM} demo`.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for group in (
        classify,
        identify,
        explain,
        sphere,
        demo,
        view,
        compare,
        provenance,
        models,
        simulate,
        training,
        fine_tune,
        evaluate,
    ):
        group.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments; those of the process when None.

    Returns
    -------
    int
        Exit code: 0 done, 1 the program failed, 2 the request or its input was wrong, 130
        interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = os.environ.get(DEBUG, "") not in ("", "0")
    for name in ("stdout", "stderr"):  # closed by the caller, as with `>&-`
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (kept)
    try:
        with _quiet_libraries(not debug):
            args = build_parser().parse_args(_join_negative(arguments))
            run: Callable[[argparse.Namespace], None] = args.run
            run(args)
            sys.stdout.flush()
    except SystemExit as stop:  # --help and --version
        return stop.code if isinstance(stop.code, int) else DONE
    except InputError as error:
        return _say(f"error: {error}", WRONG_INPUT, debug)
    except KeyboardInterrupt as interruption:
        return _say(f"interrupted: {interruption}".removesuffix(": "), INTERRUPTED, debug)
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        _drop_output()
        return DONE
    except Exception as error:
        _drop_output()
        return _say(_failure(error), FAILED, debug)
    return DONE


def _failure(error: Exception) -> str:
    # torch's own class, by its name: torch may not even be imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "failed: not enough memory: use a smaller --batch-size, or --device cpu"
    reason = str(error).strip() or type(error).__name__
    return f"failed: {reason} (set {DEBUG}=1 to see where, and please report it)"


def _drop_output() -> None:
    """Throw away what standard output does not take: Python would complain when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str, code: int, debug: bool) -> int:
    """Print one line on standard error, before it the traceback if it is wanted."""
    if debug:
        traceback.print_exc()
    print(" ".join(text.split()), file=sys.stderr)
    return code


def _join_negative(arguments: list[str]) -> list[str]:
    """Let ``--prior -43m`` have a value: argparse takes it for an option."""
    joined: list[str] = []
    for argument in arguments:
        if (
            joined
            and joined[-1] in _NAMES_OF_GROUPS
            and argument[:1] == "-"
            and argument[1:2].isdigit()
        ):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


@contextmanager
def _quiet_libraries(quiet: bool) -> Iterator[None]:
    """Keep warnings of libraries, which users can do nothing about, off the terminal.

    What this program itself warns of is a line on standard error.
    """
    if not quiet:
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", SmallerBatches)
            warnings.showwarning = _say_note
            yield
    finally:
        logging.disable(before)


def _say_note(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning above the progress bar, if there is one."""
    from tqdm import tqdm

    tqdm.write(f"note: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
