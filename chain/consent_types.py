"""What Consents takes and stores: messages, withdrawals, a consent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from eth_abi.abi import encode

from chain.keccak import keccak
from chain.types import Address, AgreementId, BlockNumber, ConsentId, StudyId, Wei


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


def consent_id(key: Address, agreement: AgreementId, nonce: int = 0) -> ConsentId:
    """keccak256(abi.encode(key, agreement, nonce))."""
    packed = encode(["address", "uint256", "uint64"], [key, agreement, nonce])
    return ConsentId(keccak(packed))
