"""Contribution by Shapley values through all actors: propose, report, settle, claim, audit."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.cli.contributions import contributions
from chain.merkle import hash_share_leaf
from chain.types import RoundNumber, Wei
from federated import rewards
from federated.auditor import Level
from federated.candidates import Candidates, topic_of_candidates
from federated.center import finalize, post_shares, propose, settle
from federated.center.propose import Heard
from federated.contribution import Measure, Plan, bit, members
from federated.hospital import report
from federated.metrics import LOSS_UNIT
from federated.phase import report_by
from federated.reports import Report
from federated.rewards import by_contribution, gains
from federated.shares import shares_tree
from federated.signed_report import listed_reports, sign_report
from federated.spec import Split
from federated.state import GlobalState
from tests.e2e import kit
from tests.e2e.kit import HOSPITALS, Saved, World
from tests.e2e.stores import OneFolder

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)
SETTINGS = {"permutations": 2, "tolerance": 0, "round_tolerance": 0}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """One round of a study that pays by gtg-shapley, submitted."""
    folder = tmp_path_factory.mktemp("shapley")
    world = kit.build_world(folder / "world", OneFolder(folder / "world"))
    with world.anvil:
        spec = kit.study_spec(world, split=Split(validation=0.4, test=0.1))
        reward = replace(spec.reward, rule="gtg-shapley", config=dict(SETTINGS))
        kit.enrol_all(world, replace(spec, reward=reward), 2 * kit.PATIENTS)
        kit.open_tiers(world)
        kit.ask_all(world)
        kit.run_round(world, finalized=False)
        saved = kit.save(world, folder / "submitted")
        world.forget()
    return saved


@pytest.fixture
def world(saved: Saved, tmp_path: Path) -> Iterator[World]:
    with saved.start(tmp_path / "world") as world:
        yield world


def _proposed(world: World) -> Candidates:
    found = propose(world.center, world.study, FIRST)
    assert found is not None
    return found


def _report(world: World, hospital: str) -> Report:
    found = report(world.node(hospital), world.study, FIRST)
    assert found is not None
    return found


def _listed(world: World) -> list[Report]:
    return listed_reports(world.center, world.read(), world.center.head())


def _finalize_with(world: World, digests: Sequence[bytes]) -> None:
    """What a center does that lists these reports, when their time is over."""
    world.clock.advance_to(report_by(kit.round_at(world, 1)) + 1)
    steps: Any = importlib.import_module("federated.center.aggregate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "hear", lambda *_: Heard(tuple(digests), ()))
        finalize(world.center, world.study, FIRST)


def test_a_study_is_settled_claimed_and_audited_with_and_without_a_key(world: World) -> None:
    kit.report_all(world, FIRST)
    models = [members(item.without) for item in _proposed(world).items]
    assert models == [(), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,)]
    for name in HOSPITALS:
        index = world.index(name)
        judged = [item.without for item in _report(world, name).evaluations]
        assert len(judged) == 4
        assert not any(without >> index & 1 for without in judged)
    finalize(world.center, world.study, FIRST)
    shares = settle(world.center, world.study)
    study, reports = world.read(), _listed(world)
    weights = {world.index(n): kit.freeze_of(world, 1, n).weight for n in HOSPITALS}
    measure, pool = Measure.of(study.spec), study.terms.hospital_pool
    assert shares == by_contribution(measure, pool, reports, weights)
    one_out = Measure("leave-one-out")
    short = [_without_pairs(report) for report in reports]
    assert gains(measure, reports) != gains(one_out, short)
    found, sums = contributions(world.center, study), rewards.contributions(measure, reports)
    for index, gain in sums.items():
        assert found.row(index)[0] == f"{float(gain) / LOSS_UNIT:+.2f}"
        assert " to " in found.row(index)[1]  # two others judged it
    kit.assert_sound(world)
    world.clock.advance_to(study.terms.challenge_end + 1)
    escrow, client = world.relayer.chain.escrow, world.relayer.chain.client
    tree = shares_tree(world.study, shares)
    for index, amount in shares.items():
        if amount:
            proof = tree.proof(hash_share_leaf(world.study, index, amount))
            call = escrow.claim_hospital_by_root(world.study, index, Wei(amount), proof)
            client.send(call)
    paid = escrow.hospitals_paid(world.study, to_block=world.relayer.head())
    assert sum(event.amount for event in paid) == pool
    kit.assert_sound(world)


def _without_pairs(found: Report) -> Report:
    kept = tuple(item for item in found.evaluations if item.without.bit_count() < 2)
    return replace(found, evaluations=kept)


def test_a_center_that_posts_another_root_is_caught_without_a_key(world: World) -> None:
    kit.report_all(world, FIRST)
    finalize(world.center, world.study, FIRST)
    study, reports = world.read(), _listed(world)
    weights = {world.index(n): kit.freeze_of(world, 1, n).weight for n in HOSPITALS}
    one_out = Measure("leave-one-out")  # another rule on the same counts
    pool, short = study.terms.hospital_pool, [_without_pairs(report) for report in reports]
    post_shares(world.center, world.study, by_contribution(one_out, pool, short, weights))
    for level in Level.KEYLESS, Level.KEYED:
        found = kit.found_at(world, level)
        assert ("reward-root", None, None) in found
        assert {name for name, _, _ in found} == {"reward-root", "posted-share"}
    chain = world.auditor.chain
    chain.client.send(chain.escrow.reject_reward_root(world.study))
    kit.assert_sound(world)  # count holds


def test_a_false_model_of_a_single_hospital_is_found_with_a_key(world: World) -> None:
    victim = bit(1) | bit(2)
    steps: Any = importlib.import_module("federated.center.propose")
    states = steps.left_out_states

    def false(*given: Any) -> Iterator[tuple[int, GlobalState]]:
        for without, state in states(*given):
            parts = {name: array + np.float32(0.5) for name, array in state.parameters.items()}
            yield without, replace(state, parameters=parts) if without == victim else state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "left_out_states", false)
        kit.report_all(world, FIRST)
    finalize(world.center, world.study, FIRST)
    settle(world.center, world.study)
    assert kit.found_at(world, Level.KEYLESS) == set()
    judge = next(name for name in HOSPITALS if world.index(name) == 0)
    found = kit.found_at(world, Level.KEYED)
    assert ("candidates", 1, judge) in found
    assert {who for name, _, who in found if name == "candidates"} == {judge}


@contextmanager
def _planning(change: Any) -> Iterator[None]:
    """A center that proposes other sets of updates than the rule's."""
    models = Plan.models
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "models", lambda plan: change(models(plan)))
        yield


