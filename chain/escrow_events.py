"""What Escrow tells of: its events."""

from __future__ import annotations

from dataclasses import dataclass

from chain.types import Address, AgreementId, BlockNumber, ConsentId, StudyId, Wei


@dataclass(frozen=True, slots=True)
class Funded:
    """Money came in."""

    study: StudyId
    sender: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Reserved:
    """Prices were reserved."""

    study: StudyId
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class PatientPaid:
    """A person was paid the tier's price."""

    study: StudyId
    agreement: AgreementId
    id: ConsentId
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class BonusPaid:
    """A person was paid a share of the patients' pot."""

    study: StudyId
    agreement: AgreementId
    id: ConsentId
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class HospitalPaid:
    """A hospital was paid its share."""

    study: StudyId
    hospital: Address
    index: int
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class RewardRootPosted:
    """The center posted the root of the hospitals' shares."""

    study: StudyId
    root: bytes
    total: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class RewardRootRejected:
    """An auditor voted against the root."""

    study: StudyId
    auditor: Address
    votes: int
    rejected: bool
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Refunded:
    """Money returned to the center."""

    study: StudyId
    center: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class BondPosted:
    """A hospital's bond came in."""

    study: StudyId
    hospital: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class BondReturned:
    """A hospital's bond left."""

    study: StudyId
    hospital: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class BondTaken:
    """A voided hospital's bond went to the patients' pot."""

    study: StudyId
    hospital: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class DepositTaken:
    """A demand's deposit came in."""

    study: StudyId
    sender: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class DepositCredited:
    """A deposit is due to an account."""

    study: StudyId
    to: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class DepositWithdrawn:
    """An account took its deposits."""

    study: StudyId
    account: Address
    amount: Wei
    block: BlockNumber
    log_index: int
    transaction: bytes
