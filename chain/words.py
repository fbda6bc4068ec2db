"""ABI encoding of what is sent and signed by the thousand: words, and lists of static structs.

eth-abi takes twenty times as long. It still encodes everything else, and judges every value that
does not fit its type, so that errors are its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from eth_abi import abi as eth_abi
from eth_abi.grammar import TupleType, parse

Encoder = Callable[[Any], bytes]

_UNFIT = (OverflowError, TypeError, ValueError, AttributeError)


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """What eth-abi's `encode` gives; structs are tuples, addresses and bytes as it takes them."""
    if (known := _encoders(tuple(types))) is not None and len(known) == len(values):
        try:
            return _joined(known, values)
        except _UNFIT:
            pass  # eth-abi says what is wrong
    return eth_abi.encode(types, values)


def _joined(encoders: Sequence[tuple[bool, int, Encoder]], values: Sequence[Any]) -> bytes:
    at = sum(size for _, size, _ in encoders)
    heads, tails = [], []
    for (dynamic, _, encoder), value in zip(encoders, values, strict=True):
        encoded = encoder(value)
        if not dynamic:
            heads.append(encoded)
            continue
        heads.append(at.to_bytes(32, "big"))
        tails.append(encoded)
        at += len(encoded)
    return b"".join(heads + tails)


@functools.cache
def _encoders(types: tuple[str, ...]) -> list[tuple[bool, int, Encoder]] | None:
    """Of each type: is it dynamic, the bytes of its head, its encoder. None: one is unknown."""
    found: list[tuple[bool, int, Encoder]] = []
    for kind in types:
        if kind == "bytes":
            found.append((True, 32, _bytes))
            continue
        dynamic = kind.endswith("[]")
        if (static := _static(kind.removesuffix("[]"))) is None:
            return None
        size, encoder = static
        found.append((True, 32, _listed(encoder)) if dynamic else (False, size, encoder))
    return found


def _static(kind: str) -> tuple[int, Encoder] | None:
    """The size in bytes and the encoder of a type without dynamic parts; None: not known here."""
    if kind.startswith("("):
        parsed = parse(kind)
        if not isinstance(parsed, TupleType) or parsed.arrlist:
            return None
        parts = [_static(inner.to_type_str()) for inner in parsed.components]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return sum(size for size, _ in known), _struct([encoder for _, encoder in known])
    if kind == "bytes32":
        return 32, _bytes32
    if kind == "address":
        return 32, _address
    if kind.startswith("uint") and kind[4:].isdigit():
        return 32, _uint(int(kind[4:]) // 8)
    return None


def _struct(encoders: Sequence[Encoder]) -> Encoder:
    return lambda value: b"".join(
        [encoder(item) for encoder, item in zip(encoders, value, strict=True)]
    )


def _listed(encoder: Encoder) -> Encoder:
    return lambda items: len(items).to_bytes(32, "big") + b"".join(map(encoder, items))


def _uint(size: int) -> Encoder:
    def encoder(value: Any) -> bytes:
        if value.__class__ is not int:
            raise TypeError("not an int")
        word: bytes = value.to_bytes(32, "big")
        if value >> 8 * size:
            raise OverflowError("more bits than the type has")
        return word

    return encoder


def _bytes32(value: Any) -> bytes:
    if value.__class__ is not bytes or len(value) != 32:
        raise ValueError("not 32 bytes")
    return value


def _bytes(value: Any) -> bytes:
    if value.__class__ is not bytes:
        raise TypeError("not bytes")
    return len(value).to_bytes(32, "big") + value + bytes(-len(value) % 32)


def _address(value: Any) -> bytes:
    if not value.startswith("0x") or len(value) != 42:
        raise ValueError("not an address")
    return bytes(12) + bytes.fromhex(value[2:])
