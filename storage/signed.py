"""Signed records: a canonical dag-cbor block with a tag, a body, its signer and a signature.

    {"body": map, "signature": 64 bytes, "signer": {"address": 20, "key": 32 bytes}, "tag": text}

The signature is over `tag ‖ sha256(dag-cbor of the same map without "signature")`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from storage import dagcbor
from storage.cid import dag_cbor_cid
from storage.errors import MalformedRecord, WrongSigner
from storage.signing import (
    ADDRESS_SIZE,
    PUBLIC_SIZE,
    SIGNATURE_SIZE,
    Sender,
    Signer,
    verify_signature,
)

Shape = Mapping[str, type | int]
"""What a map holds: under each key a type, or bytes of that length. No key more, none less."""

_RECORD: Shape = {"body": dict, "signature": SIGNATURE_SIZE, "signer": dict, "tag": str}
_SIGNER: Shape = {"address": ADDRESS_SIZE, "key": PUBLIC_SIZE}


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A verified record: sha2-256 of its block, who signed it, and the body."""

    digest: bytes
    signer: Signer
    body: dict[str, dagcbor.Value]


def sign_record(tag: str, body: Mapping[str, dagcbor.Value], sender: Sender) -> bytes:
    """The block of a new record; deterministic."""
    signer = {"address": sender.address, "key": sender.signing_key.public}
    unsigned = {"body": body, "signer": signer, "tag": tag}
    signature = sender.signing_key.sign(tag, _digest(unsigned))
    return dagcbor.encode(unsigned | {"signature": signature})


def open_record(tag: str, block: bytes, shape: Shape) -> SignedRecord:
    """The record of a block whose signature and body's shape hold.

    Raises MalformedBlock, MalformedRecord, BadSignature. Whether the signer is the right one is
    the caller's to ask (`expect_signer`).
    """
    digest = hashlib.sha256(block).digest()
    where = f"record {dag_cbor_cid(digest)}"
    record = check_shape(dagcbor.decode(block), _RECORD, where)
    if record["tag"] != tag:
        raise MalformedRecord(f"{where} is a {record['tag'][:64]!r}, not a {tag!r}: check the CID")
    signer = check_shape(record["signer"], _SIGNER, where)
    unsigned = {key: value for key, value in record.items() if key != "signature"}
    verify_signature(signer["key"], tag, _digest(unsigned), record["signature"])
    body = check_shape(record["body"], shape, where)
    return SignedRecord(digest, Signer(signer["address"], signer["key"]), body)


def expect_signer(record: str, signer: Signer, expected: Signer) -> None:
    """Raise WrongSigner unless both are the same."""
    if signer != expected:
        raise WrongSigner(
            f"{record} is signed by {signer}, expected {expected}: refuse it, or look up the "
            "signing key that was registered at that block"
        )


def check_shape(value: dagcbor.Value, shape: Shape, where: str) -> dict[str, dagcbor.Value]:
    """The value itself if it is a map of this shape, else MalformedRecord."""
    if not isinstance(value, dict) or value.keys() != shape.keys():
        raise MalformedRecord(f"{where} does not have the fields {', '.join(sorted(shape))}")
    for key, wanted in shape.items():
        item = value[key]
        if isinstance(wanted, int):
            if not isinstance(item, bytes) or len(item) != wanted:
                raise MalformedRecord(f"{where}: {key!r} is not {wanted} bytes")
        elif type(item) is not wanted:  # exactly: True is no integer here
            raise MalformedRecord(f"{where}: {key!r} is not {wanted.__name__}")
    return value


def _digest(unsigned: Mapping[str, dagcbor.Value]) -> bytes:
    return hashlib.sha256(dagcbor.encode(unsigned)).digest()
