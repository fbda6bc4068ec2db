"""Rounds for some of the hospitals, drawn by rule: nobody is waited for, and nobody chooses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.types import RoundNumber
from federated.auditor import Level
from federated.canonical import tagged_hash
from federated.center import finalize, open_round
from federated.center import run as center_run
from federated.drawing import END, drawn_for
from federated.errors import StepError
from federated.hospital import freeze
from federated.hospital import run as hospital_run
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.simulate import simulate
from federated.spec import Sampling
from federated.state import state_digest
from records.splits import Part
from tests.e2e import kit
from tests.e2e.kit import HOSPITALS, Saved, World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND = RoundNumber(1), RoundNumber(2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Three hospitals enrolled, two of them drawn a round."""
    folder = tmp_path_factory.mktemp("sampling")
    world = kit.build_world(folder / "world")
    with world.anvil:
        kit.enrol_all(world, kit.study_spec(world, rounds=3, sampling=Sampling(2)))
        kit.open_tiers(world)
        kit.ask_all(world)
        saved = kit.save(world, folder / "saved")
        world.forget()
    return saved


@pytest.fixture
def sampled(prepared: Saved, tmp_path: Path) -> Iterator[World]:
    with prepared.start(tmp_path / "world") as world:
        yield world


def _quiet(_: str) -> None:
    return


def _drawn(world: World, number: int) -> list[str]:
    return [n for n in HOSPITALS if kit.round_at(world, number).enrolled >> world.index(n) & 1]


def _by_hand(world: World, number: int, block: int) -> int:
    """The draw as the documentation tells it, out of a block's hash."""
    client, address = world.auditor.chain.client, world.auditor.chain.rounds.address
    found = client.block_hash(client.node.block(block).number)
    spec, place = world.read().spec, bytes.fromhex(address[2:])
    parts = (client.chain_id, place, world.study, number, spec.seed, found)
    lots = sorted((tagged_hash("consilium/draw/1", *parts, index), index) for index in range(3))
    return sum(1 << index for _, index in lots[:2])


def test_a_study_of_drawn_hospitals_runs_and_waits_for_no_other(sampled: World) -> None:
    """All rounds by what the actors do by themselves; no clock is moved."""
    for _ in range(30):
        done = center_run.advance(sampled.center, sampled.study, _quiet)
        for name in HOSPITALS:
            hospital_run.advance(sampled.node(name), sampled.study, _quiet)
        if done:
            break
    chain, block = sampled.auditor.chain, sampled.auditor.head()
    enrolled = chain.studies.enrolments(sampled.study, to_block=block)[-1].block
    fixed = [enrolled]
    for number in (1, 2, 3):
        round_ = kit.round_at(sampled, number)
        assert round_.finalized
        assert round_.enrolled == round_.included == _by_hand(sampled, number, fixed[-1])
        event = chain.rounds.finalized(sampled.study, RoundNumber(number), to_block=block)
        fixed.append(event.block)
        now = chain.client.node.block(event.block).timestamp
        assert now <= round_.freeze_by
    kit.assert_sound(sampled)

    cohorts = [{n: _records(sampled, n, place) for n in _drawn(sampled, place)} for place in (1, 2)]
    states = simulate(sampled.read().spec, cohorts)
    found = [state_digest(sampled.read().spec, state) for state in states[1:]]
    assert found == [kit.state_of(sampled, 1), kit.state_of(sampled, 2)]


def _records(world: World, name: str, number: int) -> object:
    members = frozen_members(world.node(name), world.read(), RoundNumber(number))
    return arrays([m for m in members if m.part is Part.TRAIN], world.read().spec)


def test_aborting_a_round_gives_no_other_draw(sampled: World) -> None:
    """Else a center would abort until it likes the hospitals."""
    for number in (FIRST, SECOND):
        assert open_round(sampled.center, sampled.study) == number
        chain = sampled.center.chain
        chain.client.send(chain.rounds.abort(sampled.study, number))
    assert kit.round_at(sampled, 1).enrolled == kit.round_at(sampled, 2).enrolled
    kit.assert_sound(sampled)


def test_a_round_that_ran_out_is_drawn_anew(sampled: World) -> None:
    """Of many draws some differ: hospitals that are gone for good do not hold a study up."""
    study, block = sampled.read(), sampled.center.head()
    open_round(sampled.center, sampled.study)
    sampled.clock.advance_to(kit.round_at(sampled, 1).finalize_by + 1)
    open_round(sampled.center, sampled.study)
    enrolled = sampled.center.chain.studies.enrolments(sampled.study, to_block=block)[-1].block
    assert kit.round_at(sampled, 2).enrolled == _by_hand(sampled, 2, enrolled)
    assert drawn_for(sampled.center, study, FIRST, 0b111, (block, END)) == _by_hand(
        sampled, 1, enrolled
    )
    kit.assert_sound(sampled)


def _open_for(world: World, drawn: int) -> None:
    rounds, terms = world.center.chain.rounds, world.read().terms
    call = rounds.open_drawn(world.study, RoundNumber(0), terms.state, 0b111, drawn)
    world.center.chain.client.send(call)


def test_a_center_that_chooses_the_hospitals_finds_none_and_is_found_out(sampled: World) -> None:
    block = sampled.center.head()
    right = drawn_for(sampled.center, sampled.read(), FIRST, 0b111, (block, END))
    wrong = next(bits for bits in (0b011, 0b101, 0b110) if bits != right)
    _open_for(sampled, wrong)
    for name in _drawn(sampled, 1):
        with pytest.raises(StepError, match="tell the auditors"):
            freeze(sampled.node(name), sampled.study, FIRST)
    assert kit.found_at(sampled, Level.KEYLESS) == {("hospitals", 1, None)}


def test_a_center_that_draws_although_the_spec_does_not_is_found_out(granted: World) -> None:
    _open_for(granted, 0b011)
    for name in _drawn(granted, 1):
        with pytest.raises(StepError, match="were drawn"):
            freeze(granted.node(name), granted.study, FIRST)
    assert kit.found_at(granted, Level.KEYLESS) == {("hospitals", 1, None)}


def test_a_center_that_takes_all_although_the_spec_draws_is_found_out(sampled: World) -> None:
    rounds, terms = sampled.center.chain.rounds, sampled.read().terms
    sampled.center.chain.client.send(rounds.open(sampled.study, RoundNumber(0), terms.state))
    with pytest.raises(StepError, match="were not drawn"):
        freeze(sampled.node("north"), sampled.study, FIRST)
    assert kit.found_at(sampled, Level.KEYLESS) == {("hospitals", 1, None)}


def test_a_hospital_that_leaves_is_drawn_no_more(sampled: World) -> None:
    """Two are left, and both take part: there are no more to draw from."""
    valley = sampled.party("valley").chain
    valley.client.send(valley.studies.quit(sampled.study))
    open_round(sampled.center, sampled.study)
    assert _drawn(sampled, 1) == ["north", "harbor"]
    kit.freeze_and_submit(sampled, FIRST, ["north", "harbor"])
    finalize(sampled.center, sampled.study, FIRST)
    kit.assert_sound(sampled)


def test_a_spec_without_sampling_has_the_bytes_that_it_had(sampled: World) -> None:
    spec = sampled.read().spec
    assert b"sampling" not in replace(spec, sampling=None).to_bytes()
    assert b"sampling" in spec.to_bytes()
