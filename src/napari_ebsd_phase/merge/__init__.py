# SPDX-License-Identifier: GPL-3.0-or-later
"""A phase map beside the phases that another program found: where they agree, and one of both."""

from __future__ import annotations

from .comparison import VERDICTS, AgreementRow, Comparison, compare
from .merged import MERGED_SUFFIXES, Merged, merge
from .reading import VENDOR_SUFFIXES, load_vendor_map
from .table import HEADINGS, cells, write_table

__all__ = [
    "HEADINGS",
    "MERGED_SUFFIXES",
    "VENDOR_SUFFIXES",
    "VERDICTS",
    "AgreementRow",
    "Comparison",
    "Merged",
    "cells",
    "compare",
    "load_vendor_map",
    "merge",
    "write_table",
]
