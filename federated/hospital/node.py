"""What a hospital's node holds besides a party's keys: its records and who consented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from federated.hospital.outcome import outcome_of
from federated.party import Party
from federated.spec import StudySpec
from records.cohort import Criterion, eligible
from records.consents import ConsentTable
from records.dictionary import Dictionary, Field
from records.record import LocalKey, Record
from records.splits import Part, assign
from records.store import RecordStore


@dataclass(frozen=True, slots=True)
class HospitalNode:
    """`party.name` seeds splits and shuffles, so it stays the same over a study.

    `policy` is where the home has its policy, read anew for each step.
    """

    party: Party
    records: RecordStore
    consents: ConsentTable
    policy: Path | None = None

    def eligible_records(self, spec: StudySpec) -> list[Record]:
        """The records that the study could use if their patients consent, by local key."""
        criteria = [Criterion(c.field, c.minimum, c.maximum) for c in spec.data.eligibility]
        found = self.records.records(spec.data.dictionary)
        return eligible(found, dictionary_of(spec), criteria)

    def parts(self, spec: StudySpec) -> Mapping[LocalKey, Part]:
        """Which part each eligible record plays, whoever consents."""
        return self.parts_of(self.eligible_records(spec), spec)

    def parts_of(self, records: list[Record], spec: StudySpec) -> Mapping[LocalKey, Part]:
        """The same for the eligible records at hand: all of them, for they share out the parts."""
        return assign(
            records,
            seed=spec.seed,
            hospital=self.party.name,
            validation=spec.split.validation,
            test=spec.split.test,
        )


def dictionary_of(spec: StudySpec) -> Dictionary:
    """The dictionary that records are imported by, as the spec states it."""
    fields = tuple(Field(f.name, f.unit, f.minimum, f.maximum, f.shape) for f in spec.data.features)
    return Dictionary(spec.data.dictionary, fields, outcome_of(spec))
