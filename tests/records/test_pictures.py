"""Pictures survive a file, and a damaged or foreign file is one clear error."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from records.errors import ImageError
from records.pictures import Image, decode_png, encode_png, fit_picture

PIXELS = bytes(range(0, 240, 20))  # 3 × 4
PICTURE = Image((3, 4), PIXELS)


def png(lines: bytes, width: int = 4, height: int = 3, depth: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tEXt", b"Comment\x00x"), (b"IDAT", zlib.compress(lines))]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in [*parts, (b"IEND", b"")]
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def filtered(pixels: bytes, width: int, kind: int) -> bytes:
    """Rows filtered as the PNG specification defines it, chapter 9.2, written from its table."""
    lines, above = b"", bytes(width)
    for start in range(0, len(pixels), width):
        row = pixels[start : start + width]
        out = []
        for i, x in enumerate(row):
            a, b, c = (row[i - 1] if i else 0), above[i], (above[i - 1] if i else 0)
            p = a + b - c
            pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
            paeth = a if pa <= pb and pa <= pc else b if pb <= pc else c
            out.append((x - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
        lines, above = lines + bytes([kind, *out]), row
    return lines


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_picture_survives_its_file(height: int, width: int, data: st.DataObject) -> None:
    pixels = data.draw(st.binary(min_size=height * width, max_size=height * width))
    image = Image((height, width), pixels)
    assert decode_png(encode_png(image)) == image


@given(st.integers(0, 4), st.binary(min_size=12, max_size=12))
def test_every_filter_of_the_specification_is_undone(kind: int, pixels: bytes) -> None:
    assert decode_png(png(filtered(pixels, 4, kind))).pixels == pixels


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a PNG"),
        (b"patient,age\np1,30\n", "not a PNG"),
        (encode_png(PICTURE)[:-20], "cut short"),
        (encode_png(PICTURE).replace(b"IDAT", b"IDAX"), "cut short or damaged"),
        (png(b"\x00" * 15, depth=16), "8 bits"),
        (png(b"\x00" * 15, colour=2), "grey"),
        (png(b"\x00" * 14), "cut short"),
        (png(b"\x07" * 15), "unknown filter"),
        (png(b"\x00" * 15, width=0), "sides"),
        (png(b"\x00" * 15, height=1 << 30), "sides"),
    ],
)
def test_what_is_no_grey_picture_is_one_clear_error(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        decode_png(data)


def test_a_small_file_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    image = decode_png(png(filtered(PIXELS, 4, 0) + b"\x00" * (64 << 20)))
    assert image == PICTURE


def saved(picture: Pillow.Image, **how: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **how)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["P", "1", "LA", "RGB", "RGBA", "I;16"])
def test_a_picture_of_another_kind_is_refused_and_never_converted(mode: str) -> None:
    with pytest.raises(ImageError, match="8 bits a pixel"):
        decode_png(saved(Pillow.new(mode, (4, 3))))


def test_an_animated_picture_is_refused() -> None:
    frames = [Pillow.new("L", (4, 3), shade) for shade in (0, 90)]
    with pytest.raises(ImageError, match="animated"):
        decode_png(saved(frames[0], save_all=True, append_images=frames[1:]))


def test_words_in_a_file_that_unpack_to_much_are_refused() -> None:
    header = encode_png(PICTURE)[:33]
    body = b"Comment\x00\x00" + zlib.compress(bytes(64 << 20))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    with pytest.raises(ImageError, match="damaged"):
        decode_png(header + chunk + encode_png(PICTURE)[33:])


@given(st.binary(min_size=1, max_size=4), st.integers(8, 10_000))
def test_a_damaged_file_is_one_clear_error_or_the_very_picture(noise: bytes, place: int) -> None:
    data = bytearray(encode_png(PICTURE))
    place %= len(data)
    data[place : place + len(noise)] = noise
    try:
        found = decode_png(bytes(data))
    except ImageError:
        return
    assert found == PICTURE


def test_a_larger_picture_is_fitted_only_on_demand_and_what_was_done_is_said() -> None:
    wide = Pillow.new("L", (60, 30), 0)
    wide.paste(200, (15, 0, 45, 30))
    with pytest.raises(ImageError, match="grey"):
        decode_png(saved(wide.convert("RGB")))
    fitted, said = fit_picture(saved(wide.convert("RGB")), (10, 10))
    assert fitted == Image((10, 10), bytes([200] * 100))  # the black borders are cut off
    assert "its colours were made grey" in said
    assert "60 by 30" in said
    assert "30 by 30 were scaled to 10 by 10" in said


def test_a_picture_that_fits_is_left_as_it_is_and_a_smaller_one_is_refused() -> None:
    assert fit_picture(encode_png(PICTURE), (3, 4)) == (PICTURE, "")
    with pytest.raises(ImageError, match="fewer than the 5 by 3"):
        fit_picture(encode_png(PICTURE), (3, 5))


def test_a_picture_without_three_or_one_samples_is_not_fitted() -> None:
    with pytest.raises(ImageError, match="neither grey nor RGB"):
        fit_picture(saved(Pillow.new("I;16", (9, 9))), (3, 4))
