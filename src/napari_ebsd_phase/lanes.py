# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches side by side, each on one core, instead of one batch at a time on all cores.

Cores that share a batch wait for the slowest of them in every layer: when anything else runs on the
machine, that costs a factor of five and more. Cores with a batch each never wait for another, work
on Python's own part of the job side by side, too, and give the same bits whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import ParamSpec, TypeVar

import torch

__all__ = ["Lanes"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Lanes:
    """Threads that compute with one core each; they end when nobody holds this any more.

    Parameters
    ----------
    count
        How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads = ThreadPoolExecutor(count, "lane", initializer=_take_one_core)
        # One number in torch says how many cores threads get that begin later; each thread has its
        # own from its first use of torch on. So all lanes begin now, and then the number goes back.
        cores, together = torch.get_num_threads(), Barrier(count)
        for begun in [self._threads.submit(together.wait) for _ in range(count)]:
            begun.result()
        torch.set_num_threads(cores)

    def submit(
        self,
        work: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> Future[_Result]:
        """Call `work` in the first lane that is free."""
        return self._threads.submit(work, *args, **kwargs)


def _take_one_core() -> None:
    torch.get_num_threads()  # without this first use, a thread would take the number later
    torch.set_num_threads(1)
