"""A search for settings as a part of a study: run by the actors, and what would bend it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from api.cli.searching import print_search
from chain.rpc import request
from chain.types import RoundNumber
from federated.auditor import Level
from federated.center import finalize, open_round, settle
from federated.center import run as center_run
from federated.chosen import chosen, reports_of_search, search_table, spec_of_round
from federated.errors import StepError
from federated.hospital import freeze, report
from federated.hospital import run as hospital_run
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.leaf_list import chain_leaf, proof_of, read_leaves, tree_of
from federated.phase import report_by
from federated.provenance import standing_round
from federated.reports import Report
from federated.search_cost import search_cost
from federated.signed_report import sign_report
from federated.simulate import simulate
from federated.spec import Choice, Search, Split, StudySpec, Tried
from federated.state import state_digest
from federated.studies import wisconsin_spec
from federated.training import Records
from records.splits import Part
from tests.e2e import kit
from tests.e2e.kit import HOSPITALS, Saved, World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND, THIRD = RoundNumber(1), RoundNumber(2), RoundNumber(3)
CANDIDATES = (Tried(learning_rate=0.0001), Tried(learning_rate=0.3, epochs=2))


def _spec(world: World, **changes: Any) -> StudySpec:
    """Two candidates of a round each, two rounds after them."""
    split = Split(validation=0.4, test=0.1)
    search = Search(rounds=1, candidates=CANDIDATES)
    return kit.study_spec(world, **{"rounds": 4, "split": split, "search": search, **changes})


@dataclass(frozen=True, slots=True)
class Searches:
    """`granted`: consents given, no round yet. `searched`: both candidates' rounds are over."""

    granted: Saved
    searched: Saved


def _prepare(folder: Path, **changes: Any) -> Searches:
    world = kit.build_world(folder / "world")
    with world.anvil:
        kit.enrol_all(world, _spec(world, **changes), 2 * kit.PATIENTS)
        kit.open_tiers(world)
        kit.ask_all(world)
        granted = kit.save(world, folder / "granted")
        _run(world, 2)
        searched = kit.save(world, folder / "searched")
        world.forget()
    return Searches(granted, searched)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Searches:
    return _prepare(tmp_path_factory.mktemp("search"))


@pytest.fixture
def granted(prepared: Searches, tmp_path: Path) -> Iterator[World]:
    with prepared.granted.start(tmp_path / "world") as world:
        yield world


@pytest.fixture
def searched(prepared: Searches, tmp_path: Path) -> Iterator[World]:
    with prepared.searched.start(tmp_path / "world") as world:
        yield world


def _quiet(_: str) -> None:
    return


def _run(world: World, rounds: int) -> None:
    """What the actors do by themselves until so many rounds are finalized; no clock is moved."""
    for _ in range(12 * rounds):
        block, chain = world.center.head(), world.center.chain.rounds
        count = chain.count(world.study, block_identifier=block)
        if count >= rounds and kit.round_at(world, rounds).finalized:
            return
        center_run.advance(world.center, world.study, _quiet)
        for name in HOSPITALS:
            hospital_run.advance(world.node(name), world.study, _quiet)
    raise AssertionError(f"round {rounds} is not finalized")


def _records(world: World, name: str, number: int, part: Part) -> Records:
    members = frozen_members(world.node(name), world.read(), RoundNumber(number))
    return arrays([m for m in members if m.part is part], world.read().spec)


def _simulated(world: World, rounds: int) -> list[bytes]:
    spec, places = world.read().spec, range(1, rounds + 1)
    by_part = [
        [{n: _records(world, n, place, part) for n in HOSPITALS} for place in places]
        for part in (Part.TRAIN, Part.VALIDATION)
    ]
    states = simulate(spec, by_part[0], validation=by_part[1])
    return [bytes(state_digest(spec, state)) for state in states[1:]]


def _parents(world: World, rounds: int) -> list[int]:
    return [kit.round_at(world, number).parent for number in range(1, rounds + 1)]


