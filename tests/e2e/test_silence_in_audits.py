"""What an auditor signed while a hospital was down, and what an audit makes of it when one is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from api.cli.main import main
from chain.round_events import Frozen, Submitted
from chain.types import RoundNumber
from federated.auditor import Level, Outcome, replay
from federated.auditor.words import Signed, rule_on_list, rule_on_update
from federated.center import finalize, open_round
from federated.challenging import freeze_of, submission_of
from federated.errors import StepError, Unjudged
from federated.exclusion import ExclusionCode
from federated.judging import judge_submission, leaves_of
from storage.cid import Cid, dag_cbor_cid
from storage.embedded import EmbeddedStore
from storage.errors import Unanswered
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.stores import Swarm
from tests.storage.kit import LONG, eventually, paused

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)
VALLEY = "valley"
PEER = "12D3KooWValley"


class Hushed(EmbeddedStore):
    """A folder as one sees it of whom the only member is silent that has some of it.

    `blocks` are given `reads` times each before that.
    """

    def __init__(
        self, path: Path, blocks: Collection[Cid], topics: Collection[bytes], reads: int
    ) -> None:
        super().__init__(path)
        self._left = dict.fromkeys(blocks, reads)
        self._topics = topics

    def get_block(self, cid: Cid) -> bytes:
        if cid in self._left:
            if not self._left[cid]:
                raise Unanswered(f"{cid} is not here, and {PEER} did not answer")
            self._left[cid] -= 1
        return super().get_block(cid)

    def announced(self, topic: bytes) -> list[Cid]:
        return [] if topic in self._topics else super().announced(topic)

    def hear(self, topic: bytes) -> None:
        if topic in self._topics:
            raise Unanswered(f"not all under {topic.hex()} is known: {PEER} did not tell")


def _hush(world: World, name: str, what: str, *, reads: int = 0) -> Callable[[], None]:
    """Valley's list, manifest or envelopes are at a silent member's for one party; undoes it."""
    party = world.party(name)
    assert isinstance(party.store, EmbeddedStore)
    sealed = kit.submission_of(world, 1, VALLEY).manifest
    blocks = {
        "list": [dag_cbor_cid(kit.freeze_of(world, 1, VALLEY).leaf_list)],
        "manifest": [dag_cbor_cid(sealed)],
        "envelopes": [],
    }[what]
    topics = [sealed] if what == "envelopes" else []
    store = Hushed(party.store.path, blocks, topics, reads)
    world._parties[name] = replace(party, store=store)

    def answer() -> None:
        world._parties[name] = party

    return answer


def _submit(world: World) -> None:
    open_round(world.center, world.study)
    kit.freeze_and_submit(world, FIRST)


def _of_valley(world: World) -> tuple[Frozen, Submitted]:
    frozen = freeze_of(world.auditor, world.read(), FIRST, world.index(VALLEY))
    return frozen, submission_of(world.auditor, frozen)


def _rule(world: World, what: str) -> Signed | None:
    frozen, event = _of_valley(world)
    if what == "list":
        return rule_on_list(world.auditor, world.read(), frozen)
    return rule_on_update(world.auditor, world.read(), frozen, event)


def _end_submitting(world: World) -> None:
    world.clock.advance_to(kit.round_at(world, 1).submit_by + 1)


@pytest.mark.parametrize("what", ["list", "manifest", "envelopes"])
def test_a_word_that_was_signed_in_silence_accuses_nobody_who_included_what_came_back(
    granted: World, what: str
) -> None:
    _submit(granted)
    _end_submitting(granted)
    answer = _hush(granted, "auditor", what)
    signed = _rule(granted, what)
    assert signed is not None
    assert PEER in str(signed.silence)
    answer()
    done = finalize(granted.center, granted.study, FIRST)
    assert done.included == 0b111
    kit.assert_sound(granted)
    answer = _hush(granted, "auditor", what)
    verdict = granted.audit()
    assert verdict.outcome is Outcome.INCOMPLETE, verdict.failures
    found = {check.name: check for check in verdict.failures}
    assert {check.hospital for check in verdict.failures} == {granted.index(VALLEY)}
    others = {"list": {"leaf-list"}, "manifest": {"update-manifest"}, "envelopes": set()}
    assert found.keys() == {"exclusion"} | others[what]
    assert PEER in found["exclusion"].detail
    answer()
    kit.assert_sound(granted)


def test_who_falls_silent_before_the_judged_models_are_computed_accuses_nobody(
    contributing: World,
) -> None:
    _end_submitting(contributing)
    answer = _hush(contributing, "auditor", "list")
    assert _rule(contributing, "list") is not None
    answer()
    kit.report_all(contributing, FIRST)
    finalize(contributing.center, contributing.study, FIRST)
    kit.assert_sound(contributing)
    _hush(contributing, "auditor", "list", reads=2)  # for its cohort, and for the sum
    verdict = contributing.audit()
    assert verdict.outcome is Outcome.INCOMPLETE, verdict.failures
    assert "candidates" in {check.name for check in verdict.failures}


def test_an_auditor_signs_nothing_until_submit_by_while_an_envelope_may_be_at_a_silent_member(
    granted: World,
) -> None:
    _submit(granted)
    _hush(granted, "auditor", "envelopes")
    with pytest.raises(StepError, match=f"submitBy.*{PEER}"):
        _rule(granted, "envelopes")
    _end_submitting(granted)
    assert _rule(granted, "envelopes") == Signed(ANY, ANY)


def test_a_center_alone_leaves_nobody_out_until_submit_by_whose_node_is_silent(
    granted: World,
) -> None:
    _submit(granted)
    unwatched = replace(granted.read(), auditors=())
    answer = _hush(granted, "center", "envelopes")
    with pytest.raises(Unjudged, match=f"{PEER}.*names no auditor") as unjudged:
        judge_submission(granted.center, unwatched, *_of_valley(granted))
    assert unjudged.value.hospitals == (granted.index(VALLEY),)
    answer()
    assert judge_submission(granted.center, unwatched, *_of_valley(granted)).code is None
    _hush(granted, "center", "envelopes")
    _end_submitting(granted)
    judged = judge_submission(granted.center, unwatched, *_of_valley(granted))
    assert judged.code is ExclusionCode.UNDECRYPTABLE


@pytest.mark.parametrize(("command", "what"), [("missing", "list"), ("unopened", "manifest")])
def test_an_auditor_is_told_who_was_silent_when_it_signed(
    granted: World,
    command: str,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _submit(granted)
    _end_submitting(granted)
    answer = _hush(granted, "auditor", what)
    monkeypatch.setattr("api.cli.challenge.open_party", lambda *_: granted.auditor)
    words = ["challenge", command, str(granted.study), "1", granted.keys[VALLEY].address]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out.startswith("signed: ")
    assert f"{PEER} did not answer" in said.err
    answer()
    if command == "unopened":
        assert main(words) == 0
        assert capsys.readouterr().err == ""


@LONG
@pytest.mark.engine("kubo")
@pytest.mark.parametrize("backend", ["kubo"], indirect=True)
def test_over_real_nodes_a_word_signed_while_a_hospital_was_halted_accuses_nobody(
    granted: World,
) -> None:
    stores = granted.stores
    assert isinstance(stores, Swarm)
    _submit(granted)
    _end_submitting(granted)
    frozen, _ = _of_valley(granted)
    _leave_to_valley(granted, stores, frozen)
    with paused(stores.swarm, VALLEY) as peer:
        signed = rule_on_list(granted.auditor, granted.read(), frozen)
        assert peer in str(signed.silence)
    assert eventually(lambda: leaves_of(granted.center.store, frozen) is not None)
    assert finalize(granted.center, granted.study, FIRST).included == 0b111
    assert eventually(lambda: granted.audit().ok)  # the auditor's node has copies of all now
    _leave_to_valley(granted, stores, frozen)
    auditor = granted.auditor
    with paused(stores.swarm, VALLEY), stores.swarm.store("auditor", find_s=2) as store:
        # Its own store in tests waits until all nodes have heard of each other.
        verdict = replay(replace(auditor, store=store), granted.study, level=Level.KEYED)
        assert verdict.outcome is Outcome.INCOMPLETE, verdict.failures
        assert "exclusion" in {check.name for check in verdict.failures}
    assert eventually(lambda: granted.audit().ok)


def _leave_to_valley(world: World, stores: Swarm, frozen: Frozen) -> None:
    """Only valley's node has its list."""
    for path in stores.copies(frozen.freeze.leaf_list):
        if not path.is_relative_to(stores.swarm.nodes[VALLEY].repo):
            path.unlink()
