"""Demands: a hospital shows the leaf at any index in time, or its update is voided."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts import settlement
from tests.contracts.kit import NOBODY, World
from tests.contracts.settlement import Cohort, Ground, Study

pytestmark = pytest.mark.engine("anvil")

DEPOSIT = 10


@pytest.fixture
def study(world: World) -> Study:
    world.send(world.developmenttoken.mint(world.stranger, 1_000), world.operator)
    escrow = world.contracts["escrow"].address
    world.send(world.developmenttoken.approve(escrow, 2**256 - 1), world.stranger)
    return settlement.found(world, auditors=[world.auditor], maxDemands=3)


@pytest.fixture
def cohort(study: Study) -> Cohort:
    """A sound cohort of five, frozen in round 1 by the first hospital."""
    return study.frozen(study.open(), 0, study.grant(0, 5))


def demand(study: Study, cohort: Cohort, leaf: int) -> Any:
    return study.world.challenges.demand(cohort.freeze, leaf)


def answer(study: Study, cohort: Cohort, leaf: int) -> Any:
    return study.world.challenges.answer(*cohort.evidence(leaf))


def expire(study: Study, cohort: Cohort, leaf: int) -> Any:
    return study.world.challenges.expire(cohort.freeze, leaf)


def demanded(study: Study, cohort: Cohort, leaf: int) -> int:
    """Demands as a stranger; the deadline of the answer."""
    study.world.send(demand(study, cohort, leaf), study.world.stranger)
    number = cohort.freeze[1]
    asked = settlement.read(study.world.challenges.demandOf(study.number, number, 0, leaf))
    return int(asked.deadline)


def pass_time(world: World, time: int) -> None:
    world.at(time + 1)
    world.mine()


def test_a_demand_costs_a_deposit_and_waits_for_its_answer(study: Study, cohort: Cohort) -> None:
    world = study.world
    before = study.balance(world.stranger)
    receipt = world.send(demand(study, cohort, 3), world.stranger)
    deadline = world.now + study.terms.answerPeriod
    assert world.logs(receipt)[:2] == [
        ("Demanded", study.number, 1, 0, 3, deadline),
        ("DepositTaken", study.number, world.stranger, DEPOSIT),
    ]
    asked = settlement.read(world.challenges.demandOf(study.number, 1, 0, 3))
    assert vars(asked) == {
        "demander": world.stranger,
        "deadline": deadline,
        "deposit": DEPOSIT,
        "closed": False,
    }
    assert world.challenges.openDemands(study.number, 0).call() == 1
    assert study.balance(world.stranger) == before - DEPOSIT


def test_an_answer_in_time_from_anyone_gives_the_hospital_the_deposit(
    study: Study, cohort: Cohort
) -> None:
    world = study.world
    deadline = demanded(study, cohort, 3)
    world.at(deadline)
    receipt = world.send(answer(study, cohort, 3), world.relayer)
    leaf = cohort.leaves[3]
    shown = {"index": 3, "id": leaf.id, "record": leaf.record}
    assert world.logs(receipt) == [
        ("Answered", study.number, 1, 0, shown),
        ("DepositCredited", study.number, world.h1, DEPOSIT),
    ]
    assert world.challenges.openDemands(study.number, 0).call() == 0
    before = study.balance(world.h1)
    assert world.escrow.depositOf(study.number, world.h1).call() == DEPOSIT
    receipt = world.send(world.escrow.withdrawDeposit(study.number, world.h1), world.stranger)
    withdrawn = ("DepositWithdrawn", study.number, world.h1, DEPOSIT)
    assert withdrawn in world.logs(receipt)
    assert study.balance(world.h1) == before + DEPOSIT
    again = world.escrow.withdrawDeposit(study.number, world.h1)
    assert world.refused(again, world.h1) == ("NothingToPay",)
    for call in (answer(study, cohort, 3), expire(study, cohort, 3)):
        assert world.refused(call, world.stranger) == ("NoDemand",)


def test_silence_voids_the_hospital_and_returns_the_deposit(study: Study, cohort: Cohort) -> None:
    world = study.world
    deadline = demanded(study, cohort, 4)
    world.at(deadline)
    world.mine()
    early = expire(study, cohort, 4)
    pass_time(world, deadline)
    assert world.refused(answer(study, cohort, 4), world.h1) == ("TooLate", deadline)
    logs = world.logs(world.send(early, world.relayer))
    assert logs == [
        ("Challenged", study.number, 1, 0, Ground.NO_ANSWER),
        ("Voided", study.number, 1, 0, False),
        ("BondTaken", study.number, world.h1, study.terms.bond),
        ("DepositCredited", study.number, world.stranger, DEPOSIT),
    ]
    assert world.challenges.groundVoided(study.number, 1, 0).call() == Ground.NO_ANSWER
    assert world.challenges.openDemands(study.number, 0).call() == 0
    assert world.refused(expire(study, cohort, 4), world.relayer) == ("NoDemand",)


def test_no_demand_expires_before_its_deadline_is_past(study: Study, cohort: Cohort) -> None:
    world = study.world
    deadline = demanded(study, cohort, 0)
    assert world.refused(expire(study, cohort, 0), world.stranger) == ("TooEarly", deadline)


def test_an_auditor_of_the_study_pays_no_deposit(study: Study, cohort: Cohort) -> None:
    world = study.world
    before = study.balance(world.auditor)
    world.send(demand(study, cohort, 1), world.auditor)
    assert study.balance(world.auditor) == before
    receipt = world.send(answer(study, cohort, 1), world.h1)
    assert [log[0] for log in world.logs(receipt)] == ["Answered"]
    other = world.auditor2
    before = study.balance(other)
    world.send(demand(study, cohort, 2), other)
    assert study.balance(other) == before - DEPOSIT, "another study's auditor pays"


def test_without_the_deposit_there_is_no_demand(study: Study, cohort: Cohort) -> None:
    world = study.world
    call = demand(study, cohort, 0)
    assert world.refused(call, world.relayer)[0] == "ERC20InsufficientAllowance"


def test_demands_are_for_indices_below_n_one_each_and_bounded(study: Study, cohort: Cohort) -> None:
    world = study.world
    for beyond in (5, 2**256 - 1):
        assert world.refused(demand(study, cohort, beyond), world.stranger) == ("NoGround",)
    demanded(study, cohort, 0)
    assert world.refused(demand(study, cohort, 0), world.auditor) == ("DemandExists",)
    world.send(answer(study, cohort, 0), world.h1)
    assert world.refused(demand(study, cohort, 0), world.auditor) == ("DemandExists",)
    for leaf in (1, 2):
        demanded(study, cohort, leaf)
    assert world.refused(demand(study, cohort, 3), world.stranger) == ("TooManyDemands", 3)


def test_a_hospital_cannot_use_up_what_auditors_may_demand(study: Study, cohort: Cohort) -> None:
    world = study.world
    for leaf in (0, 1, 2):
        demanded(study, cohort, leaf)
        world.send(answer(study, cohort, leaf), world.h1)
    assert world.refused(demand(study, cohort, 3), world.stranger) == ("TooManyDemands", 3)
    world.send(demand(study, cohort, 3), world.auditor)


def test_the_bound_is_for_each_hospital(study: Study, cohort: Cohort) -> None:
    world = study.world
    other = study.frozen(1, 1, study.grant(1, 1))
    for leaf in range(3):
        demanded(study, cohort, leaf)
    world.send(demand(study, other, 0), world.auditor)
    assert world.challenges.openDemands(study.number, 1).call() == 1


def test_an_answer_must_be_the_leaf_at_that_index_under_the_root(
    study: Study, cohort: Cohort
) -> None:
    world = study.world
    demanded(study, cohort, 2)
    assert world.refused(answer(study, cohort, 1), world.h1) == ("NoDemand",)
    leaf = cohort.leaves[2]
    for shown, proof in (
        (leaf.abi, cohort.tree.proof(1)),
        ((2, keccak(text="nobody"), leaf.record), cohort.tree.proof(2)),
        ((2, *cohort.leaves[1].abi[1:]), cohort.tree.proof(1)),
    ):
        call = world.challenges.answer(cohort.freeze, shown, proof)
        assert world.refused(call, world.h1) == ("WrongProof",)


def test_an_answer_that_is_itself_unsound_voids_when_anyone_challenges_it(
    study: Study, cohort: Cohort
) -> None:
    world = study.world
    consents = study.grant(1, 2)
    study.revoke(consents[0])
    study.world.mine()
    bad = study.frozen(1, 1, consents)
    position = next(i for i, leaf in enumerate(bad.leaves) if leaf.id == consents[0].id)
    world.send(demand(study, bad, position), world.auditor)
    world.send(answer(study, bad, position), world.h2)
    world.send(world.challenges.challengeLeaf(*bad.evidence(position)), world.stranger)
    assert world.challenges.groundVoided(study.number, 1, 1).call() == Ground.INACTIVE


def test_the_answer_window_ends_before_challenge_end(study: Study, cohort: Cohort) -> None:
    world = study.world
    last = study.terms.challengeEnd - study.terms.answerPeriod
    call = demand(study, cohort, 0)
    world.at(last - 1)
    world.send(call, world.auditor)
    world.at(last)
    world.mine()
    refusal = ("ChallengesClosed", study.terms.challengeEnd)
    assert world.refused(demand(study, cohort, 1), world.auditor) == refusal


def test_nobody_demands_from_an_update_already_voided(study: Study) -> None:
    world = study.world
    cohort = study.frozen(study.open(), 0, study.grant(0, 2), n=1, weight=1)
    demanded(study, cohort, 0)
    world.send(world.challenges.challengeLeaf(*cohort.evidence(1)), world.stranger)
    assert world.refused(demand(study, cohort, 0), world.stranger) == ("AlreadyVoided", 0)


def test_the_deposit_returns_where_the_hospital_was_voided_meanwhile(study: Study) -> None:
    world = study.world
    cohort = study.frozen(study.open(), 0, study.grant(0, 2), n=1, weight=1)
    deadline = demanded(study, cohort, 0)
    world.send(world.challenges.challengeLeaf(*cohort.evidence(1)), world.relayer)
    pass_time(world, deadline)
    logs = world.logs(world.send(expire(study, cohort, 0), world.relayer))
    assert logs == [("DepositCredited", study.number, world.stranger, DEPOSIT)]
    assert world.challenges.groundVoided(study.number, 1, 0).call() == Ground.OUT_OF_RANGE


def test_silence_voids_until_claim_end_even_after_challenge_end(
    study: Study, cohort: Cohort
) -> None:
    world = study.world
    demanded(study, cohort, 0)
    world.at(study.terms.claimEnd)
    world.send(expire(study, cohort, 0), world.relayer)
    assert world.challenges.groundVoided(study.number, 1, 0).call() == Ground.NO_ANSWER
    assert study.account.pot == study.terms.bond


def test_after_claim_end_only_the_deposit_returns(study: Study, cohort: Cohort) -> None:
    world = study.world
    demanded(study, cohort, 0)
    study.pass_deadline("claimEnd")
    logs = world.logs(world.send(expire(study, cohort, 0), world.relayer))
    assert logs == [("DepositCredited", study.number, world.stranger, DEPOSIT)]
    assert world.challenges.groundVoided(study.number, 1, 0).call() == Ground.NONE
    world.send(world.escrow.returnBond(study.number, world.h1), world.relayer)


def test_an_open_demand_holds_the_hospitals_claim_and_bond(study: Study) -> None:
    world = study.world
    consents = [study.grant(hospital, 2) for hospital in (0, 1, 2)]
    cohort, *_ = study.run_round(consents)
    demanded(study, cohort, 0)
    study.pass_deadline("challengeEnd")
    claim = world.escrow.claimHospital(study.number, 0)
    bond = world.escrow.returnBond(study.number, world.h1)
    for call in (claim, bond):
        assert world.refused(call, world.h1) == ("DemandOpen", 0)
    world.send(world.escrow.claimHospital(study.number, 1), world.h2)
    world.send(expire(study, cohort, 0), world.stranger)
    for call in (claim, bond):
        assert world.refused(call, world.h1) == ("VoidedHospital", 0)


def test_a_receiver_that_the_token_refuses_blocks_neither_answer_nor_expiry(
    world: World,
) -> None:
    token = world.deploy("HostileToken")
    escrow = world.contracts["escrow"].address
    for account in (world.center, world.h1, world.h2, world.stranger):
        world.send(token.functions.mint(account, 2_000_000), world.operator)
        world.send(token.functions.approve(escrow, 2**256 - 1), account)
    study = settlement.found(world, hospitals=2, token=token.address)
    cohort = study.frozen(study.open(), 0, study.grant(0, 2))
    deadline = max(demanded(study, cohort, leaf) for leaf in (0, 1))
    blocked = token.functions.turn(5, world.h1, b"")
    world.send(blocked, world.operator)
    world.send(answer(study, cohort, 0), world.h1)
    assert world.escrow.depositOf(study.number, world.h1).call() == DEPOSIT
    world.send(token.functions.turn(5, world.stranger, b""), world.operator)
    pass_time(world, deadline)
    world.send(expire(study, cohort, 1), world.relayer)
    assert world.challenges.openDemands(study.number, 0).call() == 0
    withdraw = world.escrow.withdrawDeposit(study.number, world.stranger)
    assert world.refused(withdraw, world.stranger)[0] == "Unknown"
    world.send(token.functions.turn(0, NOBODY, b""), world.operator)
    world.send(withdraw, world.relayer)
    assert study.balance(world.stranger) == 2_000_000 - DEPOSIT


def test_only_challenges_moves_deposits(study: Study) -> None:
    world = study.world
    for name in ("takeDeposit", "payDeposit"):
        for sender in (world.center, world.h1, world.stranger):
            call = world.escrow[name](study.number, world.h1, 5)
            assert world.refused(call, sender) == ("OnlyChallenges",)
