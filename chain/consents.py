"""Consents: granted by signature and admission, withdrawn by the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from eth_abi.abi import encode

from chain.contract import Contract, build
from chain.keccak import keccak
from chain.types import Address, AgreementId, BlockNumber, Call, ConsentId, StudyId, Wei

CHUNK = 5000
"""Ids asked for in one call: some 10 million gas of reading."""


class Skip(IntEnum):
    """Why a message of a batch was skipped."""

    NONE = 0
    BAD_SIGNATURE = 1
    EXPIRED = 2
    ALREADY_USED = 3
    PREVIOUS_NOT_REVOKED = 4
    TIER_CLOSED = 5
    TIER_FULL = 6
    HOSPITAL_FULL = 7
    NO_MONEY = 8
    TIER_EXPIRED = 9
    UNKNOWN_AGREEMENT = 10


class Reason(IntEnum):
    """Why a consent was withdrawn."""

    NONE = 0
    PATIENT = 1
    PAPER = 2
    KEY_LOST = 3
    DIED = 4
    ERASURE = 5
    SUPERSEDED = 6


@dataclass(frozen=True, slots=True)
class GrantMessage:
    """A signed grant as a batch carries it; `r` and `vs` are ERC-2098."""

    id: ConsentId
    nonce: int
    deadline: int
    r: bytes
    vs: bytes


@dataclass(frozen=True, slots=True)
class RevokeMessage:
    """A signed withdrawal as a batch carries it."""

    key: Address
    agreement: AgreementId
    nonce: int
    deadline: int
    r: bytes
    vs: bytes


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal by the hospital: the preimage of the id, and why."""

    key: Address
    agreement: AgreementId
    nonce: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Signed:
    """The preimage of a consent's id, and its key's signature."""

    key: Address
    agreement: AgreementId
    nonce: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Consent:
    """One slot; `granted` (Solidity: from) and `revoked` are blocks, 0 where it never happened."""

    granted: int
    revoked: int
    agreement: AgreementId
    reason: Reason
    reserved: bool
    paid: bool
    bonus_paid: bool

    def active_at(self, block: BlockNumber) -> bool:
        """Active at the end of the block."""
        return 0 < self.granted <= block and (not self.revoked or block < self.revoked)


@dataclass(frozen=True, slots=True)
class Payment:
    """What Escrow learns of a consent, its tier and the key that claims; see `IConsents`."""

    agreement: AgreementId
    price: Wei
    hospital: Address
    study: StudyId
    not_after: int
    covers: bool
    active: bool
    owned: bool
    due: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """Consents that took effect in one batch."""

    agreement: AgreementId
    hospital: Address
    ids: tuple[ConsentId, ...]
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class GrantSkipped:
    """A grant of a batch that took no effect."""

    agreement: AgreementId
    id: ConsentId
    reason: Skip
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Revoked:
    """A consent that ended, or was burned."""

    agreement: AgreementId
    hospital: Address
    id: ConsentId
    reason: Reason
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Amended:
    """A hospital corrected why it withdrew; `record` is the digest of its statement."""

    agreement: AgreementId
    hospital: Address
    id: ConsentId
    before: Reason
    reason: Reason
    record: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Superseded:
    """The consent `by` stands in the place of another, which is withdrawn."""

    agreement: AgreementId
    hospital: Address
    id: ConsentId
    by: ConsentId
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class RevokeSkipped:
    """A withdrawal of a batch that took no effect."""

    agreement: AgreementId
    id: ConsentId
    reason: Skip
    block: BlockNumber
    log_index: int
    transaction: bytes


def consent_id(key: Address, agreement: AgreementId, nonce: int = 0) -> ConsentId:
    """keccak256(abi.encode(key, agreement, nonce))."""
    packed = encode(["address", "uint256", "uint64"], [key, agreement, nonce])
    return ConsentId(keccak(packed))


