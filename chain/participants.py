"""Participants: who takes part, in which role, with which keys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from chain.contract import Contract, build
from chain.types import Address, BlockNumber, Call


class Role(IntEnum):
    """One account has one role; patients have none."""

    NONE = 0
    HOSPITAL = 1
    CENTER = 2
    AUDITOR = 3


@dataclass(frozen=True, slots=True)
class Keys:
    """Ed25519 public key, sha2-256 of the HPKE public key, first block at which they hold."""

    signing: bytes
    encryption: bytes
    from_block: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """An account got its role."""

    account: Address
    role: Role
    metadata: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Dismissed:
    """An account lost its role."""

    account: Address
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class KeysSet:
    """An account published keys."""

    account: Address
    signing: bytes
    encryption: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Described:
    """An account changed the digest of its public description."""

    account: Address
    metadata: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class KeysRevoked:
    """No keys of an account hold from this block on."""

    account: Address
    block: BlockNumber
    log_index: int
    transaction: bytes


class Participants(Contract):
    """See contracts/interfaces/IParticipants.sol."""

    name = "Participants"
    events: ClassVar[dict[str, type]] = {
        "Admitted": Admitted,
        "Dismissed": Dismissed,
        "Described": Described,
        "KeysRevoked": KeysRevoked,
        "KeysSet": KeysSet,
    }

    def admit(self, account: Address, role: Role, metadata: bytes) -> Call:
        """Only the operator."""
        return self._call("admit", account, role, metadata)

    def dismiss(self, account: Address) -> Call:
        """Only the operator."""
        return self._call("dismiss", account)

    def set_keys(self, signing: bytes, encryption: bytes) -> Call:
        """The sender's keys from the block that mines this."""
        return self._call("setKeys", signing, encryption)

    def revoke_keys(self) -> Call:
        """The sender has no keys from the block that mines this, until it sets new ones."""
        return self._call("revokeKeys")

    def describe(self, metadata: bytes) -> Call:
        """Changes the digest of the sender's public description."""
        return self._call("describe", metadata)

    def authority(self, *, block_identifier: BlockNumber) -> Address:
        """The access manager that says who may admit and dismiss."""
        return Address(self._read(block_identifier, "authority")[0])

    def role_of(self, account: Address, *, block_identifier: BlockNumber) -> Role:
        """`Role.NONE` for an account that was never admitted."""
        return Role(self._read(block_identifier, "roleOf", account)[0])

    def metadata_of(self, account: Address, *, block_identifier: BlockNumber) -> bytes:
        """Digest of the public description."""
        return bytes(self._read(block_identifier, "metadataOf", account)[0])

    def keys_at(
        self, account: Address, block: BlockNumber, *, block_identifier: BlockNumber
    ) -> Keys:
        """The keys that held at the end of a block; all zero where none did."""
        found: Keys = build(Keys, self._read(block_identifier, "keysAt", account, block)[0])
        return found

    def admitted(self, *, to_block: BlockNumber, account: Address | None = None) -> list[Admitted]:
        """Every admission, or every one of an account, in order."""
        return self._find(Admitted, BlockNumber(0), to_block, account=account)

    def revoked(
        self, account: Address, *, from_block: BlockNumber, to_block: BlockNumber
    ) -> list[KeysRevoked]:
        """An account's revocations in a range of blocks, in order."""
        return self._find(KeysRevoked, from_block, to_block, account=account)
