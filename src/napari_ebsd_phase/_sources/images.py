# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns in image files: a single picture, a TIFF stack, or a folder of pictures."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .recording import MAX_PIXELS, Recording

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg"})
FORMATS = ("PNG", "TIFF", "BMP", "JPEG")

# What Pillow's decoders raise for broken pictures.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Page:
    """One pattern: a page of an image file."""

    path: Path
    number: int
    shape: tuple[int, int]
    dtype: np.dtype


class ImagePatterns:
    """Patterns of image files, decoded when they are asked for.

    Colour becomes luminance; what is more than half transparent lies outside the screen and
    becomes 0.
    """

    chunk = 1

    def __init__(self, pages: list[Page], folder: bool) -> None:
        self._pages = pages
        self._folder = folder
        self.count = len(pages)
        shapes = {page.shape for page in pages}
        self.shape = shapes.pop() if len(shapes) == 1 else None
        self.dtype = np.result_type(*{page.dtype for page in pages})
        self.largest = max(page.shape[0] * page.shape[1] * page.dtype.itemsize for page in pages)

    def read_into(self, first: int, out: np.ndarray) -> None:
        numbers = range(first, first + len(out))
        # A stack stays open over its pages: each new start walks through all pages before.
        for path, same_file in groupby(numbers, key=lambda number: self._pages[number].path):
            with _opened(path) as image:
                for number in same_file:
                    out[number - first] = self._decode(image, number)

    def read_one(self, number: int) -> np.ndarray:
        with _opened(self._pages[number].path) as image:
            return self._decode(image, number)

    def _decode(self, image: Image.Image, number: int) -> np.ndarray:
        page = self._pages[number]
        image.seek(page.number)
        pattern = _gray(image)
        if pattern.shape != page.shape:
            raise InputError(f"{page.path.name}: has changed since it was opened; open it again")
        return pattern

    def name(self, number: int) -> str | None:
        return self._pages[number].path.name if self._folder else None

    def contents(self) -> list[Path]:
        return list(dict.fromkeys(page.path for page in self._pages))

    def close(self) -> None:
        """Nothing stays open between two reads."""


def open_image(path: Path) -> Recording:
    """Open one image file: one pattern, or a row of them where it has pages.

    Raises
    ------
    InputError
        If the file is no picture, is damaged, or is far larger than any pattern.
    """
    patterns = ImagePatterns(list(_pages(path)), folder=False)
    return Recording(patterns, (1, patterns.count))


def open_folder(path: Path) -> Recording:
    """Open all images of a folder as one row of patterns, sorted by name.

    Files of other kinds, hidden files and folders inside it are left out.

    Raises
    ------
    InputError
        If there is no image in the folder, or one of them cannot be read.
    """
    entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    if not entries:
        raise InputError(f"{path.name}: the folder is empty; give a folder with pattern images")
    files = [
        entry
        for entry in entries
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    ]
    if not files:
        raise InputError(
            f"{path.name}: the folder holds no images; give a folder of PNG, TIFF, BMP or JPEG "
            "files, or name the pattern file itself"
        )
    patterns = ImagePatterns([page for file in files for page in _pages(file)], folder=True)
    return Recording(patterns, (1, patterns.count))


def _pages(path: Path) -> Iterator[Page]:
    if path.stat().st_size == 0:
        raise InputError(f"{path.name}: the file is empty (0 bytes); copy or export it again")
    with _opened(path) as image:
        # A JPEG may carry a preview as a second frame; only TIFF pages are patterns.
        for number in range(getattr(image, "n_frames", 1) if image.format == "TIFF" else 1):
            image.seek(number)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _too_large(path)
            yield Page(path, number, (height, width), _dtype(image))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; what Pillow raises for a bad one, then or while decoding, is InputError."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns about size (checked here) and about broken metadata (not used here).
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(
            f"{path.name}: cannot be read as an image, it is damaged, cut short or of another "
            "kind; export it again as PNG or TIFF"
        ) from error


def _too_large(path: Path) -> InputError:
    return InputError(
        f"{path.name}: the image has more than {MAX_PIXELS // 1_000_000} million pixels, far more "
        "than a pattern; crop or shrink it"
    )


def _dtype(image: Image.Image) -> np.dtype:
    """Type of a page once it is gray, from its header alone."""
    if image.mode.startswith("I;16"):
        return np.dtype(np.uint16)
    if image.mode == "I":
        # Older Pillow opens 16-bit PNG as 32-bit.
        return np.dtype(np.uint16 if image.format == "PNG" else np.int32)
    return np.dtype(np.float32 if image.mode == "F" else np.uint8)


def _gray(image: Image.Image) -> np.ndarray:
    """Luminance (h, w) of the current page, 0 where it is transparent."""
    dtype = _dtype(image)
    if dtype != np.uint8:
        return np.asarray(image).astype(dtype)
    if not image.has_transparency_data:
        # RGB on the way: Pillow turns a palette into luminance through its colours.
        direct = image.mode in {"1", "L", "RGB", "CMYK", "YCbCr"}
        return np.array((image if direct else image.convert("RGB")).convert("L"))
    pixels = np.asarray(image.convert("RGBA"))
    gray = np.array(image.convert("RGBA").convert("RGB").convert("L"))
    gray[pixels[..., 3] < 128] = 0
    return gray
