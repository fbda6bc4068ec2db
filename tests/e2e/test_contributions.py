"""Contribution by leave-one-out through all actors: propose, report, finalize, settle, audit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import pytest

from chain.types import RoundNumber
from federated.auditor import Level
from federated.candidates import Candidates
from federated.center import finalize, propose, settle
from federated.center.propose import Heard
from federated.center.run import advance as advance_center
from federated.errors import StepError
from federated.hospital import report
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.hospital.run import advance as advance_hospital
from federated.left_out import loss_of
from federated.phase import report_by
from federated.published import known_state
from federated.reports import Report
from federated.signed_report import TAG, listed_reports, report_topic
from records.splits import Part
from storage.cid import dag_cbor_cid
from storage.signed import open_record
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)


def _done(world: World, hospital: str) -> Report:
    found = report(world.node(hospital), world.study, FIRST)
    assert found is not None
    return found


def _proposed(world: World) -> Candidates:
    found = propose(world.center, world.study, FIRST)
    assert found is not None
    return found


def _listed(world: World) -> list[Report]:
    return listed_reports(world.center, world.read(), world.center.head())


def _reporting(world: World) -> set[int]:
    return {item.hospital for item in _listed(world)}


def _cross_reporting(world: World) -> None:
    world.clock.advance_to(report_by(kit.round_at(world, 1)) + 1)


def test_hospitals_judge_every_model_but_that_without_themselves(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    states = _proposed(world).states
    for name in kit.HOSPITALS:
        done, index = _done(world, name), world.index(name)
        others = {without: state for without, state in states.items() if not without >> index & 1}
        assert done.states == others
        assert done.root == kit.freeze_of(world, 1, name).root
        assert done.people >= 10
    finalize(world.center, world.study, FIRST)
    assert kit.state_of(world, 1) == states[0]
    assert _reporting(world) == {0, 1, 2}
    settle(world.center, world.study)
    kit.assert_sound(world)
    names = {check.name for check in world.audit().checks}
    assert {"report", "report-models", "reports-awaited", "candidates"} <= names


def test_no_record_for_testing_enters_a_report(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    finalize(world.center, world.study, FIRST)
    study = world.read()
    model = known_state(world.center, study, FIRST, world.center.head()).parameters
    for name in kit.HOSPITALS:
        members, done = frozen_members(world.node(name), study, FIRST), _done(world, name)
        parts = [arrays([m for m in members if m.part is part], study.spec) for part in Part]
        found = dict(zip(Part, (loss_of(study.spec, model, *part) for part in parts), strict=True))
        assert found[Part.VALIDATION] != found[Part.TEST]
        assert done.evaluations[0].loss == found[Part.VALIDATION]
        assert done.people == len(parts[list(Part).index(Part.VALIDATION)][1])


def test_whom_a_hospital_told_of_it_tells_nobody(contributing: World) -> None:
    """Who knows which people a table counts has them by the difference of two tables."""
    world = contributing
    kit.report_all(world, FIRST)
    finalize(world.center, world.study, FIRST)
    tables = [node.party.journal.get("told") or [] for node in world.nodes]
    told = [key for table in tables for people in table for key in people]
    assert len(told) == sum(_done(world, name).people for name in kit.HOSPITALS)
    shared = [path.read_bytes() for path in (world.folder / "store").rglob("*") if path.is_file()]
    node = world.center.chain.client.node
    for number in range(world.center.head() + 1):
        block = node.request("eth_getBlockByNumber", hex(number), True)
        shared += [bytes.fromhex(tx["input"][2:]) for tx in block["transactions"]]
    assert len(shared) > 100
    for key in told:
        assert not any(key.encode() in piece for piece in shared)


def test_the_center_waits_for_reports_and_goes_on_without_who_gives_none(
    contributing: World,
) -> None:
    world = contributing
    kit.report_all(world, FIRST, ["north", "harbor"])
    with pytest.raises(StepError, match=world.keys["valley"].address):
        finalize(world.center, world.study, FIRST)
    said: list[str] = []
    assert advance_center(world.center, world.study, said.append) is False
    assert said == []
    _cross_reporting(world)
    advance_center(world.center, world.study, said.append)
    assert said[0].endswith(f"goes on without the report of {world.keys['valley'].address}")
    assert _reporting(world) == {world.index("north"), world.index("harbor")}
    settle(world.center, world.study)
    kit.assert_sound(world)


def test_the_loops_of_center_and_hospitals_do_it_by_themselves(contributing: World) -> None:
    world, said = contributing, list[str]()
    advance_center(world.center, world.study, said.append)
    assert said == ["round 1: proposes 4 models, waits for reports"]
    for node in world.nodes:
        advance_hospital(node, world.study, said.append)
        advance_hospital(node, world.study, said.append)
    assert said[1:] == ["round 1: judged 3 models on validation patients"] * 3
    advance_center(world.center, world.study, said.append)
    assert said[4:] == ["round 1: finalized 3 updates"]
    for node in world.nodes:
        advance_hospital(node, world.study, said.append)
    assert not any("did not list" in text for text in said)
    assert len(_listed(world)) == 3


def test_a_center_that_finalizes_before_all_could_report_is_named(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST, ["north", "harbor"])
    _finalize_with(world, list(_announced(world).values()))
    settle(world.center, world.study)
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(world, level) == {("reports-awaited", 1, "valley")}


def test_a_report_that_is_left_out_is_noted_and_its_hospital_says_so(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    _cross_reporting(world)
    found = _announced(world)
    _finalize_with(world, [found["north"], found["harbor"]])
    verdict = world.audit(Level.KEYLESS, "relayer")
    assert verdict.ok
    noted = {(check.name, check.hospital) for check in verdict.notes}
    assert noted == {("report-unlisted", world.index("valley"))}
    said: list[str] = []
    advance_hospital(world.node("valley"), world.study, said.append)
    advance_hospital(world.node("valley"), world.study, said.append)
    assert sum("did not list this hospital's report" in text for text in said) == 1
    advance_hospital(world.node("north"), world.study, said.append)
    assert sum("did not list" in text for text in said) == 1


def _finalize_with(world: World, reports: Sequence[bytes]) -> None:
    """What a center does that lists these digests, whatever it heard, and waits for nobody."""
    steps = importlib.import_module("federated.center.aggregate")
    heard = Heard(tuple(reports), ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "hear", lambda *_: heard)
        finalize(world.center, world.study, FIRST)


def _announced(world: World) -> dict[str, bytes]:
    """Digests of the reports that hospitals announced, by the hospital's name."""
    cids = world.center.store.announced(report_topic(_proposed(world).context))
    names = {world.index(name): name for name in kit.HOSPITALS}
    return {names[_read(world, cid.digest).hospital]: cid.digest for cid in cids}


def _read(world: World, digest: bytes) -> Report:
    record = open_record(TAG, world.center.store.get_block(dag_cbor_cid(digest)), {"report": bytes})
    return Report.from_bytes(record.body["report"])
