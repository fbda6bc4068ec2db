"""How values stand in JSON: bytes as 0x-hexadecimal, amounts as decimal text, times in seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from chain.types import Address
from federated.study import checksummed

_HEX = "0123456789abcdef"

Digest = Annotated[
    str, Field(pattern="^0x[0-9a-f]{64}$", description="32 bytes.", examples=["0x" + _HEX * 4])
]
Hex = Annotated[str, Field(pattern="^0x([0-9a-f]{2})*$", description="Bytes.")]
Account = Annotated[
    str,
    Field(
        pattern="^0x[0-9a-fA-F]{40}$",
        description="An account, with its checksum (EIP-55).",
        examples=["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
    ),
]
Wei = Annotated[
    str,
    Field(
        pattern="^[0-9]{1,78}$",
        description="Smallest units of the study's token, decimal text: 256 bits exceed JSON's "
        "numbers.",
        examples=["2500000000000000000"],
    ),
]
Seconds = Annotated[
    int, Field(ge=0, description="Seconds of the chain's time (Unix).", examples=[1801353600])
]
BlockNo = Annotated[int, Field(ge=0, description="Number of a block.", examples=[214])]

MOST = (1 << 53) - 1  # what every JSON reader holds exactly


def _hex(text: str) -> str:
    return "0x" + text.removeprefix("0x").lower()


def _whole(value: object) -> object:
    """1.0 is a whole number to JSON Schema, and one of JSON's spellings of 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


DigestIn = Annotated[
    str,
    Field(
        pattern="^(0x)?[0-9a-fA-F]{64}$",
        description="32 bytes, hexadecimal, with or without 0x.",
        examples=["0x" + _HEX * 4],
    ),
    AfterValidator(_hex),
]
SignatureIn = Annotated[
    str,
    Field(
        pattern="^(0x)?[0-9a-fA-F]{130}$",
        description="65 bytes r, s, v, hexadecimal.",
        examples=["0x" + _HEX * 8 + "1b"],
    ),
    AfterValidator(_hex),
]
AccountIn = Annotated[
    str,
    Field(
        pattern="^0x[0-9a-fA-F]{40}$",
        description="An account; the signature covers it, so its checksum is not asked for.",
        examples=["0x70997970c51812dc3a010c7d01b50e0d17dc79c8"],
    ),
    AfterValidator(checksummed),
]
WordIn = Annotated[
    str,
    Field(
        pattern="^[0-9]{1,77}$",
        description="A whole number of at most 77 digits, which fit 256 bits, as decimal text.",
        examples=["15000000000000000000"],
    ),
]
Number = Annotated[
    int,
    Field(strict=True, ge=1, le=MOST, description="A number, from 1.", examples=[1]),
    BeforeValidator(_whole),
]
Nonce = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MOST,
        description="0 for a key's first consent; one more after each withdrawal.",
        examples=[0],
    ),
    BeforeValidator(_whole),
]
Until = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=MOST,
        description="Until which second of the chain's time it may be sent.",
        examples=[1801353600],
    ),
    BeforeValidator(_whole),
]


class Answer(BaseModel):
    """Base of what the API answers."""

    model_config = ConfigDict(frozen=True)


class Given(BaseModel):
    """Base of what the API is given: nothing more than it names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def shown(data: bytes) -> str:
    """Bytes as text."""
    return "0x" + data.hex()


def some(data: bytes) -> str | None:
    """Bytes as text; None where the chain holds zero for nothing."""
    return shown(data) if any(data) else None


def raw(text: str) -> bytes:
    """The inverse of `shown`."""
    return bytes.fromhex(text.removeprefix("0x"))


def account(text: str) -> Address:
    """An account that was checked."""
    return Address(text)


def bits(word: int) -> list[int]:
    """Indices of hospitals in a word of one bit each."""
    return [index for index in range(256) if word >> index & 1]
