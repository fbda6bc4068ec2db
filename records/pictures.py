"""Grey pictures as PNG files: 8 bits a pixel, which is what X-ray exports are.

Pillow decodes; what a file promises is read from its header first (W3C, PNG third edition, 11.2.1),
so that no decoder ever sees a picture of another kind or of a size that would fill the memory.

Records are read strictly: a file of another kind or size is refused, never converted. A single case
may be fitted (`fit_picture`), on demand and with words that say what was done.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from PIL import Image as Pillow

from records.errors import ImageError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">4sIIBB")  # type, width, height, bits a sample, colour type
_GREY, _COLOUR = 0, 2
MAX_SIDE = 8192
_DAMAGED = "the PNG file is cut short or damaged, or has an unknown filter; export it again"


@dataclass(frozen=True, slots=True, repr=False)
class Image:
    """Grey levels of `shape` (height, width), one byte a pixel, row by row from the top."""

    shape: tuple[int, int]
    pixels: bytes


def encode_png(image: Image) -> bytes:
    """A PNG file; one image has one encoding per version of Pillow and zlib."""
    height, width = image.shape
    file = io.BytesIO()
    Pillow.frombytes("L", (width, height), image.pixels).save(file, "PNG")
    return file.getvalue()


def decode_png(data: bytes) -> Image:
    """The picture in a PNG file. Raises `ImageError`, which says what is wrong with the file."""
    if _kind(data) != (8, _GREY):
        raise ImageError("not a grey picture of 8 bits a pixel; export it as 8-bit grayscale")
    return _image(_decoded(data))


def is_png(data: bytes) -> bool:
    """Whether the bytes begin as a PNG file does."""
    return data.startswith(_SIGNATURE)


def fit_picture(data: bytes, shape: tuple[int, int]) -> tuple[Image, str]:
    """A picture brought to `shape` (height, width), and what was done to it, in words.

    The largest part of the shape's proportions about the middle, scaled by cubic interpolation,
    as MedMNIST was made (Yang et al. 2023: the middle square of the short side). A colour picture
    becomes its luminance (ITU-R BT.601). Raises `ImageError` where a side would grow.
    """
    if _kind(data) not in ((8, _GREY), (8, _COLOUR)):
        raise ImageError("neither grey nor RGB of 8 bits a sample; export it as 8-bit grayscale")
    picture = _decoded(data)
    if picture.height < shape[0] or picture.width < shape[1]:
        raise ImageError(
            f"the picture has {picture.width} by {picture.height} pixels, fewer than the "
            f"{shape[1]} by {shape[0]} of the study; export it larger"
        )
    done = []
    if picture.mode != "L":
        picture = picture.convert("L")
        done.append("its colours were made grey")
    height = min(picture.height, picture.width * shape[0] // shape[1])
    width = min(picture.width, picture.height * shape[1] // shape[0])
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    if (picture.height, picture.width) != shape:
        done.append(
            f"it was {picture.width} by {picture.height} pixels; its middle {width} by {height} "
            f"were scaled to {shape[1]} by {shape[0]}"
        )
        box = (left, top, left + width, top + height)
        picture = picture.crop(box)  # first, so that nothing beyond the edge shines in
        picture = picture.resize((shape[1], shape[0]), Pillow.Resampling.BICUBIC)
    return _image(picture), "; ".join(done)


def _kind(data: bytes) -> tuple[int, int]:
    """Bits a sample and colour type, once the sides are known to be sane."""
    if not is_png(data):
        raise ImageError("not a PNG file; export the picture as PNG")
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise ImageError(_DAMAGED)
    _, width, height, depth, colour = _HEADER.unpack_from(data, 12)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ImageError(f"the picture's sides must lie between 1 and {MAX_SIDE} pixels")
    return depth, colour


def _decoded(data: bytes) -> Pillow.Image:
    """The one picture of a file whose header was judged; every checksum is verified."""
    try:
        with Pillow.open(io.BytesIO(data), formats=["PNG"]) as checked:
            if getattr(checked, "is_animated", False):
                raise ImageError("an animated picture; export a single one")
            checked.verify()
        with Pillow.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.load()
            return picture.copy()
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as exc:
        raise ImageError(_DAMAGED) from exc


def _image(picture: Pillow.Image) -> Image:
    return Image((picture.height, picture.width), picture.tobytes())
