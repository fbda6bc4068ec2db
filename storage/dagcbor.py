"""Canonical dag-cbor: one value, one byte string. A `Cid` inside a value is a link (tag 42).

https://ipld.io/specs/codecs/dag-cbor/spec/. The decoder takes the canonical spelling only, so
that a digest names a value and not merely some bytes that mean it: shortest heads, definite
lengths, 64-bit floats, map keys unique and in order (shorter first, then bytewise).
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

from storage.cid import Cid
from storage.errors import MalformedBlock, MalformedCid

# The data model is recursive; typing it would cost every caller casts, so borders check instead.
Value = Any

MAX_DEPTH = 64  # a hostile block of nested lists must not end the process
_UINT, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG = range(7)
_FALSE, _TRUE, _NULL, _FLOAT64 = 0xF4, 0xF5, 0xF6, 0xFB
_LINK_HEAD = b"\xd8\x2a"  # tag 42
_SIMPLE: dict[int, Value] = {_FALSE: False, _TRUE: True, _NULL: None}


def encode(value: Value) -> bytes:
    """The canonical bytes of a value of None, bool, int, float, str, bytes, Cid, list, map.

    Raises MalformedBlock for anything else (NaN, integers over 64 bits, keys that are not text).
    """
    parts: list[bytes] = []  # joined once: a model is 40 MB that each copy moves again
    _encode(value, parts, MAX_DEPTH)
    return b"".join(parts)


def decode(block: bytes) -> Value:
    """The value of canonical bytes; raises MalformedBlock for any other spelling of it."""
    value, end = _decode(block, 0, MAX_DEPTH)
    if end != len(block):
        raise _refused(block, end, "more follows the value")
    return value


def links(value: Value) -> list[Cid]:
    """Every link in a decoded value, in the order of its bytes."""
    if isinstance(value, Cid):
        return [value]
    if isinstance(value, list):
        return [cid for item in value for cid in links(item)]
    if isinstance(value, dict):
        return [cid for item in value.values() for cid in links(item)]
    return []


def _encode(value: Value, out: list[bytes], depth: int) -> None:
    if isinstance(value, str):
        text = _utf8(value)
        out += _head(_TEXT, len(text)), text
    elif isinstance(value, bytes):
        out += _head(_BYTES, len(value)), value
    elif value is None or isinstance(value, bool):
        out.append(bytes([_NULL if value is None else _TRUE if value else _FALSE]))
    elif isinstance(value, int):
        out.append(_head(_UINT, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif isinstance(value, float) and math.isfinite(value):
        out.append(struct.pack(">Bd", _FLOAT64, value))
    elif isinstance(value, Cid):
        link = b"\x00" + bytes(value)  # the prefix is multibase's "binary"
        out += _LINK_HEAD, _head(_BYTES, len(link)), link
    elif isinstance(value, list | tuple | Mapping) and depth > 0:
        _encode_items(value, out, depth - 1)
    else:
        raise MalformedBlock(
            f"a value of type {type(value).__name__} cannot be written as dag-cbor: use None, "
            "bool, 64-bit integers, finite floats, text, bytes, Cid, and lists and maps of them "
            f"with text keys, at most {MAX_DEPTH} deep"
        )


def _encode_items(value: Value, out: list[bytes], depth: int) -> None:
    if not isinstance(value, Mapping):
        out.append(_head(_LIST, len(value)))
        for item in value:
            _encode(item, out, depth)
        return
    keys = sorted((len(text), text, key) for key in value for text in [_utf8(key)])
    out.append(_head(_MAP, len(keys)))
    for size, text, key in keys:
        out += _head(_TEXT, size), text
        _encode(value[key], out, depth)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | info]) + argument.to_bytes(size, "big")
    raise MalformedBlock("an integer over 64 bits cannot be written as dag-cbor: write bytes")


def _utf8(text: Value) -> bytes:
    if not isinstance(text, str):
        raise MalformedBlock(f"a map key of type {type(text).__name__}: dag-cbor has text keys")
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise MalformedBlock("text with a lone surrogate cannot be written as dag-cbor") from exc


def _decode(block: bytes, at: int, depth: int) -> tuple[Value, int]:
    lead = block[at] if at < len(block) else -1
    if lead in _SIMPLE:
        return _SIMPLE[lead], at + 1
    if lead == _FLOAT64:
        return _decode_float(block, at + 1)
    major, argument, at = _decode_head(block, at)
    if major == _UINT:
        return argument, at
    if major == _NEGATIVE:
        return -1 - argument, at
    if major in (_BYTES, _TEXT):
        return _decode_string(block, at, argument, text=major == _TEXT)
    if major == _TAG:
        return _decode_link(block, at, argument)
    if depth == 0 or argument > len(block) - at:  # each item has a byte: refuse before the work
        raise _refused(block, at, "too deep or cut short")
    if major == _LIST:
        return _decode_list(block, at, argument, depth - 1)
    return _decode_map(block, at, argument, depth - 1)


def _decode_head(block: bytes, at: int) -> tuple[int, int, int]:
    if at >= len(block):
        raise _refused(block, at, "cut short")
    major, info = divmod(block[at], 32)
    at += 1
    if info < 24 and major <= _TAG:
        return major, info, at
    if info > 27 or major > _TAG:
        raise _refused(block, at, "an indefinite length, short float or unknown simple value")
    size = 1 << info - 24
    argument = int.from_bytes(block[at : at + size], "big")
    if at + size > len(block) or argument < (24 if size == 1 else 1 << 4 * size):
        raise _refused(block, at, "cut short, or a number that is not in its shortest form")
    return major, argument, at + size


def _decode_float(block: bytes, at: int) -> tuple[float, int]:
    if at + 8 > len(block):
        raise _refused(block, at, "cut short")
    (value,) = struct.unpack_from(">d", block, at)
    if not math.isfinite(value):
        raise _refused(block, at, "a float that is not finite")
    return value, at + 8


def _decode_string(block: bytes, at: int, size: int, *, text: bool) -> tuple[str | bytes, int]:
    end = at + size
    if end > len(block):
        raise _refused(block, at, "cut short")
    try:
        return (block[at:end].decode() if text else block[at:end]), end
    except UnicodeDecodeError as exc:
        raise _refused(block, at, "text that is not UTF-8") from exc


def _decode_link(block: bytes, at: int, tag: int) -> tuple[Cid, int]:
    major, size, start = _decode_head(block, at)
    end = start + size
    if tag != 42 or end > len(block) or major != _BYTES or block[start : start + 1] != b"\x00":
        raise _refused(block, at, "a tag that is not a link")
    try:
        return Cid.from_bytes(block[start + 1 : end]), end
    except MalformedCid as exc:
        raise _refused(block, at, "a link that is no CIDv1 with sha2-256") from exc


def _decode_list(block: bytes, at: int, count: int, depth: int) -> tuple[list[Value], int]:
    items = []
    for _ in range(count):
        item, at = _decode(block, at, depth)
        items.append(item)
    return items, at


def _decode_map(block: bytes, at: int, count: int, depth: int) -> tuple[dict[str, Value], int]:
    items: dict[str, Value] = {}
    previous = (-1, b"")
    for _ in range(count):
        major, size, start = _decode_head(block, at)
        order = (size, block[start : start + size])
        if major != _TEXT or order <= previous:
            raise _refused(block, at, "a map key that is no text, occurs twice or out of order")
        previous = order
        key, at = _decode_string(block, start, size, text=True)
        items[str(key)], at = _decode(block, at, depth)
    return items, at


def _refused(block: bytes, at: int, why: str) -> MalformedBlock:
    return MalformedBlock(
        f"{len(block)} bytes are not canonical dag-cbor, at byte {at}: {why}; refuse the block, "
        "or check that its CID names a record and not a file"
    )
