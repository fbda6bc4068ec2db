"""Drawing hospitals, and the rules of a spec for rounds that lack some of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.drawing import draw
from federated.errors import SpecError
from federated.rules import check_spec
from federated.simulate import simulate
from federated.spec import Choice, Late, Sampling, StudySpec
from federated.state import state_digest
from federated.training import Records

POOLS = st.integers(0, (1 << 64) - 1)
ADDRESS = "0x" + "ab" * 20


def _draw(pool: int, hospitals: int, number: int = 1, block_hash: bytes = b"\1" * 32) -> int:
    return draw(
        pool,
        hospitals,
        chain_id=31337,
        rounds=ADDRESS,
        study=1,
        number=number,
        seed=7,
        block_hash=block_hash,
    )


@given(POOLS, st.integers(1, 64))
def test_as_many_as_asked_are_drawn_out_of_the_pool(pool: int, hospitals: int) -> None:
    found = _draw(pool, hospitals)
    assert found & ~pool == 0
    assert found.bit_count() == min(hospitals, pool.bit_count())


@given(POOLS, st.integers(1, 64))
def test_who_was_not_drawn_and_leaves_changes_nothing(pool: int, hospitals: int) -> None:
    drawn = _draw(pool, hospitals)
    assert _draw(drawn, hospitals) == drawn
    for index in range(64):
        if (pool & ~drawn) >> index & 1:
            assert _draw(pool & ~(1 << index), hospitals) == drawn


def test_each_hospital_is_drawn_about_as_often() -> None:
    """1,000 draws of 3 out of 10: 300 expected each, standard deviation 14.5; within 5 of them."""
    counts = Counter[int]()
    for number in range(1, 1001):
        drawn = _draw((1 << 10) - 1, 3, number)
        counts.update(index for index in range(10) if drawn >> index & 1)
    assert all(abs(counts[index] - 300) < 73 for index in range(10))


def test_another_block_gives_another_draw() -> None:
    draws = {_draw((1 << 20) - 1, 5, block_hash=bytes([place]) * 32) for place in range(20)}
    assert len(draws) == 20


def _cohort(spec: StudySpec, names: str) -> Mapping[str, Records]:
    width = len(spec.data.features)
    random = np.random.default_rng(3)
    return {
        name: (
            random.normal(size=(9, width)).astype(np.float32),
            random.integers(0, 2, 9).astype(np.float32),
        )
        for name in names
    }


def test_a_simulation_draws_by_the_same_rule_and_comes_to_one_digest(spec: StudySpec) -> None:
    wide = replace(spec, max_hospitals=6, sampling=Sampling(2))
    cohorts = [_cohort(wide, "abcdef")] * 3
    first, again = simulate(wide, cohorts), simulate(wide, cohorts)
    digests = [state_digest(wide, state) for state in first]
    assert digests == [state_digest(wide, state) for state in again]
    everybody = simulate(replace(wide, sampling=None), cohorts)
    assert digests[1] != state_digest(wide, everybody[1])
    pairs = [simulate(wide, [_cohort_of(cohorts[0], a + b)])[1] for a in "abcdef" for b in "abcdef"]
    assert digests[1] in {state_digest(wide, state) for state in pairs}


def _cohort_of(cohort: Mapping[str, Records], names: str) -> Mapping[str, Records]:
    return {name: cohort[name] for name in sorted(set(names))}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"late": Late("drop", 1)}, "late.rule"),
        ({"late": Late("next-round", 0)}, "late.most"),
        ({"late": Late("next-round", 17)}, "late.most"),
        ({"late": Late("next-round", 1), "strategy": Choice("median")}, "late"),
        ({"late": Late("next-round", 1), "strategy": Choice("krum", {"f": 0})}, "late"),
        (
            {
                "late": Late("next-round", 1),
                "strategy": Choice("scaffold", {"learning_rate": 0.5}),
            },
            "late",
        ),
        ({"sampling": Sampling(1)}, "sampling.hospitals"),
        ({"sampling": Sampling(3)}, "sampling.hospitals"),
        ({"sampling": Sampling(4)}, "sampling.hospitals"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    spec: StudySpec, changes: dict[str, object], key: str
) -> None:
    plain = replace(spec, training=replace(spec.training, momentum=0.0))
    three = replace(plain, min_hospitals=2, max_hospitals=3)
    if isinstance(strategy := changes.get("strategy"), Choice) and strategy.name != "scaffold":
        reward = replace(spec.reward, rule="count")
        three = replace(three, min_hospitals=3, reward=reward)
    check_spec(replace(three, strategy=changes.get("strategy", three.strategy)))
    with pytest.raises(SpecError) as caught:
        check_spec(replace(three, **changes))
    assert caught.value.key == key


def test_the_rules_go_together(spec: StudySpec) -> None:
    both = replace(spec, late=Late("next-round", 2), sampling=Sampling(2))
    check_spec(both)
