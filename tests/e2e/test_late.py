"""Updates that miss their round: taken by the next one, for less, and by nobody's choice."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from api.report.lineage import read_provenance
from chain.types import RoundNumber
from federated.auditor import Level
from federated.center import finalize, open_round
from federated.center.inputs import collect, read_inputs
from federated.exclusion import ExclusionCode
from federated.grid import Grid
from federated.hospital import freeze, submit, train
from federated.hospital.late import sealed_step
from federated.hospital.run import advance
from federated.judging import check_manifest, judge_submission
from federated.models import update_schema
from federated.outcome import Fate
from federated.round_manifest import read_round_manifest
from federated.schema import Array
from federated.spec import Late, Split
from federated.staleness import contexts_of_update, discounted
from storage.sealed import Sealed
from tests.e2e import kit
from tests.e2e.kit import Saved, World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND, THIRD = RoundNumber(1), RoundNumber(2), RoundNumber(3)
judging = importlib.import_module("federated.judging")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Round 1 is over. Valley froze and trained in it, and was too late to submit."""
    folder = tmp_path_factory.mktemp("late")
    world = kit.build_world(folder / "world")
    with world.anvil:
        kit.enrol_all(world, kit.study_spec(world, rounds=4, late=Late("next-round", 1)))
        kit.open_tiers(world)
        kit.ask_all(world)
        open_round(world.center, world.study)
        kit.freeze_and_submit(world, FIRST, ["north", "harbor"])
        freeze(world.node("valley"), world.study, FIRST)
        train(world.node("valley"), world.study, FIRST)
        world.clock.advance_to(kit.round_at(world, 1).submit_by + 1)
        finalize(world.center, world.study, FIRST)
        saved = kit.save(world, folder / "saved")
        world.forget()
    return saved


@pytest.fixture
def late(prepared: Saved, tmp_path: Path) -> Iterator[World]:
    with prepared.start(tmp_path / "world") as world:
        yield world


def _vector(world: World, number: RoundNumber, hospital: str) -> Array:
    """The hospital's update in grid steps, as the auditor opens it.  # (size,)"""
    judged = _judged(world, number, hospital)
    assert judged.update is not None
    return judged.update.vector(update_schema(world.read().spec)).astype(np.int64)


def _judged(world: World, number: RoundNumber, hospital: str) -> judging.Judged:
    event = kit.submission_of(world, number, hospital)
    return judge_submission(world.auditor, world.read(), _frozen(world, number, hospital), event)


def _frozen(world: World, number: RoundNumber, hospital: str) -> judging.Frozen:
    block = world.auditor.head()
    found = world.auditor.chain.rounds.freezes(world.study, number, to_block=block)
    return next(item for item in found if item.freeze.hospital == world.index(hospital))


def _codes(world: World, number: RoundNumber) -> list[ExclusionCode | None]:
    digest = kit.round_at(world, number).manifest
    manifest, _ = read_round_manifest(world.center.store, digest)
    return [entry.code for entry in manifest.entries]


