# SPDX-License-Identifier: GPL-3.0-or-later
"""Point-group and Bravais-lattice maps from EBSD patterns.

The public names are listed in ``__init__.pyi`` and imported on first use, so that importing the
package (as napari does for every plugin at start-up) costs next to nothing.
"""

from typing import Any

import lazy_loader as _lazy_loader

_load_attribute, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name != "__version__":
        return _load_attribute(name)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-ebsd-phase")
    except PackageNotFoundError:  # run from a source folder that was never installed
        return "0+unknown"
