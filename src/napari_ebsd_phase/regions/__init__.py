# SPDX-License-Identifier: GPL-3.0-or-later
"""What a region of a scan is: the evidence of its patterns together.

:mod:`.views` says which patterns show the same view of a crystal, and how much several views weigh.
"""

from .identification import Identification
from .pool import identify, identify_regions

__all__ = ["Identification", "identify", "identify_regions"]
