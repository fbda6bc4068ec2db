"""Attestations: an auditor's verdict, recorded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from chain.contract import Contract
from chain.types import Address, BlockNumber, Call, RoundNumber, StudyId


class Level(IntEnum):
    """What the auditor could check."""

    NONE = 0
    KEYLESS = 1
    KEYED = 2


class Verdict(IntEnum):
    """What the auditor found."""

    NONE = 0
    OK = 1
    TAMPERED = 2
    INCOMPLETE = 3


@dataclass(frozen=True, slots=True)
class Attestation:
    """An auditor's standing verdict; `report` is a digest."""

    level: Level
    verdict: Verdict
    report: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """How many auditors hold each verdict."""

    ok: int
    tampered: int
    incomplete: int


@dataclass(frozen=True, slots=True)
class Attested:
    """An auditor recorded a verdict."""

    study: StudyId
    round: RoundNumber
    auditor: Address
    level: Level
    verdict: Verdict
    report: bytes
    block: BlockNumber
    log_index: int
    transaction: bytes


class Attestations(Contract):
    """See contracts/interfaces/IAttestations.sol."""

    name = "Attestations"
    events: ClassVar[dict[str, type]] = {"Attested": Attested}

    def attest(
        self, study: StudyId, number: RoundNumber, level: Level, verdict: Verdict, report: bytes
    ) -> Call:
        """Only an auditor."""
        return self._call("attest", study, number, level, verdict, report)

    def verdict_of(
        self,
        study: StudyId,
        number: RoundNumber,
        auditor: Address,
        *,
        block_identifier: BlockNumber,
    ) -> Attestation:
        """The auditor's standing verdict; all zero where it has none."""
        level, verdict, report = self._read(block_identifier, "verdictOf", study, number, auditor)
        return Attestation(Level(level), Verdict(verdict), bytes(report))

    def counts(
        self, study: StudyId, number: RoundNumber, *, block_identifier: BlockNumber
    ) -> Counts:
        """How many auditors hold each verdict now."""
        return Counts(*self._read(block_identifier, "counts", study, number))

    def attested(self, study: StudyId, *, to_block: BlockNumber) -> list[Attested]:
        """Every verdict on a study."""
        return self._find(Attested, BlockNumber(0), to_block, study=study)
