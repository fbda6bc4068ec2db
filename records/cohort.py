"""Cohort = eligible records ∩ active consents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from records.dictionary import Dictionary
from records.errors import CohortError
from records.record import LocalKey, Record, Value
from records.splits import Part


@dataclass(frozen=True, slots=True)
class Criterion:
    """A record is eligible when the value of `field` lies in [minimum, maximum]."""

    field: str
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Member:
    """A record in a cohort, the consent that admits it, and its part."""

    record: Record
    consent: bytes
    part: Part


def eligible(
    records: Iterable[Record], dictionary: Dictionary, criteria: Iterable[Criterion]
) -> list[Record]:
    """The records that meet every criterion. Raises `CohortError` for an unknown field."""
    position = {field.name: index for index, field in enumerate(dictionary.fields)}
    bounds = []
    for criterion in criteria:
        if criterion.field not in position:
            raise CohortError(f"eligibility: dictionary {dictionary.name} lacks {criterion.field}")
        bounds.append((position[criterion.field], criterion.minimum, criterion.maximum))
    return [x for x in records if all(_within(x.values[i], low, high) for i, low, high in bounds)]


def _within(value: Value, minimum: float, maximum: float) -> bool:
    """An image lies in no range."""
    return not isinstance(value, bytes) and minimum <= value <= maximum


def select(
    records: Iterable[Record],
    parts: Mapping[LocalKey, Part],
    consents: Mapping[LocalKey, bytes],
    active: Collection[bytes],
) -> list[Member]:
    """Members in the order of their local keys: records whose consent is among `active`.

    `consents` is the hospital's own table from local key to consent id. Raises `CohortError` when
    two patients share one id.
    """
    if len(set(consents.values())) != len(consents):
        raise CohortError("two patients have one consent id; repair the table of consents")
    usable = set(active)
    return [
        Member(record, consents[record.key], parts[record.key])
        for record in sorted(records, key=lambda record: record.key)
        if record.key in consents and consents[record.key] in usable
    ]
