"""A hospital that runs other code than ours, and lists of leaves that are not there."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from chain.challenges import Ground
from chain.errors import TxReverted
from chain.types import RoundNumber
from federated.auditor import Level
from federated.center import finalize, open_round, settle
from federated.center.ahead import fetch_ahead
from federated.exclusion import ExclusionCode
from federated.hospital import freeze
from federated.judging import Judged
from federated.leaf_list import chain_leaf, proof_of, read_leaves, tree_of
from federated.missing import confirm_missing
from federated.published import read_result
from tests.e2e import kit
from tests.e2e.kit import Asked, World
from tests.e2e.stores import ON_BOTH

pytestmark = [pytest.mark.engine("anvil"), ON_BOTH]

FIRST = RoundNumber(1)
collecting = importlib.import_module("federated.center.inputs")
freezing = importlib.import_module("federated.hospital.freeze")


def _freeze_with_the_revoked(world: World, hospital: str) -> Asked:
    """The hospital keeps a patient who withdrew before its snapshot."""
    asked = next(x for x in world.patients if (x.hospital, x.will) == (hospital, "grants"))
    kit.revoke(world, asked)
    open_round(world.center, world.study)
    node = world.node(hospital)
    consents = node.party.chain.consents
    consents.active_at = lambda ids, *_, **__: [True] * len(ids)  # type: ignore[method-assign]
    kit.freeze_and_submit(world, FIRST)
    world.forget()
    return asked


def _challenge(world: World, hospital: str, asked: Asked) -> None:
    """An auditor shows the leaf of the consent, out of the published list."""
    commitment = kit.freeze_of(world, FIRST, hospital)
    leaves = read_leaves(world.auditor.store, commitment.leaf_list)
    leaf = next(item for item in leaves if item.consent == world.consent_of(asked))
    proof = proof_of(tree_of(leaves), leaf)
    challenges = world.auditor.chain.challenges
    call = challenges.challenge_leaf(commitment, chain_leaf(leaf), proof)
    world.auditor.chain.client.send(call)


def test_a_revoked_consent_in_a_cohort_is_named_and_its_update_voided(granted: World) -> None:
    kit.assert_sound(granted)
    asked = _freeze_with_the_revoked(granted, "harbor")
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(granted, level) == {("consents", 1, "harbor")}

    assert fetch_ahead(granted.center, granted.read(), FIRST) == 3  # its sum is begun with it
    _challenge(granted, "harbor", asked)
    assert _bond(granted, "harbor") == (0, granted.read().terms.bond)  # to the patients' pot
    done = finalize(granted.center, granted.study, FIRST)
    assert done.included == 0b111 & ~(1 << granted.index("harbor"))
    kit.assert_sound(granted)
    (voided,) = [c for c in granted.audit(Level.KEYLESS, "relayer").checks if c.name == "voided"]
    assert (voided.round_number, voided.hospital) == (1, granted.index("harbor"))


def test_an_update_voided_after_it_was_included_flags_the_round_and_its_descendants(
    granted: World,
) -> None:
    kit.assert_sound(granted)
    asked = _freeze_with_the_revoked(granted, "harbor")
    finalize(granted.center, granted.study, FIRST)
    number = open_round(granted.center, granted.study)  # descends from round 1
    _challenge(granted, "harbor", asked)
    others = [name for name in kit.HOSPITALS if name != "harbor"]
    kit.freeze_and_submit(granted, number, others)
    finalize(granted.center, granted.study, number)

    wanted = {("voided", 1, "harbor"), ("descent", 2, None)}
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(granted, level) == wanted
    ground = granted.center.chain.challenges.ground_voided(
        granted.study, FIRST, granted.index("harbor"), block_identifier=granted.center.head()
    )
    assert ground is Ground.INACTIVE
    assert _bond(granted, "harbor") == (0, granted.read().terms.bond)


@pytest.mark.parametrize("when", ["before the round lapsed", "after the round lapsed"])
def test_a_void_in_a_round_that_nobody_finalized_costs_the_hospital_alone(
    granted: World, when: str
) -> None:
    asked = _freeze_with_the_revoked(granted, "harbor")
    harbor = granted.index("harbor")
    if when.startswith("before"):
        _challenge(granted, "harbor", asked)
    granted.clock.advance_to(kit.round_at(granted, 1).finalize_by + 1)
    if when.startswith("after"):
        _challenge(granted, "harbor", asked)
    shares = settle(granted.center, granted.study)
    assert (shares[harbor] > 0) == when.startswith("after")
    kit.claim_all(granted)
    escrow, client = granted.relayer.chain.escrow, granted.relayer.chain.client
    account = escrow.account(granted.study, block_identifier=granted.relayer.head())
    assert account.patients == 3 * 26 - 1  # all but the one who had withdrawn
    granted.clock.advance_to(granted.read().terms.challenge_end + 1)
    for index in set(range(3)) - {harbor}:
        client.send(escrow.claim_hospital(granted.study, index))
    with pytest.raises(TxReverted, match="VoidedHospital"):
        client.send(escrow.claim_hospital(granted.study, harbor))
    kit.assert_sound(granted)


def test_the_next_round_goes_back_behind_a_voided_one(granted: World) -> None:
    asked = _freeze_with_the_revoked(granted, "harbor")
    finalize(granted.center, granted.study, FIRST)
    _challenge(granted, "harbor", asked)
    number = open_round(granted.center, granted.study)
    assert kit.round_at(granted, number).parent == 0
    kit.freeze_and_submit(granted, number, ["north", "valley"])
    finalize(granted.center, granted.study, number)
    assert kit.found_at(granted, Level.KEYED) == {("voided", 1, "harbor")}


def test_a_revocation_after_the_snapshot_voids_nothing(submitted: World) -> None:
    asked = next(x for x in submitted.patients if x.will == "grants")
    kit.revoke(submitted, asked)
    kit.assert_sound(submitted)


def test_a_list_that_does_not_give_the_root_is_named(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.assert_sound(granted)
    open_round(granted.center, granted.study)
    honest = freezing.publish_leaves
    with monkeypatch.context() as patch:
        cheat = lambda store, leaves: honest(store, leaves[:-1])  # noqa: E731
        patch.setattr(freezing, "publish_leaves", cheat)
        freeze(granted.node("north"), granted.study, FIRST)
    for level in Level.KEYLESS, Level.KEYED:
        found = kit.found_at(granted, level)
        assert found == {("root", 1, "north"), ("cohort-size", 1, "north")}


def test_a_list_that_is_missing_excludes_by_an_auditors_word_alone(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    frozen = granted.center.chain.rounds.freezes(
        granted.study, FIRST, to_block=granted.center.head()
    )[granted.index("valley")]
    put_back = kit.lose(granted, frozen.freeze.leaf_list)
    assert kit.found_at(granted, Level.KEYLESS) == {("leaf-list", 1, "valley")}

    confirm_missing(granted.auditor, frozen)
    finalize(granted.center, granted.study, FIRST)
    manifest, _, _ = read_result(granted.center, granted.read(), FIRST, granted.center.head())
    codes = {entry.hospital: entry.code for entry in manifest.entries}
    assert codes[granted.index("valley")] is ExclusionCode.LIST_MISSING
    kit.assert_sound(granted)
    put_back()  # it turned up too late: the exclusion stands
    kit.assert_sound(granted)


def _submit_anothers(world: World) -> None:
    """Valley hands in north's artefact as its own."""
    open_round(world.center, world.study)
    kit.freeze_and_submit(world, FIRST, ["north", "harbor"])
    freeze(world.node("valley"), world.study, FIRST)
    stolen = kit.submission_of(world, 1, "north")
    chain = world.node("valley").party.chain
    chain.client.send(chain.rounds.submit(world.study, FIRST, stolen.manifest, stolen.commitment))


