"""The hospitals' set-aside: shares by count, by a posted root, and after its rejection."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts import settlement
from tests.contracts.kit import HALF, ZERO, World
from tests.contracts.settlement import Cohort, Study, Tree, reward_leaf

pytestmark = pytest.mark.engine("anvil")


def largest_remainder(pool: int, weights: Sequence[int]) -> list[int]:
    """Shares that sum to the pool; what rounding leaves goes by remainder, then by index."""
    total = sum(weights)
    shares = [pool * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(pool * weights[i] % total), i))
    for index in order[: pool - sum(shares)]:
        shares[index] += 1
    return shares


def weighed(study: Study, weights: Sequence[int]) -> list[Cohort]:
    """A finalized round in which the hospitals have these weights."""
    number = study.open()
    cohorts = []
    for hospital, weight in enumerate(weights):
        consents = study.grant(hospital, 1)
        cohorts.append(study.frozen(number, hospital, consents, n=weight, weight=weight))
        study.submit(number, hospital)
    study.finalize(number, (1 << len(weights)) - 1)
    return cohorts


def shares_of(study: Study, hospitals: int) -> list[int]:
    return [study.world.escrow.shareOf(study.number, i).call() for i in range(hospitals)]


def void(study: Study, number: int, hospital: int) -> None:
    """Has a hospital voided in this round by a consent that nobody granted."""
    forged = settlement.Consent(settlement.kit.patient(7_777), 1)
    cohort = study.frozen(number, hospital, [forged])
    call = study.world.challenges.challengeLeaf(*cohort.evidence(0))
    study.world.send(call, study.world.stranger)


# -------------------------------------------------------------------- by count


def test_hospitals_are_paid_by_the_weights_they_froze(world: World) -> None:
    study = settlement.found(world, hospitalPool=100)
    weighed(study, [1, 2, 4])
    study.pass_deadline("challengeEnd")
    assert shares_of(study, 3) == [14, 29, 57]
    for hospital, share in enumerate([14, 29, 57]):
        account = study.hospitals[hospital]
        before = study.balance(account)
        receipt = world.send(world.escrow.claimHospital(study.number, hospital), world.stranger)
        paid = ("HospitalPaid", study.number, account, hospital, share)
        assert paid in world.logs(receipt)
        assert study.balance(account) == before + share, "whoever sends, the hospital gets it"
        assert world.escrow.hospitalPaid(study.number, hospital).call()
    assert study.account.paidHospitals == 100


@pytest.mark.parametrize(
    ("pool", "weights"),
    [
        (100, [1, 1, 1]),
        (101, [1, 1, 1]),
        (2, [1, 1, 1]),
        (1, [3, 3, 3, 3]),
        (10, [1, 2, 2, 1]),
        (7, [1_000, 1, 1, 1]),
        (HALF, [999, 1_000, 998, 1]),
    ],
    ids=str,
)
def test_shares_are_the_largest_remainders_ties_by_lower_index(
    world: World, pool: int, weights: list[int]
) -> None:
    study = settlement.found(world, hospitals=len(weights), hospitalPool=pool)
    weighed(study, weights)
    shares = shares_of(study, len(weights))
    assert shares == largest_remainder(pool, weights)
    assert sum(shares) == pool


@pytest.mark.parametrize("seed", range(8))
def test_random_shares_sum_to_the_pool(world: World, seed: int) -> None:
    chosen = random.Random(seed)
    weights = [chosen.randint(1, 1_000) for _ in range(4)]
    pool = chosen.choice([chosen.randint(1, 50), chosen.randint(51, HALF)])
    study = settlement.found(world, hospitals=4, hospitalPool=pool)
    weighed(study, weights)
    assert shares_of(study, 4) == largest_remainder(pool, weights)


def test_the_largest_set_aside_divides_without_overflow(world: World) -> None:
    pool = 2**112 - 1
    token = world.deploy("HostileToken")
    escrow = world.contracts["escrow"].address
    world.send(token.functions.mint(world.center, pool), world.operator)
    for account in (world.center, world.h1, world.h2, world.h3):
        world.send(token.functions.approve(escrow, pool), account)
    study = settlement.found(
        world, hospitals=3, funding=pool, hospitalPool=pool, bond=0, token=token.address
    )
    number = study.open()
    for hospital, weight in enumerate([999, 1_000, 7]):
        consents = study.grant(hospital, 1, price=0)
        study.frozen(number, hospital, consents, n=1_000, weight=weight)
        study.submit(number, hospital)
    study.finalize(number, 0b111)
    assert shares_of(study, 3) == largest_remainder(pool, [999, 1_000, 7])
    study.pass_deadline("challengeEnd")
    for hospital in range(3):
        world.send(world.escrow.claimHospital(study.number, hospital), world.stranger)
    assert study.balance(escrow) == 0


def test_a_void_changes_nobody_elses_share_and_its_own_is_not_given_away(world: World) -> None:
    study = settlement.found(world, hospitalPool=100)
    weighed(study, [1, 2, 4])
    before = shares_of(study, 3)
    void(study, study.open(), 1)
    assert shares_of(study, 3) == [before[0], 0, before[2]]
    study.pass_deadline("challengeEnd")
    for hospital in (0, 2):
        world.send(world.escrow.claimHospital(study.number, hospital), world.stranger)
    claim = world.escrow.claimHospital(study.number, 1)
    assert world.refused(claim, world.h2) == ("VoidedHospital", 1)
    assert study.account.paidHospitals == before[0] + before[2]


def test_a_hospital_that_was_excluded_or_absent_has_no_share(world: World) -> None:
    study = settlement.found(world)
    number = study.open()
    for hospital in (0, 1, 2):
        study.frozen(number, hospital, study.grant(hospital, 1))
        study.submit(number, hospital)
    study.finalize(number, 0b011)
    study.pass_deadline("challengeEnd")
    assert shares_of(study, 3) == [HALF // 2, HALF // 2, 0]
    claim = world.escrow.claimHospital(study.number, 2)
    assert world.refused(claim, world.h3) == ("NothingToPay",)
    nobody = world.escrow.claimHospital(study.number, 3)
    assert world.refused(nobody, world.h3) == ("NothingToPay",)


def test_claims_of_hospitals_run_from_challenge_end_to_claim_end_once_each(world: World) -> None:
    study = settlement.found(world)
    weighed(study, [1, 1, 1])
    claims = [world.escrow.claimHospital(study.number, i) for i in range(3)]
    world.at(study.terms.challengeEnd)
    assert world.refused(claims[0], world.h1) == ("TooEarly", study.terms.challengeEnd)
    world.at(study.terms.challengeEnd + 1)
    world.send(claims[0], world.h1)
    assert world.refused(claims[0], world.h1) == ("AlreadyPaid",)
    world.at(study.terms.claimEnd)
    world.send(claims[1], world.h2)
    study.pass_deadline("claimEnd")
    assert world.refused(claims[2], world.h3) == ("TooLate", study.terms.claimEnd)


def test_the_first_claim_counts_a_last_round_that_ran_out_unfinalized(world: World) -> None:
    study = settlement.found(world, hospitalPool=100)
    weighed(study, [1, 1, 2])
    number = study.open()
    for hospital in (0, 1):
        consents = study.grant(hospital, 1)
        study.frozen(number, hospital, consents, n=2, weight=2)
        study.submit(number, hospital)
    study.pass_deadline("challengeEnd")
    receipt = world.send(world.escrow.claimHospital(study.number, 0), world.h1)
    names = [log[0] for log in world.logs(receipt)]
    assert names[0] == "Lapsed"
    world.send(world.escrow.claimHospital(study.number, 1), world.h2)
    assert study.account.paidHospitals == sum(largest_remainder(100, [3, 3, 2])[:2])


def test_an_aborted_last_round_counts_nothing(world: World) -> None:
    study = settlement.found(world, hospitalPool=100)
    weighed(study, [1, 1, 2])
    number = study.open()
    study.frozen(number, 0, study.grant(0, 1))
    world.send(world.rounds.abort(study.number, number), world.center)
    study.pass_deadline("challengeEnd")
    world.send(world.escrow.claimHospital(study.number, 2), world.h3)
    assert study.account.paidHospitals == 50


def test_a_study_without_rounds_pays_no_hospital(world: World) -> None:
    study = settlement.found(world)
    study.pass_deadline("challengeEnd")
    claim = world.escrow.claimHospital(study.number, 0)
    assert world.refused(claim, world.h1) == ("NothingToPay",)


def test_withheld_finalizing_pays_hospitals_as_finalizing_would(world: World) -> None:
    paid = []
    for finalize in (True, False):
        state = world.rpc("evm_snapshot")
        study = settlement.found(world)
        number = study.open()
        for hospital, weight in enumerate([5, 3, 1]):
            consents = study.grant(hospital, 1)
            study.frozen(number, hospital, consents, n=5, weight=weight)
            study.submit(number, hospital)
        if finalize:
            study.finalize(number, 0b111)
        study.pass_deadline("challengeEnd")
        for hospital in range(3):
            world.send(world.escrow.claimHospital(study.number, hospital), world.stranger)
        paid.append([study.balance(account) for account in study.hospitals])
        world.rpc("evm_revert", state)
    assert paid[0] == paid[1]


# -------------------------------------------------------------------- by a root


def posted(study: Study, amounts: Sequence[int], total: int | None = None) -> Tree:
    tree = Tree.over([reward_leaf(study.number, i, amount) for i, amount in enumerate(amounts)])
    total = sum(amounts) if total is None else total
    call = study.world.escrow.postRewardRoot(study.number, tree.root, total)
    study.world.send(call, study.world.center)
    return tree


def claim_by_root(study: Study, tree: Tree, index: int, amount: int) -> Any:
    proof = tree.proof(index)
    return study.world.escrow.claimHospitalByRoot(study.number, index, amount, proof)


@pytest.fixture
def judged(world: World) -> Study:
    """A study by contribution, with two auditors who must both reject, after one round."""
    auditors = [world.auditor, world.auditor2]
    study = settlement.found(world, auditors=auditors, rule=1, auditorQuorum=2, hospitalPool=100)
    weighed(study, [1, 1, 2])
    return study


def test_a_posted_root_pays_what_its_leaves_say(judged: Study) -> None:
    world = judged.world
    tree = posted(judged, [70, 0, 30])
    judged.pass_deadline("challengeEnd")
    by_count = world.escrow.claimHospital(judged.number, 0)
    assert world.refused(by_count, world.h1) == ("WrongRule",)
    before = judged.balance(world.h1)
    world.send(claim_by_root(judged, tree, 0, 70), world.stranger)
    assert judged.balance(world.h1) == before + 70
    again = claim_by_root(judged, tree, 0, 70)
    assert world.refused(again, world.h1) == ("AlreadyPaid",)
    nothing = claim_by_root(judged, tree, 1, 0)
    assert world.refused(nothing, world.h2) == ("NothingToPay",)


def test_a_share_must_be_a_leaf_of_the_root(judged: Study) -> None:
    world = judged.world
    tree = posted(judged, [70, 0, 30])
    judged.pass_deadline("challengeEnd")
    for index, amount in ((0, 71), (1, 70), (2, 70), (2**255, 30)):
        call = world.escrow.claimHospitalByRoot(judged.number, index, amount, tree.proof(0))
        assert world.refused(call, world.h1) == ("WrongProof",)


def test_a_root_that_pays_more_than_its_total_stops_at_it(judged: Study) -> None:
    world = judged.world
    tree = posted(judged, [70, 10, 31], total=100)
    judged.pass_deadline("challengeEnd")
    world.send(claim_by_root(judged, tree, 0, 70), world.h1)
    call = claim_by_root(judged, tree, 2, 31)
    assert world.refused(call, world.h3) == ("NoMoney", judged.number, 31, 30)
    world.send(claim_by_root(judged, tree, 1, 10), world.h2)


def test_only_the_center_posts_one_root_within_the_set_aside_until_settle_by(
    judged: Study,
) -> None:
    world = judged.world
    root = keccak(text="root")
    good = world.escrow.postRewardRoot(judged.number, root, 100)
    for sender in (world.h1, world.auditor, world.stranger):
        assert world.refused(good, sender) == ("NotTheCenter", sender.lower())
    large = world.escrow.postRewardRoot(judged.number, root, 101)
    assert world.refused(large, world.center) == ("RootTooLarge", 101, 100)
    empty = world.escrow.postRewardRoot(judged.number, ZERO, 100)
    assert world.refused(empty, world.center) == ("NoRoot", judged.number)
    world.at(judged.terms.settleBy)
    receipt = world.send(good, world.center)
    assert world.logs(receipt) == [("RewardRootPosted", judged.number, root, 100)]
    assert world.escrow.rewardRoot(judged.number).call() == [root, 100, 0, False]
    state = world.rpc("evm_snapshot")
    judged.pass_deadline("settleBy")
    refusal = ("TooLate", judged.terms.settleBy)
    assert world.refused(good, world.center) == refusal
    world.rpc("evm_revert", state)


def test_a_second_root_is_refused(judged: Study) -> None:
    world = judged.world
    posted(judged, [100])
    call = world.escrow.postRewardRoot(judged.number, keccak(text="other"), 1)
    assert world.refused(call, world.center) == ("RootPosted", judged.number)


def test_a_study_by_count_has_no_root(world: World) -> None:
    study = settlement.found(world, auditors=[world.auditor])
    call = world.escrow.postRewardRoot(study.number, keccak(text="root"), 1)
    assert world.refused(call, world.center) == ("WrongRule",)
    reject = world.escrow.rejectRewardRoot(study.number)
    assert world.refused(reject, world.auditor) == ("NoRoot", study.number)


def test_without_a_root_count_holds(judged: Study) -> None:
    world = judged.world
    judged.pass_deadline("challengeEnd")
    absent = world.escrow.claimHospitalByRoot(judged.number, 0, 100, [])
    assert world.refused(absent, world.h1) == ("NoRoot", judged.number)
    world.send(world.escrow.claimHospital(judged.number, 2), world.h3)
    assert judged.account.paidHospitals == 50


def test_a_quorum_of_the_studys_auditors_rejects_the_root_and_count_holds(
    judged: Study,
) -> None:
    world = judged.world
    reject = world.escrow.rejectRewardRoot(judged.number)
    assert world.refused(reject, world.auditor) == ("NoRoot", judged.number)
    tree = posted(judged, [100, 0, 0])
    for sender in (world.center, world.h1, world.stranger):
        assert world.refused(reject, sender) == ("NotAnAuditor", sender.lower())
    receipt = world.send(reject, world.auditor)
    assert world.logs(receipt) == [
        ("RewardRootRejected", judged.number, world.auditor, 1, False),
    ]
    assert world.refused(reject, world.auditor) == ("AlreadyVoted", world.auditor.lower())
    world.at(judged.terms.challengeEnd)
    receipt = world.send(reject, world.auditor2)
    assert world.logs(receipt)[0][-2:] == (2, True)
    judged.pass_deadline("challengeEnd")
    by_root = claim_by_root(judged, tree, 0, 100)
    assert world.refused(by_root, world.h1) == ("NoRoot", judged.number)
    for hospital in range(3):
        world.send(world.escrow.claimHospital(judged.number, hospital), world.stranger)
    assert judged.account.paidHospitals == 100


def test_fewer_than_the_quorum_reject_nothing_and_none_after_challenge_end(
    judged: Study,
) -> None:
    world = judged.world
    tree = posted(judged, [100, 0, 0])
    world.send(world.escrow.rejectRewardRoot(judged.number), world.auditor)
    judged.pass_deadline("challengeEnd")
    late = world.escrow.rejectRewardRoot(judged.number)
    assert world.refused(late, world.auditor2) == ("TooLate", judged.terms.challengeEnd)
    world.send(claim_by_root(judged, tree, 0, 100), world.h1)


def test_a_voided_hospital_is_paid_by_no_root(judged: Study) -> None:
    world = judged.world
    tree = posted(judged, [70, 0, 30])
    void(judged, judged.open(), 0)
    judged.pass_deadline("challengeEnd")
    call = claim_by_root(judged, tree, 0, 70)
    assert world.refused(call, world.h1) == ("VoidedHospital", 0)
    world.send(claim_by_root(judged, tree, 2, 30), world.h3)


# -------------------------------------------------------------------- many


def test_a_claim_among_many_hospitals_stays_within_a_transaction(world: World) -> None:
    study = settlement.found(world, hospitals=4, hospitalPool=1_003)
    weighed(study, [7, 7, 7, 7])
    study.pass_deadline("challengeEnd")
    receipt = world.send(world.escrow.claimHospital(study.number, 3), world.stranger)
    # four weights; with 256 the loop reads 252 slots more, about a million gas
    assert settlement.gas_of(receipt) < 260_000
