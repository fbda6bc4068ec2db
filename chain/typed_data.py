"""What people sign: the EIP-712 messages of the contracts, defined once for Python.

Each message is a dataclass whose fields are those of the Solidity type in its order. `digest` is
what a wallet shows and signs; `sign` gives 65 bytes r ‖ s ‖ v, `compact` the 64 of ERC-2098.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

import coincurve
from eth_utils.address import to_checksum_address

from chain.errors import BadSignature
from chain.keccak import keccak
from chain.types import Address, AgreementId, ConsentId, StudyId, Wei
from chain.words import encode

_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a message counts: one chain, one contract."""

    chain_id: int
    contract: Address

    def separator(self) -> bytes:
        """hashStruct of the EIP712Domain, name "Consilium", version "1"."""
        return _separator(self)


@functools.lru_cache
def _separator(domain: Domain) -> bytes:
    types = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
    names = [keccak(text.encode()) for text in (_DOMAIN, "Consilium", "1")]
    return keccak(encode(types, [*names, domain.chain_id, domain.contract]))


@functools.cache
def _shape(message: Any) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """Of a type of messages: its hash, the types of its fields, and their names in Python."""
    inner = ",".join(f"{kind} {name}" for kind, name in message.types)
    head = keccak(f"{message.__name__}({inner})".encode())
    return head, tuple(kind for kind, _ in message.types), tuple(f.name for f in fields(message))


@dataclass(frozen=True)
class Message:
    """Base of the messages; `types` are the Solidity types of the fields, with their names."""

    types: ClassVar[tuple[tuple[str, str], ...]]

    def struct_hash(self) -> bytes:
        """hashStruct of EIP-712; no field is dynamic."""
        head, kinds, names = _shape(cast(Any, type(self)))
        return keccak(head + encode(kinds, [getattr(self, name) for name in names]))

    def encoded(self, domain: Domain) -> bytes:
        """What a signer is given that hashes by itself."""
        return b"\x19\x01" + domain.separator() + self.struct_hash()

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that are signed."""
        return keccak(self.encoded(domain))


@dataclass(frozen=True)
class Grant(Message):
    """A patient's consent; price, purposes and notAfter repeat the tier's for the wallet."""

    types = (
        ("bytes32", "id"),
        ("uint256", "study"),
        ("uint256", "agreement"),
        ("uint256", "price"),
        ("uint256", "purposes"),
        ("uint64", "notAfter"),
        ("uint64", "nonce"),
        ("uint64", "deadline"),
    )
    id: ConsentId
    study: StudyId
    agreement: AgreementId
    price: Wei
    purposes: int
    not_after: int
    nonce: int
    deadline: int


@dataclass(frozen=True)
class Revoke(Message):
    """A patient's withdrawal."""

    types = (("bytes32", "id"), ("uint64", "deadline"))
    id: ConsentId
    deadline: int


@dataclass(frozen=True)
class Supersede(Message):
    """A patient's word, by both keys, that one consent stands in the place of another."""

    types = (("bytes32", "id"), ("bytes32", "by"), ("uint64", "deadline"))
    id: ConsentId
    by: ConsentId
    deadline: int


@dataclass(frozen=True)
class Admission(Message):
    """A hospital's word that the ids of a batch are its patients'; `ids` from `hash_ids`."""

    types = (("uint256", "agreement"), ("bytes32", "ids"), ("uint64", "deadline"))
    agreement: AgreementId
    ids: bytes
    deadline: int


@dataclass(frozen=True)
class CounterOffer(Message):
    """A patient's answer to a tier."""

    types = (
        ("uint256", "agreement"),
        ("uint256", "price"),
        ("uint256", "purposes"),
        ("uint64", "notAfter"),
        ("uint64", "expiry"),
        ("bytes32", "salt"),
    )
    agreement: AgreementId
    price: Wei
    purposes: int
    not_after: int
    expiry: int
    salt: bytes


@dataclass(frozen=True)
class CancelCounterOffer(Message):
    """A patient takes a counter-offer back; `offer` is its digest."""

    types = (("bytes32", "offer"), ("uint64", "deadline"))
    offer: bytes
    deadline: int


@dataclass(frozen=True)
class Claim(Message):
    """A patient names who gets the price; `id` is the one that stands in the cohort."""

    types = (("bytes32", "id"), ("address", "recipient"), ("uint64", "deadline"))
    id: ConsentId
    recipient: Address
    deadline: int


@dataclass(frozen=True)
class ClaimBonus(Message):
    """A patient names who gets the share of the pot; `id` is that of nonce 0."""

    types = (("bytes32", "id"), ("address", "recipient"), ("uint64", "deadline"))
    id: ConsentId
    recipient: Address
    deadline: int


def hash_ids(ids: Sequence[ConsentId]) -> bytes:
    """keccak256(abi.encodePacked(ids))."""
    return keccak(b"".join(ids))


def sign(key: bytes, message: Message, domain: Domain) -> bytes:
    """65 bytes r ‖ s ‖ v by a private key of 32 bytes; s is low, as the contracts ask."""
    raw = coincurve.PrivateKey(key).sign_recoverable(message.digest(domain), hasher=None)
    return raw[:64] + bytes([27 + raw[64]])


def compact(signature: bytes) -> tuple[bytes, bytes]:
    """(r, vs) of ERC-2098: the recovery bit on top of s."""
    vs = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32], vs.to_bytes(32, "big")


def expand(r: bytes, vs: bytes) -> bytes:
    """The inverse of `compact`."""
    word = int.from_bytes(vs, "big")
    return r + (word & ((1 << 255) - 1)).to_bytes(32, "big") + bytes([27 + (word >> 255)])


def recover(signature: bytes, message: Message, domain: Domain) -> Address:
    """The account that signed. Raises `BadSignature` for bytes that are no signature."""
    return Address(to_checksum_address(recover_bytes(signature, message.digest(domain))))


def recover_bytes(signature: bytes, digest: bytes) -> bytes:
    """What `recover` gives, as the address's 20 bytes. Raises `BadSignature`."""
    s = int.from_bytes(signature[32:64], "big")
    if len(signature) != 65 or signature[64] not in (27, 28) or s > _ORDER // 2:
        raise BadSignature("not a signature of 65 bytes with a low s: ask for it to be made again")
    try:
        public = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), digest, hasher=None
        )
    except Exception as exc:
        raise BadSignature("a signature from which no key can be recovered") from exc
    return keccak(public.format(compressed=False)[1:])[12:]
