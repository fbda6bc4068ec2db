"""False reports and false candidates: by hospitals, by the center, by anybody else."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chain.types import RoundNumber
from federated.auditor import Level
from federated.candidates import (
    Candidates,
    context_of_candidates,
    read_candidates,
    topic_of_candidates,
    write_candidates,
)
from federated.center import finalize, open_round, propose, settle
from federated.contribution import bit
from federated.errors import RecordError, StepError
from federated.hospital import freeze, report, submit, train
from federated.phase import report_by
from federated.reports import Report
from federated.shares import shares_by_rule
from federated.signed_report import listed_reports, report_topic, sign_report
from federated.state import GlobalState
from storage.cid import dag_cbor_cid
from tests.e2e import kit
from tests.e2e.kit import HOSPITALS, World

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)
Change = Callable[[Report], Report]


def _report(world: World, hospital: str) -> Report:
    found = report(world.node(hospital), world.study, FIRST)
    assert found is not None
    return found


def _candidates(world: World) -> Candidates:
    found = propose(world.center, world.study, FIRST)
    assert found is not None
    return found


def _inject(world: World, hospital: str, false: Report) -> bytes:
    """Announce what a hospital signs where the center looks for reports on its candidates."""
    digest = sign_report(world.party(hospital), false)
    topic = report_topic(_candidates(world).context)
    world.center.store.announce(topic, dag_cbor_cid(digest))
    return digest


@contextmanager
def _listing(reports: Sequence[bytes]) -> Iterator[None]:
    """A center that lists these digests, whatever it proposed and heard, and waits for nobody."""
    steps: Any = importlib.import_module("federated.center.aggregate")
    conclude = steps._conclude

    def false(*given: Any) -> Any:
        return conclude(*given[:-1], tuple(reports))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "measures", lambda *_: False)
        patch.setattr(steps, "_conclude", false)
        yield


def _finalize_with(world: World, *reports: bytes) -> None:
    with _listing(reports):
        finalize(world.center, world.study, FIRST)


@contextmanager
def _proposing(altered: int) -> Iterator[None]:
    """A center that proposes another model in the place of that without some hospitals."""
    steps: Any = importlib.import_module("federated.center.propose")
    states, after = steps.left_out_states, steps.next_state

    def moved(state: GlobalState) -> GlobalState:
        parts = {name: array + np.float32(0.5) for name, array in state.parameters.items()}
        return replace(state, parameters=parts)

    def false(*given: Any) -> Iterator[tuple[int, GlobalState]]:
        for without, state in states(*given):
            yield without, moved(state) if without == altered else state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "left_out_states", false)
        if not altered:
            patch.setattr(steps, "next_state", lambda *given: moved(after(*given)))
        yield


def _forget_proposal(world: World) -> None:
    """The center takes its candidates back: from its journal and from who looks for them."""
    world.center.journal.forget(f"candidates-{world.study}-1")
    topic = topic_of_candidates(world.center, world.study, 1)
    for path in (world.folder / "store" / "topics" / topic.hex()).iterdir():
        path.unlink()


def _take_back(world: World, done: Report) -> None:
    """Let valley's report be announced nowhere."""
    cid = dag_cbor_cid(sign_report(world.party("valley"), done))
    topic = report_topic(done.context)
    (world.folder / "store" / "topics" / topic.hex() / str(cid)).unlink()


def _more_people(found: Report) -> Report:
    return replace(found, people=found.people + 60)


FALSE: dict[str, Change] = {
    "another chain, deployment, round or model": lambda found: replace(found, context=bytes(32)),
    "another study": lambda found: replace(found, study=found.study + 1),
    "another round": lambda found: replace(found, round_number=2),
    "another cohort": lambda found: replace(found, root=bytes(32)),
    "another model": lambda found: replace(
        found,
        evaluations=(
            replace(found.evaluations[0], state=bytes(32)),  # type: ignore[arg-type]
            *found.evaluations[1:],
        ),
    ),
    "a hospital left out of it": lambda found: replace(found, evaluations=found.evaluations[:-1]),
    "more people than the cohort": _more_people,
}


