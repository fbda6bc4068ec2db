"""CIDv1 over sha2-256: the only content addresses of this project.

Three codecs occur: raw (leaves, public keys), dag-pb (nodes of large files) and dag-cbor
(records). A chain holds the 32-byte digest alone; who reads it knows the codec from its meaning.
"""

import base64
import enum
import hashlib
from dataclasses import dataclass
from typing import Self

from storage.errors import MalformedCid

DIGEST_SIZE = 32
_VERSION = 0x01
_SHA2_256 = bytes([0x12, DIGEST_SIZE])  # multihash: function code, digest length


class Codec(enum.IntEnum):
    """Multicodec of a block; each fits one varint byte."""

    RAW = 0x55
    DAG_PB = 0x70
    DAG_CBOR = 0x71


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """Codec and sha2-256 digest (32 bytes) of one block. `str()` gives the base32 text."""

    codec: Codec
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.digest) != DIGEST_SIZE:
            raise MalformedCid(
                f"a CID needs a sha2-256 digest of 32 bytes, got {len(self.digest)}: pass the "
                "digest itself, neither its hex nor a whole CID"
            )

    def __bytes__(self) -> bytes:
        """36 bytes: version, codec, hash function, length, digest."""
        return bytes([_VERSION, self.codec]) + _SHA2_256 + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(bytes(self)).decode("ascii").rstrip("=").lower()

    def __repr__(self) -> str:
        return f"Cid({self})"

    @classmethod
    def of(cls, codec: Codec, block: bytes | memoryview) -> Self:
        """The CID of a block's bytes."""
        return cls(codec, hashlib.sha256(block).digest())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of `bytes(cid)`; raises MalformedCid."""
        if len(data) != 2 + len(_SHA2_256) + DIGEST_SIZE or data[0] != _VERSION:
            raise _malformed(data.hex())
        if data[2:4] != _SHA2_256 or data[1] not in Codec.__members__.values():
            raise _malformed(data.hex())
        return cls(Codec(data[1]), bytes(data[4:]))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Inverse of `str(cid)`, of its one canonical spelling; raises MalformedCid."""
        padded = text[1:].upper() + "=" * (-(len(text) - 1) % 8)
        try:
            cid = cls.from_bytes(base64.b32decode(padded))
        except (ValueError, MalformedCid) as exc:  # b32decode raises the first
            raise _malformed(text) from exc
        if str(cid) != text:  # upper case, spare bits, another multibase
            raise _malformed(text)
        return cid


def dag_cbor_cid(digest: bytes) -> Cid:
    """The CID of the record with this sha2-256 digest (32 bytes)."""
    return Cid(Codec.DAG_CBOR, digest)


def raw_cid(digest: bytes) -> Cid:
    """The CID of the raw block with this sha2-256 digest (32 bytes)."""
    return Cid(Codec.RAW, digest)


def _malformed(text: str) -> MalformedCid:
    return MalformedCid(
        f"{text[:80]!r} is not a CIDv1 with sha2-256 over raw, dag-pb or dag-cbor: "
        "pass the text that the store gave (it begins with 'bafk' or 'bafy')"
    )