def test_an_artefact_of_another_hospital_is_excluded_by_rule(granted: World) -> None:
    _submit_anothers(granted)
    assert kit.found_at(granted, Level.KEYLESS) == {("update-manifest", 1, "valley")}
    done = finalize(granted.center, granted.study, FIRST)
    assert done.included == 0b111 & ~(1 << granted.index("valley"))
    kit.assert_sound(granted)


def test_a_center_that_includes_it_all_the_same_is_found(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.assert_sound(granted)
    _submit_anothers(granted)
    honest, north = collecting.judge_submission, granted.index("north")
    updates = []

    def cheat(party: Any, study: Any, frozen: Any, event: Any, into: Any) -> Judged:
        if event.index == north:
            updates.append(honest(party, study, frozen, event).update)
        judged = honest(party, study, frozen, event, into)
        if judged.code is None:
            return judged
        into.add_stored([(updates[0], 1)])
        return Judged(None, None, weight=1)

    assert north < granted.index("valley")
    monkeypatch.setattr(collecting, "judge_submission", cheat)
    finalize(granted.center, granted.study, FIRST)
    assert kit.found_at(granted, Level.KEYLESS) == {("update-manifest", 1, "valley")}
    assert ("exclusion", 1, "valley") in kit.found_at(granted, Level.KEYED)


def _bond(world: World, hospital: str) -> tuple[int, int]:
    """What the hospital's bond holds, and the patients' pot."""
    escrow, block = world.center.chain.escrow, world.center.head()
    bond = escrow.bond_of(world.study, world.keys[hospital].address, block_identifier=block)
    return bond, escrow.account(world.study, block_identifier=block).pot