@pytest.mark.parametrize("what", ["fewer", "leave-one-out"])
def test_hospitals_do_not_judge_models_that_the_rule_does_not_ask_for(
    world: World, what: str
) -> None:
    """A center that could choose would ask for the models that differ on one patient."""
    changes = {
        "fewer": lambda models: models[:-1],
        "leave-one-out": lambda models: [0, *models[4:]],
    }
    with _planning(changes[what]):
        _proposed(world)
    for name in HOSPITALS:
        assert report(world.node(name), world.study, FIRST) is None
    topic = topic_of_candidates(world.center, world.study, 1)
    assert len(world.center.store.announced(topic)) == 1


def test_a_report_on_the_models_that_suit_a_hospital_counts_for_nothing(world: World) -> None:
    kit.report_all(world, FIRST, ["north", "harbor"])
    honest = _report(world, "valley")
    false = replace(honest, evaluations=honest.evaluations[:1] + honest.evaluations[2:])
    others = [sign_report(world.party(name), _report(world, name)) for name in ("north", "harbor")]
    _finalize_with(world, [*others, sign_report(world.party("valley"), false)])
    settle(world.center, world.study)
    assert kit.found_at(world, Level.KEYLESS) == {("report", 1, None)}
    reporting = {item.hospital for item in _listed(world)}
    assert reporting == {world.index("north"), world.index("harbor")}
