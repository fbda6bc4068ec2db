"""What Consents tells of: its events."""

from __future__ import annotations

from dataclasses import dataclass

from chain.consent_types import Reason, Skip
from chain.types import Address, AgreementId, BlockNumber, ConsentId


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