@pytest.mark.parametrize("what", FALSE)
def test_a_report_that_is_of_something_else_counts_for_nothing(
    contributing: World, what: str
) -> None:
    world = contributing
    kit.report_all(world, FIRST, ["north", "harbor"])
    honest = _report(world, "valley")
    _take_back(world, honest)
    false = _inject(world, "valley", FALSE[what](honest))
    with pytest.raises(StepError, match=world.keys["valley"].address):
        finalize(world.center, world.study, FIRST)
    world.clock.advance_to(report_by(kit.round_at(world, 1)) + 1)
    others = [sign_report(world.party(name), _report(world, name)) for name in ("north", "harbor")]
    _finalize_with(world, *others, false)
    settle(world.center, world.study)
    assert kit.found_at(world, Level.KEYLESS) == {("report", 1, None)}
    listed = listed_reports(world.center, world.read(), world.center.head())
    assert {item.hospital for item in listed} == {world.index("north"), world.index("harbor")}


def test_a_report_that_another_hospital_signed_counts_for_nothing(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST, ["north", "harbor"])
    forged = replace(_report(world, "harbor"), hospital=world.index("valley"))
    forged = replace(
        forged,
        root=kit.freeze_of(world, 1, "valley").root,
        evaluations=tuple(x for x in forged.evaluations if x.without != bit(world.index("valley"))),
    )
    digest = _inject(world, "harbor", forged)
    with pytest.raises(StepError, match="waits for the reports"):
        finalize(world.center, world.study, FIRST)
    world.clock.advance_to(report_by(kit.round_at(world, 1)) + 1)
    _finalize_with(world, digest)
    assert ("report", 1, None) in kit.found_at(world, Level.KEYLESS)
    assert listed_reports(world.center, world.read(), world.center.head()) == []


def test_a_second_report_of_a_hospital_is_named_and_counts_for_nothing(
    contributing: World,
) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    digests = [sign_report(world.party(name), _report(world, name)) for name in HOSPITALS]
    honest = _report(world, "north")
    better = replace(honest.evaluations[0], loss=0)
    second = replace(honest, evaluations=(better, *honest.evaluations[1:]))
    _finalize_with(world, *digests, _inject(world, "north", second))
    assert kit.found_at(world, Level.KEYLESS) == {("report", 1, "north")}
    reports = listed_reports(world.center, world.read(), world.center.head())
    assert len(reports) == 3
    assert second not in reports


def test_models_that_the_updates_do_not_give_are_found_with_a_key_and_pay_nobody(
    contributing: World,
) -> None:
    world = contributing
    victim = world.index("valley")
    with _proposing(bit(victim)):
        kit.report_all(world, FIRST)
        finalize(world.center, world.study, FIRST)
    shares = settle(world.center, world.study)
    assert kit.found_at(world, Level.KEYLESS) == set()
    found = kit.found_at(world, Level.KEYED)
    assert {("candidates", 1, "north"), ("candidates", 1, "harbor")} <= found
    assert ("reward-root", None, None) in found  # the shares do not stand without those reports
    refused = {sign_report(world.party(name), _report(world, name)) for name in ("north", "harbor")}
    weights = dict.fromkeys(range(3), 1)
    block = world.center.head()
    assert shares_by_rule(world.center, world.read(), weights, block, refused) != shares

    chain = world.auditor.chain
    chain.client.send(chain.escrow.reject_reward_root(world.study))
    names = {name for name, _, _ in kit.found_at(world, Level.KEYED)}
    assert names == {"candidates"}  # count holds


