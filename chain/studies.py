"""Studies: the request of a research center, its terms, its hospitals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from chain.contract import Contract, build
from chain.types import Address, BlockNumber, Call, StudyId, Wei


class RewardRule(IntEnum):
    """How hospitals share what is set aside for them."""

    COUNT = 0
    CONTRIBUTION = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """A study's terms; the interface tells what each means. Times and periods are seconds."""

    spec: bytes
    state: bytes
    purposes: int
    token: Address
    hospital_pool: Wei
    bond: Wei
    demand_deposit: Wei
    end_by: int
    settle_by: int
    challenge_end: int
    claim_end: int
    refund_at: int
    freeze_period: int
    submit_period: int
    unmask_period: int
    finalize_period: int
    answer_period: int
    max_weight: int
    max_patients: int
    min_hospitals: int
    max_hospitals: int
    max_rounds: int
    threshold: int
    max_demands: int
    auditor_quorum: int
    masked: bool
    rule: RewardRule


@dataclass(frozen=True, slots=True)
class StudyOpened:
    """A center opened a study."""

    study: StudyId
    center: Address
    spec: bytes
    terms: Terms
    auditors: tuple[Address, ...]
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Invited:
    """A hospital may enrol."""

    study: StudyId
    hospital: Address
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A hospital approved the spec and got its index."""

    study: StudyId
    hospital: Address
    index: int
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Left:
    """A hospital takes part in no later round."""

    study: StudyId
    hospital: Address
    index: int
    block: BlockNumber
    log_index: int
    transaction: bytes


class Studies(Contract):
    """See contracts/interfaces/IStudies.sol."""

    name = "Studies"
    events: ClassVar[dict[str, type]] = {
        "StudyOpened": StudyOpened,
        "Invited": Invited,
        "Enrolled": Enrolled,
        "Left": Left,
    }

    def open(self, terms: Terms, auditors: Sequence[Address], funding: Wei) -> Call:
        """Only a center; moves `funding` from it into escrow."""
        return self._call("open", terms, auditors, funding)

    def invite(self, study: StudyId, hospital: Address) -> Call:
        """Only the study's center."""
        return self._call("invite", study, hospital)

    def enrol(self, study: StudyId, spec: bytes) -> Call:
        """Only an invited hospital; posts its bond."""
        return self._call("enrol", study, spec)

    def quit(self, study: StudyId) -> Call:
        """Only an enrolled hospital."""
        return self._call("quit", study)

    def is_invited(
        self, study: StudyId, hospital: Address, *, block_identifier: BlockNumber
    ) -> bool:
        """Whether the hospital may enrol."""
        return bool(self._read(block_identifier, "isInvited", study, hospital)[0])

    def count(self, *, block_identifier: BlockNumber) -> int:
        """Studies are numbered from 1 to this."""
        return int(self._read(block_identifier, "count")[0])

    def terms(self, study: StudyId, *, block_identifier: BlockNumber) -> Terms:
        """The study's terms."""
        found: Terms = build(Terms, self._read(block_identifier, "terms", study)[0])
        return found

    def center_of(self, study: StudyId, *, block_identifier: BlockNumber) -> Address:
        """The account that opened the study."""
        return Address(self._read(block_identifier, "centerOf", study)[0])

    def auditors_of(self, study: StudyId, *, block_identifier: BlockNumber) -> list[Address]:
        """The auditors whom the study names, in its order."""
        return list(self._read(block_identifier, "auditorsOf", study)[0])

    def is_auditor(
        self, study: StudyId, account: Address, *, block_identifier: BlockNumber
    ) -> bool:
        """Whether the study names this auditor."""
        return bool(self._read(block_identifier, "isAuditor", study, account)[0])

    def enrolled(self, study: StudyId, *, block_identifier: BlockNumber) -> int:
        """One bit per hospital that takes part in rounds opened from now on."""
        return int(self._read(block_identifier, "enrolled", study)[0])

    def hospital_count(self, study: StudyId, *, block_identifier: BlockNumber) -> int:
        """How many indices were given."""
        return int(self._read(block_identifier, "hospitalCount", study)[0])

    def hospital_at(self, study: StudyId, index: int, *, block_identifier: BlockNumber) -> Address:
        """The hospital with this index."""
        return Address(self._read(block_identifier, "hospitalAt", study, index)[0])

    def index_of(self, study: StudyId, hospital: Address, *, block_identifier: BlockNumber) -> int:
        """The index; raises TxReverted `NotEnrolled`."""
        return int(self._read(block_identifier, "indexOf", study, hospital)[0])

    def enrolments(self, study: StudyId, *, to_block: BlockNumber) -> list[Enrolled]:
        """All enrolments, in order."""
        return self._find(Enrolled, BlockNumber(0), to_block, study=study)

    def opened(self, study: StudyId, *, to_block: BlockNumber) -> StudyOpened:
        """The event that opened a study that exists."""
        return self._find(StudyOpened, BlockNumber(0), to_block, study=study)[0]
