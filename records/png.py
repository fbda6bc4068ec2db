"""Grey pictures as PNG files: 8 bits a pixel, not interlaced, which is what X-ray exports are.

Source: the PNG specification, third edition (W3C 2025), chapters 5 (chunks), 9 (filters) and 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from records.errors import ImageError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
MAX_SIDE = 8192


@dataclass(frozen=True, slots=True, repr=False)
class Image:
    """Grey levels of `shape` (height, width), one byte a pixel, row by row from the top."""

    shape: tuple[int, int]
    pixels: bytes


def encode_png(image: Image) -> bytes:
    """A PNG file whose rows are not filtered; one image has one encoding per zlib version."""
    height, width = image.shape
    rows = [b"\x00" + image.pixels[i * width : (i + 1) * width] for i in range(height)]
    header = _HEADER.pack(width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 6)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)


def decode_png(data: bytes) -> Image:
    """The picture in a PNG file. Raises `ImageError`, which says what is wrong with the file."""
    header, packed = _read_chunks(data)
    width, height, depth, colour, _, _, interlaced = _HEADER.unpack(header)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ImageError(f"the picture's sides must lie between 1 and {MAX_SIDE} pixels")
    if (depth, colour, interlaced) != (8, 0, 0):
        raise ImageError("not a grey picture of 8 bits a pixel; export it as 8-bit grayscale")
    size = height * (width + 1)
    try:
        unpacker = zlib.decompressobj()  # never inflates more than the header promises
        lines = unpacker.decompress(packed, size)
    except zlib.error as exc:
        raise ImageError("the picture's data are damaged; export it again") from exc
    if len(lines) != size:
        raise ImageError("the picture is cut short; export it again")
    return Image((height, width), _unfilter(lines, width))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _read_chunks(data: bytes) -> tuple[bytes, bytes]:
    """The header and the packed rows."""
    if not data.startswith(_SIGNATURE):
        raise ImageError("not a PNG file; export the picture as PNG")
    header, packed, place = b"", [], len(_SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body, end = data[place + 8 : place + 8 + length], place + 12 + length
        if end > len(data) or zlib.crc32(kind + body) != int.from_bytes(data[end - 4 : end], "big"):
            break
        if kind == b"IHDR" and length == _HEADER.size:
            header = body
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"IEND" and header and packed:
            return header, b"".join(packed)
        place = end
    raise ImageError("the PNG file is cut short or damaged; export it again")


def _unfilter(lines: bytes, width: int) -> bytes:
    """Pixels of rows that each begin with their filter; one byte a pixel, so a step is one."""
    above, rows = bytearray(width), []
    for start in range(0, len(lines), width + 1):
        kind, row = lines[start], bytearray(lines[start + 1 : start + 1 + width])
        if kind:
            if kind not in _PREDICT:
                raise ImageError("the picture has an unknown filter; export it again")
            predict, left, corner = _PREDICT[kind], 0, 0
            for i, value in enumerate(row):
                row[i] = left = (value + predict(left, above[i], corner)) & 0xFF
                corner = above[i]
        rows.append(bytes(row))
        above = row
    return b"".join(rows)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda near: abs(estimate - near))


_PREDICT: dict[int, Callable[[int, int, int], int]] = {
    1: lambda left, up, corner: left,
    2: lambda left, up, corner: up,
    3: lambda left, up, corner: (left + up) // 2,
    4: _paeth,
}
