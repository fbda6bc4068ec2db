"""Hospitals that fail or lie: each is named with the reason, and none holds up the others."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np
import pytest

from chain.types import RoundNumber
from federated.auditor.words import rule_on_update
from federated.center import open_round
from federated.center import run as center_run
from federated.challenging import freeze_of, submission_of
from federated.errors import TrainingError
from federated.grid import Grid
from federated.hospital import freeze
from federated.hospital import run as hospital_run
from federated.hospital.freeze import frozen_commitment
from federated.models import update_schema
from federated.outcome import outcomes
from federated.schema import Array
from federated.tensors import encode_tensors
from storage.manifest import read_manifest
from storage.store import put_record
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND = RoundNumber(1), RoundNumber(2)
training = importlib.import_module("federated.hospital.train")  # the function hides the module


def _center(world: World) -> list[str]:
    said: list[str] = []
    center_run.advance(world.center, world.study, said.append)
    return said


def _hospitals(world: World, names: Sequence[str]) -> list[str]:
    said: list[str] = []
    for name in names:
        hospital_run.advance(world.node(name), world.study, said.append)
    return said


def _said_of_valley(world: World, number: int = 1) -> str:
    found = outcomes(world.auditor, world.read(), RoundNumber(number), world.auditor.head())
    others = [item for item in found if item.hospital != world.index("valley")]
    if kit.round_at(world, number).finalized:
        assert [item.said for item in others] == ["included", "included"]
    return found[world.index("valley")].said


def _assert_goes_on(world: World) -> None:
    """The round stands without valley, the audit finds no fault, and valley takes part again."""
    kit.assert_sound(world)
    assert _center(world) == ["round 2 is open"]
    _hospitals(world, kit.HOSPITALS)
    assert _center(world) == ["round 2: finalized 3 updates"]
    kit.assert_sound(world)


def test_a_hospital_whose_training_crashes_is_named_and_missed_by_nobody(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It froze, so the others wait for it until submitBy and no longer."""
    _center(granted)
    _hospitals(granted, ["north", "harbor"])
    with monkeypatch.context() as patch:
        patch.setattr(training, "arrays", _diverging)
        with pytest.raises(TrainingError, match="not finite"):
            _hospitals(granted, ["valley"])
    assert _center(granted) == []
    granted.clock.advance_to(kit.round_at(granted, 1).submit_by + 1)
    valley = granted.keys["valley"].address
    assert _center(granted) == [f"round 1: finalized 2 updates; {valley}: did not submit"]
    assert _said_of_valley(granted) == "did not submit"
    _assert_goes_on(granted)


def _diverging(members: object, spec: object) -> tuple[Array, Array]:
    """Records that no descent survives: their loss has no finite gradient."""
    del members
    width = len(spec.data.features)  # type: ignore[attr-defined]
    return np.full((9, width), np.inf, np.float32), np.ones(9, np.float32)


def test_a_hospital_that_never_starts_is_named(granted: World) -> None:
    _center(granted)
    _hospitals(granted, ["north", "harbor"])
    granted.clock.advance_to(kit.round_at(granted, 1).freeze_by + 1)
    valley = granted.keys["valley"].address
    assert _center(granted) == [f"round 1: finalized 2 updates; {valley}: did not freeze"]
    _assert_goes_on(granted)


def test_a_hospital_whose_store_is_gone_is_left_out_by_an_auditors_word(granted: World) -> None:
    """The center says whose update is nowhere, once, and neither ends nor asks for all again."""
    _center(granted)
    _hospitals(granted, kit.HOSPITALS)
    sealed = kit.submission_of(granted, 1, "valley").manifest
    kit.lose(granted, read_manifest(granted.center.store, sealed).payload)
    (said,) = _center(granted)
    valley = granted.keys["valley"].address
    assert f"{valley} is in no member's store" in said
    assert _center(granted) == []
    assert _said_of_valley(granted) == "submitted"
    granted.clock.advance_to(kit.round_at(granted, 1).submit_by + 1)
    assert _center(granted) == []
    frozen = freeze_of(granted.auditor, granted.read(), FIRST, granted.index("valley"))
    event = submission_of(granted.auditor, frozen)
    assert rule_on_update(granted.auditor, granted.read(), frozen, event) is not None
    assert _center(granted) == [f"round 1: finalized 2 updates; {valley}: excluded: undecryptable"]
    _assert_goes_on(granted)


