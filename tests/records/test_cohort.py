from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.cohort import Criterion, eligible, select
from records.dictionary import Dictionary
from records.errors import CohortError
from records.record import LocalKey, Record
from records.splits import Part, assign

PEOPLE = [Record(LocalKey(f"p{i:03d}"), (float(i), 0.0), i % 4 == 0) for i in range(100)]
CONSENTS = {record.key: bytes([99 - i]) * 32 for i, record in enumerate(PEOPLE[:90])}


def parts(records: list[Record], seed: int = 1, hospital: str = "north") -> dict[LocalKey, Part]:
    return assign(records, seed=seed, hospital=hospital, validation=0.2, test=0.25)


def test_parts_have_their_sizes_within_each_label() -> None:
    dealt = parts(PEOPLE)
    counts = Counter((record.label, dealt[record.key]) for record in PEOPLE)
    assert counts[True, Part.TEST] == 6  # 25 · .25, rounded
    assert counts[True, Part.VALIDATION] == 5
    assert counts[True, Part.TRAIN] == 14
    assert counts[False, Part.TEST] == 19
    assert counts[False, Part.VALIDATION] == 15
    assert counts[False, Part.TRAIN] == 41


@given(st.randoms(use_true_random=False))
def test_parts_do_not_depend_on_the_order_of_records(order: random.Random) -> None:
    assert parts(order.sample(PEOPLE, len(PEOPLE))) == parts(PEOPLE)


def test_parts_depend_on_seed_and_hospital() -> None:
    assert parts(PEOPLE, seed=2) != parts(PEOPLE)
    assert parts(PEOPLE, hospital="south") != parts(PEOPLE)


def test_members_are_in_the_order_of_local_keys_and_not_of_consents() -> None:
    members = select(reversed(PEOPLE), parts(PEOPLE), CONSENTS, set(CONSENTS.values()))
    assert [member.record.key for member in members] == [record.key for record in PEOPLE[:90]]
    assert [member.consent for member in members] == sorted(CONSENTS.values(), reverse=True)


@given(st.sets(st.sampled_from(sorted(CONSENTS))))
def test_a_revoked_consent_takes_its_record_and_moves_no_other(revoked: set[LocalKey]) -> None:
    dealt = parts(PEOPLE)
    everyone = select(PEOPLE, dealt, CONSENTS, set(CONSENTS.values()))
    active = {consent for key, consent in CONSENTS.items() if key not in revoked}
    left = select(PEOPLE, dealt, CONSENTS, active)
    assert left == [member for member in everyone if member.record.key not in revoked]


def test_no_consent_means_no_cohort() -> None:
    assert select(PEOPLE, parts(PEOPLE), {}, set(CONSENTS.values())) == []
    assert select(PEOPLE, parts(PEOPLE), CONSENTS, set()) == []
    assert select([], {}, CONSENTS, set(CONSENTS.values())) == []


def test_two_patients_with_one_consent_are_refused() -> None:
    shared = {PEOPLE[0].key: b"1" * 32, PEOPLE[1].key: b"1" * 32}
    with pytest.raises(CohortError, match="one consent id"):
        select(PEOPLE, parts(PEOPLE), shared, {b"1" * 32})


def test_who_is_not_eligible_is_left_out(dictionary: Dictionary) -> None:
    chosen = eligible(PEOPLE, dictionary, [Criterion("age", 10.0, 12.0)])
    assert [record.key for record in chosen] == ["p010", "p011", "p012"]
    assert eligible(PEOPLE, dictionary, []) == PEOPLE
    with pytest.raises(CohortError, match="lacks weight"):
        eligible(PEOPLE, dictionary, [Criterion("weight", 0.0, 1.0)])