def test_a_study_tries_settings_and_goes_on_with_the_best(
    searched: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world = searched
    _run(world, 4)
    study, block = world.read(), world.auditor.head()
    reports = reports_of_search(world.auditor, study, block)
    assert [len(found) for found in reports] == [3, 3]
    slow, fast = (sum(x.evaluations[0].loss for x in found) for found in reports)
    assert fast < slow
    assert chosen(world.auditor, study, THIRD, block) == 1
    _check_table(world, reports[1])
    print_search(world.relayer, study)
    assert "epochs 2" in capsys.readouterr().out
    assert _parents(world, 4) == [0, 0, 2, 3]
    assert [kit.state_of(world, number) for number in range(1, 5)] == _simulated(world, 4)
    kit.assert_sound(world)
    names = {check.name for check in world.audit().checks}
    assert {"search", "report", "reports-awaited", "aggregate"} <= names


def _check_table(world: World, best: list[Report]) -> None:
    first, second = search_table(world.relayer, world.read(), world.relayer.head())
    assert (first.chosen, second.chosen) == (False, True)
    assert (first.settings, second.settings) == (
        "learning_rate 0.0001",
        "learning_rate 0.3, epochs 2",
    )
    people = sum(item.people for item in best)
    assert (second.people, second.hospitals, second.rounds) == (people, 3, (2, 2))
    assert second.loss == sum(item.evaluations[0].loss for item in best) / 2 / people


def test_a_round_of_the_search_costs_the_gas_that_is_told_before(searched: World) -> None:
    """Measured from the opening of its first round to the finalize of its last."""
    chain, study = searched.center.chain, searched.read()
    first = chain.rounds.opening(searched.study, FIRST, to_block=searched.center.head()).block
    last = chain.rounds.finalized(searched.study, SECOND, to_block=searched.center.head()).block
    url = searched.anvil.url
    blocks = [request(url, "eth_getBlockByNumber", hex(n), False) for n in range(first, last + 1)]
    used = sum(int(block["gasUsed"], 16) for block in blocks)
    cost = search_cost(study.spec)
    assert cost is not None
    assert 0.75 * cost.gas < used < cost.gas
    assert sum(len(block["transactions"]) for block in blocks) == cost.transactions


def _open_from(world: World, parent: int) -> RoundNumber:
    """A center that begins a round where it likes: the contract takes any finalized one."""
    rounds = world.center.chain.rounds
    count = rounds.count(world.study, block_identifier=world.center.head())
    state = kit.state_of(world, parent) if parent else world.read().terms.state
    world.center.chain.client.send(rounds.open(world.study, RoundNumber(parent), state))
    return RoundNumber(count + 1)


@pytest.mark.parametrize("parent", [0, 1])
def test_a_center_that_goes_on_with_another_candidate_finds_nobody(
    searched: World, parent: int
) -> None:
    number = _open_from(searched, parent)
    for name in HOSPITALS:
        with pytest.raises(StepError, match="tell the auditors"):
            freeze(searched.node(name), searched.study, number)
    found = kit.found_at(searched, Level.KEYLESS)
    assert found == {("parent", 3, None), ("search", 3, None)}


def test_a_candidate_that_begins_from_another_ones_model_finds_nobody(granted: World) -> None:
    _run(granted, 1)
    number = _open_from(granted, 1)
    for name in HOSPITALS:
        with pytest.raises(StepError, match="tell the auditors"):
            freeze(granted.node(name), granted.study, number)
    found = kit.found_at(granted, Level.KEYLESS)
    assert found == {("parent", 2, None), ("search", 2, None)}


@contextmanager
def _listing(reports: Sequence[bytes]) -> Iterator[None]:
    """A center that lists these digests, whatever it heard, and waits for nobody."""
    steps: Any = importlib.import_module("federated.center.aggregate")
    conclude = steps._conclude
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "measures", lambda *_: False)
        patch.setattr(steps, "_conclude", lambda *given: conclude(*given[:-1], tuple(reports)))
        yield


def _judged(world: World) -> dict[str, bytes]:
    """A first round with all reports on it announced, by hospital the digest."""
    open_round(world.center, world.study)
    kit.freeze_and_submit(world, FIRST)
    kit.report_all(world, FIRST)
    return {name: sign_report(world.party(name), _report(world, name)) for name in HOSPITALS}


def _report(world: World, name: str) -> Report:
    found = report(world.node(name), world.study, FIRST)
    assert found is not None
    return found


def test_a_center_that_drops_a_report_on_a_candidate_is_found_out(granted: World) -> None:
    digests = _judged(granted)
    with _listing([digests["north"], digests["harbor"]]):
        finalize(granted.center, granted.study, FIRST)
    said: list[str] = []
    hospital_run.advance(granted.node("valley"), granted.study, said.append)
    assert "round 1: the center did not list this hospital's report: tell the auditors" in said
    found = kit.found_at(granted, Level.KEYLESS)
    assert found == {("reports-awaited", 1, "valley")}
    notes = [check.name for check in granted.audit(Level.KEYLESS).notes]
    assert "report-unlisted" in notes


def test_a_second_report_of_a_hospital_does_not_count_in_the_search(granted: World) -> None:
    """It would have the first candidate judged without a loss."""
    digests = _judged(granted)
    honest = _report(granted, "north")
    better = replace(honest, evaluations=(replace(honest.evaluations[0], loss=0),))
    second = sign_report(granted.party("north"), better)
    with _listing([*digests.values(), second]):
        finalize(granted.center, granted.study, FIRST)
    reports = reports_of_search(granted.auditor, granted.read(), granted.auditor.head())
    assert honest in reports[0]
    assert better not in reports[0]
    assert kit.found_at(granted, Level.KEYLESS) == {("report", 1, "north")}


