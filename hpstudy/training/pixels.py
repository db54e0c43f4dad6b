"""Image files and images of any mode as 8-bit RGB.

torch is not imported: processes that decode would wait seconds for it.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hpstudy.errors import HpstudyError

_ORIENTATION = 0x0112
# How to turn an image upright, by the orientation in its EXIF data (CIPA DC-008, section 4.6.5.1).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: Path, size: int) -> Image.Image:
    """Image file in RGB, upright and resized to `size` x `size`; of an animation, its first image.

    Raises HpstudyError if it cannot be read.
    """
    try:
        with Image.open(path) as image:
            upright = rgb(image)
            if image.format == "JPEG" and (turn := _turn(image.getexif)) is not None:
                upright = upright.transpose(turn)
            return upright.resize((size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # whatever a decoder may raise
        # The system's reason is of use, a decoder's is not.
        reason = getattr(error, "strerror", None)
        because = f": {reason}" if reason else ""
        raise HpstudyError(f"{path} cannot be read as an image{because}.") from None


def rgb(image: Image.Image) -> Image.Image:
    """Image in RGB: 16 bits scaled to 8, transparency dropped.

    Raises ValueError for a mode whose range of values is not known.
    """
    if image.mode.startswith("I"):
        # Pillow would cut values at 255.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError("its values exceed 16 bits")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("its values are floating-point numbers")
    elif image.mode == "P" and "transparency" in image.info:
        # The same colours as in one step, without Pillow's warning.
        image = image.convert("RGBA")
    return image.convert("RGB")


def pixels(image: Image.Image) -> np.ndarray:
    """Image as uint8 (3, height, width)."""
    return np.asarray(image).transpose(2, 0, 1)


def read_otherwise(head: bytes) -> bool:
    """Whether an image file, by its first bytes, was read otherwise by the first versions.

    They left JPEG as it lies, and cut grey PNG of 16 bits at 255.
    """
    if head.startswith(b"\x89PNG"):
        return head[24:26] == b"\x10\0"
    place = head.find(b"Exif\0\0") if head.startswith(b"\xff\xd8") else -1
    if place < 0:
        return False

    def exif() -> Image.Exif:
        content = Image.Exif()
        content.load(head[place:])
        return content

    return _turn(exif) is not None


def _turn(exif: Callable[[], Image.Exif]) -> Image.Transpose | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            return _TURNS.get(exif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data are no reason to refuse an image
        return None