class Consents(Contract):
    """See contracts/interfaces/IConsents.sol."""

    name = "Consents"
    events: ClassVar[dict[str, type]] = {
        "Granted": Granted,
        "GrantSkipped": GrantSkipped,
        "Revoked": Revoked,
        "RevokeSkipped": RevokeSkipped,
        "Amended": Amended,
        "Superseded": Superseded,
    }

    def grant_batch(
        self,
        agreement: AgreementId,
        messages: Sequence[GrantMessage],
        admission_deadline: int = 0,
        admission: bytes = b"",
    ) -> Call:
        """`admission` is empty where the tier's hospital sends the batch itself."""
        return self._call("grantBatch", agreement, messages, admission_deadline, admission)

    def grant_by_sig(
        self,
        key: Address,
        agreement: AgreementId,
        nonce: int,
        deadline: int,
        signature: bytes,
        admission_deadline: int = 0,
        admission: bytes = b"",
    ) -> Call:
        """One consent; the key may be a contract (ERC-1271)."""
        message = (key, agreement, nonce, deadline, signature)
        return self._call("grantBySig", *message, admission_deadline, admission)

    def revoke(self, agreement: AgreementId, nonce: int) -> Call:
        """Sent by the key itself."""
        return self._call("revoke", agreement, nonce)

    def revoke_by_sig(
        self, key: Address, agreement: AgreementId, nonce: int, deadline: int, signature: bytes
    ) -> Call:
        """Sent by anyone with the key's signature."""
        return self._call("revokeBySig", key, agreement, nonce, deadline, signature)

    def revoke_batch(self, messages: Sequence[RevokeMessage]) -> Call:
        """Sent by anyone."""
        return self._call("revokeBatch", messages)

    def revoke_by_hospital(self, withdrawals: Sequence[Withdrawal]) -> Call:
        """Sent by the agreements' hospital."""
        return self._call("revokeByHospital", withdrawals)

    def amend(self, corrected: Withdrawal, record: bytes) -> Call:
        """Only the agreement's hospital, of a withdrawal that it made; `record` says why."""
        return self._call("amend", corrected, record)

    def supersede(self, old: Signed, successor: Signed, deadline: int) -> Call:
        """Sent by anyone with both keys' signatures of `Supersede`."""
        return self._call("supersede", old, successor, deadline)

    def hash_supersede(
        self, consent: ConsentId, by: ConsentId, deadline: int, *, block_identifier: BlockNumber
    ) -> bytes:
        """What `Supersede.digest` computes."""
        return bytes(self._read(block_identifier, "hashSupersede", consent, by, deadline)[0])

    def pay(self, consent: ConsentId, key: Address, nonce: int, block: BlockNumber) -> Call:
        """Only Escrow."""
        return self._call("pay", consent, key, nonce, block)

    def mark_bonus_paid(self, key: Address, agreement: AgreementId) -> Call:
        """Only Escrow."""
        return self._call("markBonusPaid", key, agreement)

    def id_of(
        self, key: Address, agreement: AgreementId, nonce: int, *, block_identifier: BlockNumber
    ) -> ConsentId:
        """What `consent_id` computes."""
        return ConsentId(self._read(block_identifier, "idOf", key, agreement, nonce)[0])

    def consent(self, consent: ConsentId, *, block_identifier: BlockNumber) -> Consent:
        """The slot of an id."""
        found: Consent = build(Consent, self._read(block_identifier, "consent", consent)[0])
        return found

    def active_at(
        self, ids: Sequence[ConsentId], block: BlockNumber, *, block_identifier: BlockNumber
    ) -> list[bool]:
        """For each id: active at the end of `block`?"""
        flags: list[bool] = []
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            words = self._read(block_identifier, "activeAt", part, block)[0]
            flags += [bool(words[place // 256] >> place % 256 & 1) for place in range(len(part))]
        return flags

    def is_active(
        self, consent: ConsentId, block: BlockNumber, *, block_identifier: BlockNumber
    ) -> bool:
        """Active at the end of `block`?"""
        return bool(self._read(block_identifier, "isActive", consent, block)[0])

    def hash_grant(
        self,
        consent: ConsentId,
        agreement: AgreementId,
        nonce: int,
        deadline: int,
        *,
        block_identifier: BlockNumber,
    ) -> bytes:
        """The contract's EIP-712 digest."""
        message = (consent, agreement, nonce, deadline)
        return bytes(self._read(block_identifier, "hashGrant", *message)[0])

    def hash_revoke(
        self, consent: ConsentId, deadline: int, *, block_identifier: BlockNumber
    ) -> bytes:
        """The contract's EIP-712 digest."""
        return bytes(self._read(block_identifier, "hashRevoke", consent, deadline)[0])

    def hash_admission(
        self,
        agreement: AgreementId,
        ids: Sequence[ConsentId],
        deadline: int,
        *,
        block_identifier: BlockNumber,
    ) -> bytes:
        """The contract's EIP-712 digest."""
        return bytes(self._read(block_identifier, "hashAdmission", agreement, ids, deadline)[0])

    def granted(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[Granted]:
        """Batches that took effect."""
        return self._find(Granted, BlockNumber(0), to_block, agreement=agreement)

    def grants_skipped(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[GrantSkipped]:
        """Grants that took no effect."""
        return self._find(GrantSkipped, BlockNumber(0), to_block, agreement=agreement)

    def revoked(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[Revoked]:
        """Consents that ended."""
        return self._find(Revoked, BlockNumber(0), to_block, agreement=agreement)

    def revokes_skipped(
        self, *, to_block: BlockNumber, agreement: AgreementId | None = None
    ) -> list[RevokeSkipped]:
        """Withdrawals that took no effect."""
        return self._find(RevokeSkipped, BlockNumber(0), to_block, agreement=agreement)