def test_a_search_without_reports_goes_on_with_its_first_candidate_and_says_so(
    granted: World,
) -> None:
    for number in (FIRST, SECOND):
        open_round(granted.center, granted.study)
        kit.freeze_and_submit(granted, number)
        granted.clock.advance_to(report_by(kit.round_at(granted, number)) + 1)
        finalize(granted.center, granted.study, number)
    assert open_round(granted.center, granted.study) == THIRD
    assert _parents(granted, 3) == [0, 0, 1]
    kit.assert_sound(granted)
    notes = [check.detail for check in granted.audit(Level.KEYLESS).notes if check.name == "search"]
    assert any("the first one stands" in text for text in notes)


def test_settings_other_than_the_candidates_are_found_with_a_key(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A center that steps as the spec says where the candidate says otherwise."""
    config = {"learning_rate": 0.01, "beta1": 0.5, "beta2": 0.9, "tau": 0.01}
    strategy = Choice("fedadam", config)
    tried = (Tried(strategy={"learning_rate": 0.3}), Tried())
    search = Search(rounds=1, candidates=tried)
    saved = _prepare(tmp_path_factory.mktemp("adam"), strategy=strategy, search=search)
    with saved.searched.start(tmp_path / "honest") as world:
        assert [kit.state_of(world, number) for number in (1, 2)] == _simulated(world, 2)
        kit.assert_sound(world)
    with saved.granted.start(tmp_path / "world") as world, _as_the_spec_says():
        _judged(world)
        finalize(world.center, world.study, FIRST)
        assert kit.found_at(world, Level.KEYLESS) == set()
        found = kit.found_at(world, Level.KEYED)
        assert {("aggregate", 1, None), ("candidates", 1, "north")} <= found


@contextmanager
def _as_the_spec_says() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("aggregate", "propose"):
            steps: Any = importlib.import_module(f"federated.center.{module}")
            patch.setattr(steps, "spec_of_round", lambda _party, study, *_: study.spec)
        yield


@pytest.mark.parametrize("case", ["leave-one-out", "median"])
def test_a_search_goes_with_paid_contributions_and_with_robust_rules(
    tmp_path: Path, case: str
) -> None:
    """There the reports that measure contributions choose; here the model alone is judged."""
    changes: dict[str, Any] = {"strategy": Choice("median", {}), "min_hospitals": 3}
    if case == "leave-one-out":
        changes = {"reward": replace(wisconsin_spec().reward, rule=case)}
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        kit.enrol_all(world, _spec(world, **changes), 2 * kit.PATIENTS)
        kit.open_tiers(world)
        kit.ask_all(world)
        _run(world, 3)
        reports = reports_of_search(world.auditor, world.read(), world.auditor.head())
        models = 3 if case == "leave-one-out" else 1
        assert [len(item.evaluations) for found in reports for item in found] == [models] * 6
        assert _parents(world, 3) == [0, 0, 2]
        assert [kit.state_of(world, number) for number in (1, 2, 3)] == _simulated(world, 3)
        settle(world.center, world.study)
        kit.assert_sound(world)
        world.forget()


def _void_second(world: World, hospital: str) -> None:
    """The hospital keeps a patient who withdrew in the second round, which is found after it."""
    asked = next(x for x in world.patients if (x.hospital, x.will) == (hospital, "grants"))
    kit.revoke(world, asked)
    open_round(world.center, world.study)
    consents = world.node(hospital).party.chain.consents
    consents.active_at = lambda ids, *_, **__: [True] * len(ids)  # type: ignore[method-assign]
    kit.freeze_and_submit(world, SECOND)
    kit.report_all(world, SECOND)
    finalize(world.center, world.study, SECOND)
    world.forget()
    commitment = kit.freeze_of(world, SECOND, hospital)
    leaves = read_leaves(world.auditor.store, commitment.leaf_list)
    leaf = next(item for item in leaves if item.consent == world.consent_of(asked))
    proof = proof_of(tree_of(leaves), leaf)
    call = world.auditor.chain.challenges.challenge_leaf(commitment, chain_leaf(leaf), proof)
    world.auditor.chain.client.send(call)


def test_a_void_takes_the_chosen_model_back_and_not_the_choice(granted: World) -> None:
    """Under "go-back": the settings stay chosen, and learning begins anew with them."""
    _run(granted, 1)
    _void_second(granted, "harbor")
    study, others = granted.read(), ["north", "valley"]
    assert chosen(granted.auditor, study, THIRD, granted.auditor.head()) == 1
    for number, parent in ((THIRD, 0), (RoundNumber(4), 3)):
        assert open_round(granted.center, granted.study) == number
        assert kit.round_at(granted, number).parent == parent
        kit.freeze_and_submit(granted, number, others)
        finalize(granted.center, granted.study, number)
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(granted, level) == {("voided", 2, "harbor")}
    block = granted.auditor.head()
    assert standing_round(granted.auditor, study, block) == 4
    assert spec_of_round(granted.auditor, study, THIRD, block).training.learning_rate == 0.3
