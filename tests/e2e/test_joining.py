"""Hospitals that come and go between rounds, and one that never published a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.participants import Role
from chain.round_types import Freeze
from chain.types import RoundNumber
from federated.auditor import Level
from federated.center import invite, open_round
from federated.center import run as center_run
from federated.hospital import run as hospital_run
from storage.store import put_record
from tests.e2e import kit
from tests.e2e.kit import Keys, World, make_party

pytestmark = pytest.mark.engine("anvil")

FOUNDERS = ("north", "harbor")


@pytest.fixture
def founded(tmp_path: Path) -> Iterator[World]:
    """Two hospitals enrolled, of four that may."""
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        spec = replace(kit.study_spec(world, rounds=3), max_hospitals=4)
        kit.enrol_all(world, spec, names=FOUNDERS)
        kit.open_tiers(world, FOUNDERS)
        kit.ask_all(world, names=FOUNDERS)
        yield world
        world.forget()


def _round(world: World, names: tuple[str, ...]) -> list[str]:
    """What the center says of a round in which these hospitals look once; no clock is moved."""
    said: list[str] = []
    center_run.advance(world.center, world.study, said.append)
    for name in names:
        hospital_run.advance(world.node(name), world.study, lambda _: None)
    center_run.advance(world.center, world.study, said.append)
    return said


def test_a_hospital_that_enrols_takes_part_from_the_next_round_and_one_that_left_is_not_awaited(
    founded: World,
) -> None:
    assert _round(founded, FOUNDERS)[-1] == "round 1: finalized 2 updates"
    files = kit.deal(founded.folder / "later")
    kit.enrol(founded, founded.study, founded.read().spec, "valley", files["valley"])
    kit.open_tiers(founded, ["valley"])
    kit.ask_all(founded, names=["valley"])
    assert _round(founded, kit.HOSPITALS)[-1] == "round 2: finalized 3 updates"
    harbor = founded.party("harbor").chain
    harbor.client.send(harbor.studies.quit(founded.study))
    assert _round(founded, ("north", "valley"))[-1] == "round 3: finalized 2 updates"
    taking = [kit.round_at(founded, number).enrolled for number in (1, 2, 3)]
    assert taking == [0b011, 0b111, 0b101]
    kit.assert_sound(founded)


def test_a_hospital_that_enrols_in_mid_round_waits_for_the_next(founded: World) -> None:
    """Neither it nor the others are held up; it froze nothing, so it is not looked for."""
    open_round(founded.center, founded.study)
    files = kit.deal(founded.folder / "later")
    kit.enrol(founded, founded.study, founded.read().spec, "valley", files["valley"])
    kit.open_tiers(founded, ["valley"])
    kit.ask_all(founded, names=["valley"])
    said: list[str] = []
    for name in kit.HOSPITALS:
        hospital_run.advance(founded.node(name), founded.study, lambda _: None)
    center_run.advance(founded.center, founded.study, said.append)
    assert said == ["round 1: finalized 2 updates"]
    assert _round(founded, kit.HOSPITALS)[-1] == "round 2: finalized 3 updates"
    kit.assert_sound(founded)


def test_a_hospital_without_keys_holds_up_nobody(founded: World) -> None:
    """It enrols by hand, freezes a root of nothing and submits: nobody signed that, so `schema`."""
    keys = Keys.fresh()
    founded.anvil.fund(keys.address, kit.COINS)
    operator = founded.party("operator").chain
    operator.client.send(operator.participants.admit(keys.address, Role.HOSPITAL, bytes(32)))
    invite(founded.center, founded.study, keys.address)
    spec, token = founded.read().spec, founded.deployment.address_of("DevelopmentToken")
    center = founded.center.chain
    center.client.send(center.token(token).mint(keys.address, spec.reward.bond_wei))
    ghost = make_party(
        founded.folder, "ghost", keys, founded.anvil.url, founded.deployment, store=None
    )
    chain = ghost.chain
    chain.client.send(chain.token(token).approve(chain.escrow.address, spec.reward.bond_wei))
    chain.client.send(chain.studies.enrol(founded.study, spec.digest()))
    open_round(founded.center, founded.study)
    kit.freeze_and_submit(founded, RoundNumber(1), FOUNDERS)
    head = ghost.head()
    root, junk = b"\1" * 32, put_record(ghost.store, ["junk"]).digest
    digest = chain.client.block_hash(head)
    commitment = Freeze(founded.study, RoundNumber(1), 2, head, digest, root, 1, 1, junk, bytes(32))
    chain.client.send(chain.rounds.freeze(commitment))
    chain.client.send(chain.rounds.submit(founded.study, RoundNumber(1), junk, root))
    chain.client.outbox.close()
    said: list[str] = []
    center_run.advance(founded.center, founded.study, said.append)
    assert said == [f"round 1: finalized 2 updates; {keys.address}: excluded: schema"]
    wrong = {(check.name, check.hospital) for check in founded.audit(Level.KEYED).failures}
    assert {hospital for _, hospital in wrong} == {2}
