"""The one way in which this package turns objects into bytes: canonical dag-cbor.

Maps are ordered by their keys' bytes (shorter first), integers and lengths take their shortest
form, floats are always 64 bits, NaN and infinities do not exist. One object has one encoding, so a
digest of the bytes stands for the object. Source: the IPLD dag-cbor specification, RFC 8949.
"""

from __future__ import annotations

import hashlib
from typing import Any, NewType, TypeAlias

from federated.errors import CanonicalError
from storage import dagcbor
from storage.errors import MalformedBlock

Digest = NewType("Digest", bytes)
"""32 bytes of sha2-256: what a CID of the same bytes (raw or dag-cbor codec) carries."""

Value: TypeAlias = Any
"""None, bool, int in [-2⁶⁴, 2⁶⁴), finite float, str, bytes, list, or dict with text keys.

Amounts of money exceed 64 bits and are 32 bytes (`wei_bytes`).
"""

MAX_BYTES = 1 << 30
"""Longest input that `decode` looks at."""


def encode(value: Value) -> bytes:
    """Canonical dag-cbor of `value`; tuples count as lists. Raises `CanonicalError`."""
    try:
        return dagcbor.encode(value)
    except MalformedBlock as exc:
        raise CanonicalError(f"cannot encode: {exc}") from exc


def decode(data: bytes) -> Value:
    """The value whose one canonical encoding is `data`; anything else raises `CanonicalError`."""
    if len(data) > MAX_BYTES:
        raise CanonicalError(f"cannot decode {len(data)} bytes: the limit is {MAX_BYTES}")
    try:
        return dagcbor.decode(data)
    except MalformedBlock as exc:
        raise CanonicalError(f"cannot decode: {exc}") from exc


def digest(data: bytes) -> Digest:
    """sha2-256 of `data`, 32 bytes."""
    return Digest(hashlib.sha256(data).digest())


def tagged_hash(tag: str, *parts: Value) -> Digest:
    """H(tag, *parts) = sha2-256 of canonical dag-cbor `[tag, part, …]`.

    The tag separates domains: no two uses share one, and none is empty.
    """
    if not tag:
        raise CanonicalError("cannot hash: the tag is empty; name the use")
    return digest(encode([tag, *parts]))


def wei_bytes(amount: int) -> bytes:
    """An amount as 32 bytes, big-endian, as in the EVM: dag-cbor integers end at 64 bits."""
    if not 0 <= amount < 1 << 256:
        raise CanonicalError("cannot encode an amount: it is not in [0, 2**256)")
    return amount.to_bytes(32, "big")