def test_a_late_update_enters_the_next_round_at_half_its_weight(late: World) -> None:
    open_round(late.center, late.study)
    kit.freeze_and_submit(late, SECOND, ["north", "harbor"])
    said: list[str] = []
    advance(late.node("valley"), late.study, said.append)
    assert any("late from 1" in line for line in said)
    judged = _judged(late, SECOND, "valley")
    frozen = kit.freeze_of(late, SECOND, "valley")
    assert frozen.root == kit.freeze_of(late, FIRST, "valley").root
    assert (judged.staleness, judged.weight) == (1, frozen.weight // 2)

    study, inputs = late.read(), read_inputs(late.center, late.read(), SECOND, late.center.head())
    mean = collect(late.center, study, inputs, wrap=False).total.mean()
    weights = {name: kit.freeze_of(late, SECOND, name).weight for name in ("north", "harbor")}
    weights["valley"] = frozen.weight // 2
    steps = sum(w * _vector(late, SECOND, name) for name, w in weights.items())
    expected = steps / (sum(weights.values()) << Grid.of(study.spec.grid).bits)
    found = np.concatenate([array.ravel() for array in mean.values()])
    assert np.array_equal(found, expected)

    finalize(late.center, late.study, SECOND)
    kit.assert_sound(late)
    block = late.center.head()
    counted, _ = late.center.chain.rounds.counted_weights(late.study, block_identifier=block)
    assert counted[late.index("valley")] == frozen.weight  # paid once, for one training
    told = read_provenance(late.center, late.read(), ("north", "harbor", "valley"), block).rounds
    assert [x.fate for x in told[0].updates] == [Fate.INCLUDED, Fate.INCLUDED, Fate.FROZEN]
    assert [x.fate for x in told[1].updates] == [Fate.INCLUDED] * 3
    assert [x.staleness for x in told[1].updates] == [0, 0, 1]


def test_who_withdrew_in_between_is_in_no_late_update(late: World) -> None:
    asked = next(x for x in late.patients if (x.hospital, x.will) == ("valley", "grants"))
    kit.revoke(late, asked)
    open_round(late.center, late.study)
    freeze(late.node("valley"), late.study, SECOND)
    trained = train(late.node("valley"), late.study, SECOND)
    assert trained.round_number == SECOND
    submit(late.node("valley"), late.study, SECOND)
    assert len(contexts_of_update(late.auditor, late.read(), _frozen(late, SECOND, "valley"))) == 1
    kit.freeze_and_submit(late, SECOND, ["north", "harbor"])
    finalize(late.center, late.study, SECOND)
    assert _judged(late, SECOND, "valley").staleness == 0
    kit.assert_sound(late)


def _submit_again(world: World, hospital: str, old: RoundNumber, new: RoundNumber) -> None:
    """Send what was sealed for another round, whatever the hospital's own code says."""
    party = world.party(hospital)
    record = party.journal.get(sealed_step(world.study, old))
    assert record is not None
    sealed = Sealed.from_json(record["sealed"])
    call = party.chain.rounds.submit(world.study, new, sealed.manifest_digest, sealed.commitment)
    party.chain.client.send(call)


def test_an_update_that_counted_is_not_counted_again_as_late(late: World) -> None:
    """Who trains once and submits twice would be paid for rounds that it did nothing in."""
    open_round(late.center, late.study)
    kit.freeze_and_submit(late, SECOND, ["harbor", "valley"])
    freeze(late.node("north"), late.study, SECOND)
    _submit_again(late, "north", FIRST, SECOND)
    finalize(late.center, late.study, SECOND)
    assert _codes(late, SECOND)[late.index("north")] is ExclusionCode.SCHEMA
    kit.assert_sound(late)


def test_an_update_that_is_too_stale_is_left_out(late: World) -> None:
    """Valley misses round 2 too, and then sends the update of round 1 in spite of its age."""
    open_round(late.center, late.study)
    kit.freeze_and_submit(late, SECOND, ["north", "harbor"])
    late.clock.advance_to(kit.round_at(late, 2).submit_by + 1)
    finalize(late.center, late.study, SECOND)
    open_round(late.center, late.study)
    kit.freeze_and_submit(late, THIRD, ["north", "harbor"])
    freeze(late.node("valley"), late.study, THIRD)
    assert train(late.node("valley"), late.study, THIRD).round_number == THIRD
    _submit_again(late, "valley", FIRST, THIRD)
    finalize(late.center, late.study, THIRD)
    assert _codes(late, THIRD)[late.index("valley")] is ExclusionCode.SCHEMA
    kit.assert_sound(late)


def test_a_center_that_gives_a_late_update_its_full_weight_is_found_out(
    late: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_round(late.center, late.study)
    kit.freeze_and_submit(late, SECOND)
    monkeypatch.setattr(judging, "discounted", lambda weight, _: weight)
    finalize(late.center, late.study, SECOND)
    monkeypatch.undo()
    assert kit.found_at(late, Level.KEYLESS) == set()
    assert kit.found_at(late, Level.KEYED) == {("aggregate", 2, None)}


def test_without_the_rule_a_late_update_is_dropped(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    freeze(granted.node("valley"), granted.study, FIRST)
    train(granted.node("valley"), granted.study, FIRST)
    granted.clock.advance_to(kit.round_at(granted, 1).submit_by + 1)
    finalize(granted.center, granted.study, FIRST)
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, SECOND, ["north", "harbor"])
    first = kit.freeze_of(granted, FIRST, "valley")
    assert freeze(granted.node("valley"), granted.study, SECOND).root != first.root
    assert train(granted.node("valley"), granted.study, SECOND).round_number == SECOND
    _submit_again(granted, "valley", FIRST, SECOND)
    finalize(granted.center, granted.study, SECOND)
    assert _codes(granted, SECOND)[granted.index("valley")] is ExclusionCode.SCHEMA
    kit.assert_sound(granted)


def test_a_study_that_lapsed_takes_the_update_as_fresh(late: World) -> None:
    """The model stood still, so nothing is stale: staleness counts models and not rounds."""
    open_round(late.center, late.study)
    freeze(late.node("north"), late.study, SECOND)
    train(late.node("north"), late.study, SECOND)
    late.clock.advance_to(kit.round_at(late, 2).finalize_by + 1)
    open_round(late.center, late.study)
    kit.freeze_and_submit(late, THIRD)
    assert (_judged(late, THIRD, "north").staleness, _judged(late, THIRD, "valley").staleness) == (
        0,
        1,
    )
    event = kit.submission_of(late, THIRD, "north")
    frozen = _frozen(late, THIRD, "north")
    manifest = check_manifest(late.auditor, late.read(), frozen, event)
    contexts = contexts_of_update(late.auditor, late.read(), frozen)
    assert list(contexts).index(manifest.context) == 1  # sealed in round 2, sent in round 3
    finalize(late.center, late.study, THIRD)
    kit.assert_sound(late)


def test_a_weight_never_falls_to_nothing() -> None:
    assert [discounted(9, s) for s in (0, 1, 2, 16)] == [9, 4, 3, 1]
    assert discounted(1, 5) == 1


def test_a_spec_with_late_updates_has_other_bytes_and_one_without_the_same(late: World) -> None:
    spec = late.read().spec
    without = replace(spec, late=None)
    assert b"late" not in without.to_bytes()
    assert spec.digest() != without.digest()


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[World]:
    """A study that pays by leave-one-out, with enough of both classes to report on."""
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        spec = kit.study_spec(world, split=Split(validation=0.4, test=0.1))
        reward = replace(spec.reward, rule="leave-one-out")
        spec = replace(spec, reward=reward, late=Late("next-round", 1))
        kit.enrol_all(world, spec, 2 * kit.PATIENTS)
        kit.open_tiers(world)
        kit.ask_all(world)
        yield world
        world.forget()


@pytest.mark.slow
def test_leaving_out_a_late_update_takes_its_discounted_weight_out(measured: World) -> None:
    """The auditor comes to the very models that hospitals judged."""
    open_round(measured.center, measured.study)
    kit.freeze_and_submit(measured, FIRST, ["north", "harbor"])
    freeze(measured.node("valley"), measured.study, FIRST)
    train(measured.node("valley"), measured.study, FIRST)
    measured.clock.advance_to(kit.round_at(measured, 1).submit_by + 1)
    kit.report_all(measured, FIRST, ["north", "harbor"])
    finalize(measured.center, measured.study, FIRST)
    open_round(measured.center, measured.study)
    kit.freeze_and_submit(measured, SECOND)
    assert _judged(measured, SECOND, "valley").staleness == 1
    kit.report_all(measured, SECOND)
    finalize(measured.center, measured.study, SECOND)
    kit.assert_sound(measured)
    found = [c for c in measured.audit(Level.KEYED).checks if c.name == "candidates"]
    assert {(check.round_number, check.hospital) for check in found} >= {(2, 0), (2, 1), (2, 2)}