def test_hospitals_that_were_given_different_models_are_noticed_without_a_key(
    contributing: World,
) -> None:
    world = contributing
    with _proposing(bit(world.index("valley"))):
        kit.report_all(world, FIRST, ["north"])
    _forget_proposal(world)
    kit.report_all(world, FIRST, ["harbor", "valley"])
    digests = [sign_report(world.party(name), _report(world, name)) for name in HOSPITALS]
    _finalize_with(world, *digests)
    assert kit.found_at(world, Level.KEYLESS) == {("report-models", 1, None)}
    wanted = {("report-models", 1, None), ("candidates", 1, "north")}
    assert kit.found_at(world, Level.KEYED) == wanted


def test_a_model_that_differs_from_the_proposed_one_is_not_finalized(contributing: World) -> None:
    world = contributing
    with _proposing(0):
        kit.report_all(world, FIRST)
    with pytest.raises(StepError, match="not what the updates give"):
        finalize(world.center, world.study, FIRST)
    digests = [sign_report(world.party(name), _report(world, name)) for name in HOSPITALS]
    _finalize_with(world, *digests)
    found = kit.found_at(world, Level.KEYLESS)
    assert ("report", 1, None) in found
    assert {name for name, _, _ in found} == {"report", "reports-awaited"}
    assert listed_reports(world.center, world.read(), world.center.head()) == []


def test_a_hospital_reports_once_whatever_the_center_proposes_then(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    first = _report(world, "north")
    _forget_proposal(world)
    with _proposing(0):
        assert _candidates(world).context != first.context
    assert _report(world, "north") == first
    assert world.center.store.announced(report_topic(_candidates(world).context)) == []


def test_candidates_that_the_center_did_not_sign_are_passed_over(contributing: World) -> None:
    world = contributing
    genuine = _candidates(world)
    _forget_proposal(world)
    topic = topic_of_candidates(world.center, world.study, 1)
    wrong = [
        write_candidates(world.center.store, genuine, world.party("harbor").sender),
        write_candidates(
            world.center.store, replace(genuine, context=bytes(32)), world.center.sender
        ),
        world.center.store.put_block(dag_cbor_cid(bytes(32)).codec, b"\xa0"),
    ]
    for cid in wrong:
        world.center.store.announce(topic, cid)
    assert report(world.node("north"), world.study, FIRST) is None


def test_models_other_than_the_signed_digests_are_not_judged(contributing: World) -> None:
    world = contributing
    genuine = _candidates(world)
    _forget_proposal(world)
    items = list(genuine.items)
    items[1] = replace(items[1], state=bytes(32))  # type: ignore[arg-type]
    cid = write_candidates(
        world.center.store, replace(genuine, items=tuple(items)), world.center.sender
    )
    world.center.store.announce(topic_of_candidates(world.center, world.study, 1), cid)
    for name in HOSPITALS:
        with pytest.raises(RecordError, match="not the model whose digest"):
            report(world.node(name), world.study, FIRST)


def test_nothing_is_proposed_or_judged_while_updates_may_come(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    finalize(world.center, world.study, FIRST)
    second = open_round(world.center, world.study)
    for name in HOSPITALS:
        freeze(world.node(name), world.study, second)
    for name in HOSPITALS[:2]:
        train(world.node(name), world.study, second)
        submit(world.node(name), world.study, second)
    with pytest.raises(StepError, match="updates may still come"):
        propose(world.center, world.study, second)
    early: Any = importlib.import_module("federated.center.propose")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(early, "_require_complete", lambda *_: None)
        assert propose(world.center, world.study, second) is not None
    assert report(world.node("north"), world.study, second) is None
    with pytest.raises(StepError, match="no say"):
        report(world.node("valley"), world.study, second)


def test_a_report_binds_chain_and_deployment(contributing: World) -> None:
    world, round_ = contributing, kit.round_at(contributing, 1)
    candidates = _candidates(world)
    study, state = world.read(), candidates.items[0].state
    own = context_of_candidates(world.center, study, 1, round_.start_state, state)
    assert own == candidates.context == _report(world, "north").context
    cid = world.center.store.announced(topic_of_candidates(world.center, world.study, 1))[0]
    assert read_candidates(world.center.store, cid)[0] == candidates
