"""The hospitals' shares: by count on-chain, or by contribution under a posted root."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from chain.merkle import hash_share_leaf
from chain.types import RoundNumber, Wei
from federated.auditor import Level
from federated.candidates import context_of_candidates
from federated.center import finalize, open_round, post_shares, refund, settle
from federated.contribution import Measure
from federated.rewards import by_contribution
from federated.shares import shares_by_rule, shares_tree
from federated.signed_report import listed_reports, report_topic
from storage.cid import Cid
from tests.e2e import kit
from tests.e2e.kit import HOSPITALS, World
from tests.e2e.stores import ON_BOTH

pytestmark = [pytest.mark.engine("anvil"), ON_BOTH]

FIRST = RoundNumber(1)


def _finalize(world: World) -> None:
    kit.report_all(world, FIRST)
    finalize(world.center, world.study, FIRST)


def _claim_by_root(world: World, shares: Mapping[int, int]) -> None:
    escrow, client = world.relayer.chain.escrow, world.relayer.chain.client
    tree = shares_tree(world.study, shares)
    for index, amount in shares.items():
        if amount:
            proof = tree.proof(hash_share_leaf(world.study, index, amount))
            call = escrow.claim_hospital_by_root(world.study, index, Wei(amount), proof)
            client.send(call)


def _cross_challenges(world: World) -> None:
    world.clock.advance_to(world.read().terms.challenge_end + 1)


def _paid(world: World) -> dict[int, int]:
    events = world.center.chain.escrow.hospitals_paid(world.study, to_block=world.center.head())
    return {event.index: event.amount for event in events}


def test_shares_follow_the_reports_and_are_paid_by_the_root(contributing: World) -> None:
    _finalize(contributing)
    shares = settle(contributing.center, contributing.study)
    weights = {contributing.index(n): kit.freeze_of(contributing, 1, n).weight for n in HOSPITALS}
    reports = listed_reports(contributing.center, contributing.read(), contributing.center.head())
    assert len(reports) == 3
    study = contributing.read()
    measure, pool = Measure.of(study.spec), study.terms.hospital_pool
    assert shares == by_contribution(measure, pool, reports, weights)
    kit.assert_sound(contributing)
    _cross_challenges(contributing)
    _claim_by_root(contributing, shares)
    assert _paid(contributing) == {index: amount for index, amount in shares.items() if amount}
    kit.assert_sound(contributing)


def test_wrong_shares_are_named_and_rejected_and_then_the_count_holds(contributing: World) -> None:
    _finalize(contributing)
    kit.assert_sound(contributing)
    pool = contributing.read().terms.hospital_pool
    block = contributing.center.head()
    held, _ = contributing.center.chain.rounds.counted_weights(
        contributing.study, block_identifier=block
    )
    right = shares_by_rule(contributing.center, contributing.read(), dict(enumerate(held)), block)
    best = max(right, key=lambda index: right[index])
    other = (best + 1) % 3
    cheated = {**right, best: Wei(0), other: Wei(right[best] + right[other])}
    post_shares(contributing.center, contributing.study, cheated)
    names = {contributing.index(name): name for name in kit.HOSPITALS}
    wanted = {("reward-root", None, None)} | {
        ("posted-share", None, names[i]) for i in (best, other)
    }
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(contributing, level) == wanted

    chain = contributing.auditor.chain
    chain.client.send(chain.escrow.reject_reward_root(contributing.study))
    kit.assert_sound(contributing)
    _cross_challenges(contributing)
    for index in range(3):
        call = contributing.relayer.chain.escrow.claim_hospital(contributing.study, index)
        contributing.relayer.chain.client.send(call)
    weights = {i: kit.freeze_of(contributing, 1, name).weight for i, name in names.items()}
    for index, amount in _paid(contributing).items():
        assert abs(amount - pool * weights[index] / sum(weights.values())) < 2
    kit.assert_sound(contributing)


def test_wrong_shares_that_nobody_published_are_named_once_they_are_paid(
    contributing: World,
) -> None:
    _finalize(contributing)
    kit.assert_sound(contributing)
    pool = contributing.read().terms.hospital_pool
    cheated = {0: 0, 1: 0, 2: pool}
    chain = contributing.center.chain
    root = shares_tree(contributing.study, cheated).root
    chain.client.send(chain.escrow.post_reward_root(contributing.study, root, pool))
    assert kit.found_at(contributing, Level.KEYLESS) == {("reward-root", None, None)}
    _cross_challenges(contributing)
    _claim_by_root(contributing, cheated)
    last = next(name for name in kit.HOSPITALS if contributing.index(name) == 2)
    assert ("hospital-share", None, last) in kit.found_at(contributing, Level.KEYLESS)


def test_a_listed_report_that_was_altered_is_found(contributing: World) -> None:
    _finalize(contributing)
    settle(contributing.center, contributing.study)
    kit.assert_sound(contributing)
    round_ = kit.round_at(contributing, 1)
    context = context_of_candidates(
        contributing.center, contributing.read(), 1, round_.start_state, round_.state
    )
    cids: list[Cid] = contributing.center.store.announced(report_topic(context))
    kit.flip(contributing, cids[0])
    wanted = {("report", 1, None), ("reward-root", None, None)}
    assert kit.found_at(contributing, Level.KEYLESS) == wanted


def test_patients_and_hospitals_are_paid_by_count_when_the_center_never_finalizes(
    granted: World,
) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    granted.clock.advance_to(kit.round_at(granted, 1).finalize_by + 1)
    claims = kit.claim_all(granted)
    assert claims == 3 * 26
    settle(granted.center, granted.study)  # counts the round that ran out
    assert kit.round_at(granted, 1).lapsed
    kit.assert_sound(granted)
    _cross_challenges(granted)
    escrow, client = granted.relayer.chain.escrow, granted.relayer.chain.client
    for index in range(3):
        client.send(escrow.claim_hospital(granted.study, index))
    account = escrow.account(granted.study, block_identifier=granted.relayer.head())
    assert account.patients == claims
    assert account.paid_hospitals == granted.read().terms.hospital_pool
    kit.assert_sound(granted)
    granted.clock.advance_to(granted.read().terms.refund_at + 1)
    back = refund(granted.center, granted.study)
    assert back == account.funded - account.paid_patients - account.paid_hospitals
    kit.assert_sound(granted)
