"""Challenges: each ground voids what it proves, and a sound leaf is refused first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts import kit, settlement
from tests.contracts.kit import World
from tests.contracts.settlement import Cohort, Consent, Ground, Leaf, Study

pytestmark = pytest.mark.engine("anvil")


@pytest.fixture
def study(world: World) -> Study:
    return settlement.found(world)


@pytest.fixture
def round_(study: Study) -> int:
    """A round that is open; its number."""
    return study.open()


def leaf_call(study: Study, cohort: Cohort, position: int) -> Any:
    return study.world.challenges.challengeLeaf(*cohort.evidence(position))


def assert_sound(study: Study, cohort: Cohort, position: int = 0) -> None:
    """A challenge of this leaf is refused, and a claim would not be."""
    call = leaf_call(study, cohort, position)
    assert study.world.refused(call, study.world.stranger) == ("NoGround",)
    judged = study.world.challenges.groundOf(*cohort.evidence(position)).call()
    assert judged == Ground.NONE


def assert_voids(study: Study, cohort: Cohort, position: int, ground: Ground) -> None:
    """The leaf proves the ground, and the challenge takes the update out of the round."""
    judged = study.world.challenges.groundOf(*cohort.evidence(position)).call()
    assert judged == ground
    assert_voided(study, cohort, leaf_call(study, cohort, position), ground)


def assert_voided(study: Study, cohort: Cohort, call: Any, ground: Ground) -> None:
    world = study.world
    number, index = cohort.freeze[1], cohort.freeze[2]
    before = study.account.pot
    logs = world.logs(world.send(call, world.stranger))
    assert logs == [
        ("Challenged", study.number, number, index, ground),
        ("Voided", study.number, number, index, False),
        ("BondTaken", study.number, study.hospitals[index], study.terms.bond),
    ]
    assert world.challenges.groundVoided(study.number, number, index).call() == ground
    assert study.round(number).voided == 1 << index
    assert world.rounds.barred(study.number).call() == 1 << index
    assert study.account.pot == before + study.terms.bond
    assert world.escrow.bondOf(study.number, study.hospitals[index]).call() == 0
    again = world.refused(call, world.stranger)
    assert again == ("AlreadyVoided", index)


def at_sorted_position(cohort: Cohort, consent: Consent) -> int:
    return next(i for i, leaf in enumerate(cohort.leaves) if leaf.id == consent.id)


# -------------------------------------------------------------------- one leaf


def test_a_leaf_is_hashed_twice(study: Study) -> None:
    leaf = settlement.Leaf(2**255 + 1, keccak(text="id"), keccak(text="record"))
    assert study.world.challenges.hashLeaf(leaf.abi).call() == leaf.hash


def test_a_leaf_at_or_beyond_n_voids(study: Study, round_: int) -> None:
    cohort = study.frozen(round_, 0, study.grant(0, 3), n=2, weight=2)
    assert_sound(study, cohort, 0)
    assert_sound(study, cohort, 1)
    assert_voids(study, cohort, 2, Ground.OUT_OF_RANGE)


def test_a_consent_that_nobody_granted_voids(study: Study, round_: int) -> None:
    consents = study.grant(0, 1)
    forged = replace(consents[0], key=kit.patient(1_000))
    cohort = study.frozen(round_, 0, [*consents, forged])
    assert_sound(study, cohort, at_sorted_position(cohort, consents[0]))
    assert_voids(study, cohort, at_sorted_position(cohort, forged), Ground.INACTIVE)


def test_a_consent_granted_after_the_snapshot_voids(study: Study, round_: int) -> None:
    world = study.world
    early = study.grant(0, 1)
    snapshot = world.block
    snapshot_hash = bytes(world.w3.eth.get_block(snapshot)["hash"])
    late = study.grant(0, 1)
    cohort = study.frozen(round_, 0, early + late, snapshot=snapshot, snapshotHash=snapshot_hash)
    assert_sound(study, cohort, at_sorted_position(cohort, early[0]))
    assert_voids(study, cohort, at_sorted_position(cohort, late[0]), Ground.INACTIVE)


def test_a_consent_granted_in_the_block_of_the_snapshot_is_active(
    study: Study, round_: int
) -> None:
    consents = study.grant(0, 1)
    cohort = study.frozen(round_, 0, consents)
    granted = settlement.read(study.world.consents.consent(consents[0].id))
    assert getattr(granted, "from") == cohort.freeze[3]
    assert_sound(study, cohort)


def test_a_consent_revoked_before_the_snapshot_voids(study: Study, round_: int) -> None:
    consents = study.grant(0, 2)
    study.revoke(consents[0])
    study.world.mine()
    cohort = study.frozen(round_, 0, consents)
    assert_sound(study, cohort, at_sorted_position(cohort, consents[1]))
    assert_voids(study, cohort, at_sorted_position(cohort, consents[0]), Ground.INACTIVE)


def test_a_consent_revoked_in_the_block_of_the_snapshot_voids(study: Study, round_: int) -> None:
    consents = study.grant(0, 2)
    study.revoke(consents[0])
    cohort = study.frozen(round_, 0, consents)
    revoked = settlement.read(study.world.consents.consent(consents[0].id)).revoked
    assert revoked == cohort.freeze[3]
    assert_sound(study, cohort, at_sorted_position(cohort, consents[1]))
    assert_voids(study, cohort, at_sorted_position(cohort, consents[0]), Ground.INACTIVE)


def test_a_revocation_after_the_snapshot_voids_nothing_and_counts_from_the_next_round(
    study: Study, round_: int
) -> None:
    consents = study.grant(0, 2)
    cohort = study.cohort(round_, 0, consents)
    study.revoke(consents[0])
    study.freeze(cohort)
    study.revoke(consents[1])
    for position in (0, 1):
        assert_sound(study, cohort, position)
    study.world.send(study.world.rounds.abort(study.number, round_), study.world.center)
    later = study.frozen(study.open(), 0, consents)
    assert_voids(study, later, 0, Ground.INACTIVE)


def test_a_burned_consent_voids(study: Study, round_: int) -> None:
    consents = study.grant(0, 1)
    burned = replace(consents[0], key=kit.patient(1_001))
    study.revoke(burned)
    cohort = study.frozen(round_, 0, [*consents, burned])
    assert_sound(study, cohort, at_sorted_position(cohort, consents[0]))
    assert_voids(study, cohort, at_sorted_position(cohort, burned), Ground.INACTIVE)


def test_a_consent_that_ends_before_submit_by_voids(study: Study, round_: int) -> None:
    submit_by = study.round(round_).submitBy
    lasting = study.grant(0, 1, notAfter=submit_by)
    short = study.grant(0, 1, notAfter=submit_by - 1)
    cohort = study.frozen(round_, 0, lasting + short)
    assert_sound(study, cohort, at_sorted_position(cohort, lasting[0]))
    assert_voids(study, cohort, at_sorted_position(cohort, short[0]), Ground.EXPIRES)


def test_a_consent_to_another_hospital_voids(study: Study, round_: int) -> None:
    own, other = study.grant(0, 1), study.grant(1, 1)
    cohort = study.frozen(round_, 0, own + other)
    assert_sound(study, cohort, at_sorted_position(cohort, own[0]))
    assert_voids(study, cohort, at_sorted_position(cohort, other[0]), Ground.WRONG_HOSPITAL)


def test_a_consent_to_another_study_voids(study: Study, round_: int) -> None:
    own = study.grant(0, 1)
    elsewhere = settlement.found(study.world)
    elsewhere.patients = 100
    other = elsewhere.grant(0, 1)
    cohort = study.frozen(round_, 0, own + other)
    assert_sound(study, cohort, at_sorted_position(cohort, own[0]))
    assert_voids(study, cohort, at_sorted_position(cohort, other[0]), Ground.WRONG_STUDY)


@pytest.mark.parametrize("purposes", [0b01, 0b10, 0b101])
def test_a_consent_that_lacks_a_purpose_of_the_study_voids(
    study: Study, round_: int, purposes: int
) -> None:
    wider = study.grant(0, 1, purposes=0b111)
    other = study.grant(0, 1, purposes=purposes)
    cohort = study.frozen(round_, 0, wider + other)
    assert_sound(study, cohort, at_sorted_position(cohort, wider[0]))
    assert_voids(study, cohort, at_sorted_position(cohort, other[0]), Ground.WRONG_PURPOSE)


# -------------------------------------------------------------------- two leaves


def pair_call(study: Study, name: str, cohort: Cohort, a: int, b: int) -> Any:
    return study.world.challenges[name](*cohort.evidence(a, b))


def two_leaves(study: Study, number: int, *leaves: Leaf, consents: list[Consent]) -> Cohort:
    cohort = study.cohort(number, 0, consents, leaves=leaves, n=len(leaves), weight=1)
    study.freeze(cohort)
    return cohort


def test_two_different_leaves_at_one_index_void(study: Study, round_: int) -> None:
    first, second, third = sorted(study.grant(0, 3), key=lambda consent: consent.id)
    cohort = two_leaves(
        study,
        round_,
        Leaf(0, first.id, keccak(text="record")),
        Leaf(1, second.id, keccak(text="record")),
        Leaf(1, third.id, keccak(text="record")),
        consents=[first, second, third],
    )
    stranger = study.world.stranger
    for a, b in ((0, 1), (1, 1), (0, 0)):
        sound = pair_call(study, "challengeSplitIndex", cohort, a, b)
        assert study.world.refused(sound, stranger) == ("NoGround",)
    call = pair_call(study, "challengeSplitIndex", cohort, 1, 2)
    assert_voided(study, cohort, call, Ground.SPLIT_INDEX)


def test_two_records_of_one_consent_at_one_index_void(study: Study, round_: int) -> None:
    (consent,) = study.grant(0, 1)
    leaves = [Leaf(0, consent.id, keccak(text=name)) for name in ("a", "b")]
    cohort = two_leaves(study, round_, *leaves, consents=[consent])
    call = pair_call(study, "challengeSplitIndex", cohort, 1, 0)
    assert_voided(study, cohort, call, Ground.SPLIT_INDEX)


def test_neighbours_out_of_order_void(study: Study, round_: int) -> None:
    first, second, third = sorted(study.grant(0, 3), key=lambda consent: consent.id)
    leaves = [
        Leaf(i, consent.id, keccak(text="record"))
        for i, consent in enumerate((first, third, second))
    ]
    cohort = two_leaves(study, round_, *leaves, consents=[first, second, third])
    for a, b in ((0, 1), (1, 0), (0, 2), (2, 1), (1, 1)):
        sound = pair_call(study, "challengeOrder", cohort, a, b)
        assert study.world.refused(sound, study.world.stranger) == ("NoGround",)
    call = pair_call(study, "challengeOrder", cohort, 1, 2)
    assert_voided(study, cohort, call, Ground.ORDER)


def test_one_patient_twice_voids(study: Study, round_: int) -> None:
    (consent,) = study.grant(0, 1)
    leaves = [Leaf(i, consent.id, keccak(text=f"record {i}")) for i in (0, 1)]
    cohort = two_leaves(study, round_, *leaves, consents=[consent])
    call = pair_call(study, "challengeOrder", cohort, 0, 1)
    assert_voided(study, cohort, call, Ground.ORDER)


# -------------------------------------------------------------------- what proves nothing


def test_a_leaf_that_is_not_under_the_root_proves_nothing(study: Study, round_: int) -> None:
    world = study.world
    cohort = study.frozen(round_, 0, study.grant(0, 4))
    leaf, proof = cohort.leaves[0], cohort.tree.proof(0)
    forged = replace(leaf, id=keccak(text="nobody"))
    for shown, path in (
        (forged, proof),
        (replace(leaf, index=9), proof),
        (replace(leaf, record=keccak(text="other")), proof),
        (leaf, proof[:-1]),
        (leaf, cohort.tree.proof(1)),
        (leaf, [*proof, keccak(text="more")]),
    ):
        single = world.challenges.challengeLeaf(cohort.freeze, shown.abi, path)
        assert world.refused(single, world.stranger) == ("WrongProof",)
        for name in ("challengeOrder", "challengeSplitIndex"):
            for pair in (
                [shown.abi, path, *cohort.evidence(1)[1:]],
                [*cohort.evidence(1)[1:], shown.abi, path],
            ):
                call = world.challenges[name](cohort.freeze, *pair)
                assert world.refused(call, world.stranger) == ("WrongProof",)


def test_a_cohort_of_one_has_an_empty_proof(study: Study, round_: int) -> None:
    cohort = study.frozen(round_, 0, study.grant(0, 1))
    assert cohort.tree.proof(0) == []
    assert_sound(study, cohort)


@pytest.mark.parametrize("position", range(10))
def test_a_freeze_altered_in_any_field_is_not_the_committed_one(
    study: Study, round_: int, position: int
) -> None:
    world = study.world
    cohort = study.frozen(round_, 0, study.grant(0, 2), n=1, weight=1)
    fields = list(cohort.freeze)
    value = fields[position]
    fields[position] = value + 1 if isinstance(value, int) else keccak(value)
    altered = replace(cohort, freeze=tuple(fields))
    for call in (
        world.challenges.challengeLeaf(*altered.evidence(1)),
        world.challenges.challengeSplitIndex(*altered.evidence(0, 1)),
        world.challenges.challengeOrder(*altered.evidence(0, 1)),
        world.challenges.demand(altered.freeze, 0),
        world.challenges.answer(*altered.evidence(0)),
        world.challenges.expire(altered.freeze, 0),
        world.challenges.groundOf(*altered.evidence(0)),
    ):
        refusal = world.refused(call, world.stranger)
        assert refusal in (("WrongFreeze",), ("UnknownStudy", study.number + 1))
    assert leaf_call(study, cohort, 1).call() == []


def test_a_freeze_of_a_place_that_nobody_has_is_none(study: Study, round_: int) -> None:
    cohort = study.frozen(round_, 0, study.grant(0, 2), n=1, weight=1)
    place = list(cohort.freeze).index(0, 2)
    fields = [*cohort.freeze[:place], 200, *cohort.freeze[place + 1 :]]
    call = leaf_call(study, replace(cohort, freeze=tuple(fields)), 1)
    assert study.world.refused(call, study.world.stranger) == ("WrongFreeze",)


def test_a_hospital_that_never_froze_cannot_be_voided(study: Study, round_: int) -> None:
    cohort = study.cohort(round_, 0, study.grant(0, 2), n=1)
    call = leaf_call(study, cohort, 1)
    assert study.world.refused(call, study.world.stranger) == ("WrongFreeze",)


# -------------------------------------------------------------------- when


def test_challenges_are_heard_until_challenge_end(study: Study, round_: int) -> None:
    world = study.world
    bad = [study.frozen(round_, i, study.grant(i, 2), n=1, weight=1) for i in (0, 1)]
    world.at(study.terms.challengeEnd)
    world.send(leaf_call(study, bad[0], 1), world.stranger)
    assert world.now == study.terms.challengeEnd
    world.at(study.terms.challengeEnd + 1)
    world.mine()
    late = ("ChallengesClosed", study.terms.challengeEnd)
    for call in (
        leaf_call(study, bad[1], 1),
        pair_call(study, "challengeSplitIndex", bad[1], 0, 1),
        pair_call(study, "challengeOrder", bad[1], 0, 1),
    ):
        assert world.refused(call, world.stranger) == late


def test_an_aborted_rounds_cohort_can_be_challenged(study: Study, round_: int) -> None:
    cohort = study.frozen(round_, 0, study.grant(0, 2), n=1, weight=1)
    study.world.send(study.world.rounds.abort(study.number, round_), study.world.center)
    assert_voids(study, cohort, 1, Ground.OUT_OF_RANGE)


def test_a_hospital_can_be_voided_in_a_second_round_and_loses_its_bond_once(study: Study) -> None:
    world = study.world
    consents = [study.grant(hospital, 2) for hospital in range(3)]
    bad = []
    for number in (1, 2):
        study.open()
        bad.append(study.frozen(number, 0, consents[0], n=1, weight=1))
        study.submit(number, 0)
        for hospital in (1, 2):
            study.frozen(number, hospital, consents[hospital])
            study.submit(number, hospital)
        study.finalize(number, 0b111)
    world.send(leaf_call(study, bad[0], 1), world.stranger)
    logs = world.logs(world.send(leaf_call(study, bad[1], 1), world.stranger))
    assert [log[0] for log in logs] == ["Challenged", "Voided"]
    assert study.account.pot == study.terms.bond
    assert [study.round(number).contaminated for number in (1, 2)] == [True, True]
    assert world.rounds.countedWeights(study.number).call() == [[2, 4, 4], 10]


def test_a_void_names_neither_patient_nor_challenger(study: Study, round_: int) -> None:
    world = study.world
    cohort = study.frozen(round_, 0, study.grant(0, 2), n=1, weight=1)
    receipt = world.send(leaf_call(study, cohort, 1), world.stranger)
    shown = b"".join(
        bytes(log["data"]) + b"".join(bytes(t) for t in log["topics"]) for log in receipt["logs"]
    )
    for secret in (cohort.leaves[1].id, cohort.leaves[1].record):
        assert secret not in shown
    for account in (world.stranger, cohort.consents[1].key.address):
        assert bytes.fromhex(account[2:]) not in shown
    assert bytes.fromhex(study.hospitals[0][2:]) in shown, "the search finds what is there"