def test_a_hospital_that_submits_junk_is_excluded_and_named(granted: World) -> None:
    _center(granted)
    _hospitals(granted, ["north", "harbor"])
    node = granted.node("valley")
    freeze(node, granted.study, FIRST)
    junk = put_record(node.party.store, {"this": ["is", "no", "manifest"]}).digest
    node.party.chain.client.send(
        node.party.chain.rounds.submit(granted.study, FIRST, junk, b"\1" * 32)
    )
    valley = granted.keys["valley"].address
    assert _center(granted) == [f"round 1: finalized 2 updates; {valley}: excluded: schema"]
    _assert_goes_on(granted)


def _submit_steps(world: World, value: int) -> None:
    """Valley seals an update whose every coordinate has one value, and submits it."""
    node, study = world.node("valley"), world.read()
    freeze(node, world.study, FIRST)
    schema = update_schema(study.spec)
    steps = np.full(schema.size, value, np.int32)  # as of numbers that overflowed
    data = encode_tensors(schema.unflatten(steps), schema)
    root = frozen_commitment(node, study, FIRST).root
    sealed = training._seal(node.party, study, FIRST, root, data)
    call = node.party.chain.rounds.submit(
        world.study, FIRST, sealed.manifest_digest, sealed.commitment
    )
    node.party.chain.client.send(call)


@pytest.mark.parametrize("code", ["non-finite", "over-clip"])
def test_a_hospital_that_returns_what_is_no_number_or_too_long_is_excluded_and_named(
    granted: World, code: str
) -> None:
    """Updates are integers: what a NaN or an infinity becomes lies outside of every bound."""
    _center(granted)
    _hospitals(granted, ["north", "harbor"])
    bound = Grid.of(granted.read().spec.grid).bound
    _submit_steps(granted, -(1 << 31) if code == "non-finite" else bound)
    valley = granted.keys["valley"].address
    assert _center(granted) == [f"round 1: finalized 2 updates; {valley}: excluded: {code}"]
    _assert_goes_on(granted)


def test_a_round_that_too_few_survive_ends_and_another_opens(granted: World) -> None:
    """Two of three submit junk: no model, both named, no loop of vain tries, and a next round."""
    _center(granted)
    _hospitals(granted, ["north"])
    for name in ("harbor", "valley"):
        party = granted.party(name)
        freeze(granted.node(name), granted.study, FIRST)
        junk = put_record(party.store, {"junk": name}).digest
        party.chain.client.send(party.chain.rounds.submit(granted.study, FIRST, junk, b"\1" * 32))
    (said,) = _center(granted)
    assert "1 updates can be included, at least 2 are needed" in said
    assert all(f"{granted.keys[name].address}: schema" in said for name in ("harbor", "valley"))
    assert _center(granted) == []
    granted.clock.advance_to(kit.round_at(granted, 1).finalize_by + 1)
    ended, opened = _center(granted)
    assert ended.startswith("round 1: ends without a model; ")
    assert opened == "round 2 is open"
    _hospitals(granted, kit.HOSPITALS)
    assert _center(granted) == ["round 2: finalized 3 updates"]
    kit.assert_sound(granted)


def test_a_round_that_nobody_joins_ends_and_names_all(granted: World) -> None:
    assert open_round(granted.center, granted.study) == FIRST
    granted.clock.advance_to(kit.round_at(granted, 1).finalize_by + 1)
    ended, _ = _center(granted)
    for name in kit.HOSPITALS:
        assert f"{granted.keys[name].address}: did not freeze" in ended
