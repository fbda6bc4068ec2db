"""Auditors at the command line: they restore whom a center left out falsely, and it is paid."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.home import Home
from chain.types import AgreementId, RoundNumber
from federated.center import finalize, propose
from federated.exclusion import ExclusionCode
from federated.judging import Judged
from records.wisconsin import deal
from tests.e2e.running import PASSPHRASE, Done, Runner, at_once, edit_json, make_members, runner
from tests.e2e.test_cli_bad_input import STUDY, World, _approve, _grants

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # the study is built by the first test
]

HOSPITALS = ["north", "harbor", "valley"]
VALLEY = 2
AUDITORS = ["auditor", "second"]
NAMED = [word for name in AUDITORS for word in ("--auditor", f"{name}/participant.json")]
FIRST = RoundNumber(1)
collecting = importlib.import_module("federated.center.inputs")


@dataclass(frozen=True, slots=True)
class Cheated:
    """A round without valley, paid by contribution; the root of shares stands.

    `early` is what the auditors were told before there was a root, and a finalized round.
    """

    run: Runner
    early: tuple[Done, Done]


@pytest.fixture(scope="module")
def cheated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cheated]:
    folder = tmp_path_factory.mktemp("restoring")
    with runner(folder) as run, pytest.MonkeyPatch.context() as patch:
        run.start_chain()
        make_members(run, HOSPITALS, ["relayer", "center", "auditor"])
        at_once(lambda name: _admit_auditor(run, name), ["second", "outsider"])
        _found(run, World(run, deal(folder / "exports", seed=3)))
        run.ok("center", "center", "open", "1")
        at_once(lambda name: run.ok(name, "hospital", "run", "1"), HOSPITALS)
        early = run("auditor", "challenge", "reject-root", "1"), _restore(run, "auditor")
        _finalize_without_valley(run, patch)
        run.ok("center", "center", "settle", "1")
        yield Cheated(run, early)


def _admit_auditor(run: Runner, name: str) -> None:
    """Beside those whom `make_members` makes."""
    to = ("--store", "store", "--deployment", "deployment.json")
    run.ok(name, "participant", "init", "--role", "auditor", "--name", name, *to)
    card = f"{name}/participant.json"
    run.ok("operator", "participant", "fund", card)
    run.ok("operator", "participant", "admit", card)
    run.ok(name, "participant", "register")


def _found(run: Runner, world: World) -> None:
    """Two auditors are a quorum; the hospitals are paid by contribution."""
    shape = ("--rounds", "1", "--least", "2", "--hospitals", "3", "--out", "spec.json")
    run.ok("", "study", "template", "wisconsin", *NAMED, *shape)
    changes = {"training.epochs": 1, "reward.rule": "leave-one-out"}
    edit_json(run.folder / "spec.json", changes)
    run.ok("center", "study", "request", "--spec", "spec.json")
    run.ok("center", "study", "invite", "1", *HOSPITALS)
    (run.folder / "policy.toml").write_text("least_cohort = 1\nleast_training = 1\n")
    at_once(lambda name: _approve(world, name), HOSPITALS)
    for agreement, name in enumerate(HOSPITALS, start=1):
        run.ok(name, "hospital", "join", "1")  # in this order: it gives the index
        terms = ("--price", "1", "--not-after", "+60d", "--max-count", "50")
        run.ok("center", "offer", "make", "1", name, *terms)
        _grants(world, name, AgreementId(agreement))
        run.ok(name, "hospital", "admit", f"{name}-grants.jsonl")
    run.ok("relayer", "relay")


def _finalize_without_valley(run: Runner, patch: pytest.MonkeyPatch) -> None:
    """The center's own code is changed: it leaves valley out behind a made-up code."""
    honest = collecting.judge_submission

    def cheat(party: Any, study: Any, frozen: Any, event: Any, into: Any = None) -> Judged:
        if event.index == VALLEY:
            return Judged(None, ExclusionCode.OVER_CLIP)
        judged: Judged = honest(party, study, frozen, event, into)
        return judged

    patch.setattr(collecting, "judge_submission", cheat)
    patch.chdir(run.folder)
    center = Home.open(Path("center"), PASSPHRASE).party(run.variables["CONSILIUM_RPC"])
    assert propose(center, STUDY, FIRST) is not None
    at_once(lambda name: run.ok(name, "hospital", "report", "1"), HOSPITALS[:VALLEY])
    finalize(center, STUDY, FIRST)
    center.chain.client.outbox.close()


def _restore(run: Runner, home: str, hospital: str = "valley", number: int = 1) -> Done:
    return run(home, "challenge", "restore", "1", str(number), hospital)


def _assert_refused(done: Done, *words: str) -> None:
    assert done.code == 1, done.out + done.err
    assert done.out == ""
    assert len(done.err.splitlines()) == 1, done.err
    for word in words:
        assert word in done.err, done.err


def test_what_cannot_be_voted_on_is_said_in_one_line(cheated: Cheated) -> None:
    run = cheated.run
    no_root, too_early = cheated.early
    _assert_refused(no_root, "no root of shares", "NoRoot")
    _assert_refused(too_early, "study 1: round 1 is not finalized")
    _assert_refused(_restore(run, "auditor", "north"), "north is included in round 1")
    _assert_refused(_restore(run, "auditor", "valley", 2), "study 1 has no round 2")
    _assert_refused(_restore(run, "auditor", "relayer"), "consilium: ")
    for home in ("center", "valley"):
        _assert_refused(_restore(run, home), "is the home of", "an auditor")
    _assert_refused(_restore(run, "outsider"), "no auditor whom study 1 names")
    outside = run("outsider", "challenge", "reject-root", "1")
    _assert_refused(outside, "no auditor whom study 1 names")


def test_two_auditors_restore_a_hospital_and_it_is_paid(cheated: Cheated) -> None:
    """They reject the root too: what it pays by was measured on a model without the update."""
    run = cheated.run
    audit = run("auditor", "audit", "1", "--keyed")
    assert audit.code == 1
    assert re.search(r"valley.*exclusion.*over-clip", audit.out), audit.out
    assert _rows(run)["restored"] == 0

    first = _restore(run, "auditor")
    assert "1 of 2 votes that are needed: valley was left out of round 1 falsely" in first.out
    assert "only once it is rejected" in first.err
    _assert_refused(_restore(run, "auditor"), "has voted on this already", "AlreadyVoted")
    second = _restore(run, "second")
    assert "2 of 2 votes" in second.out
    assert re.search(r"its weight of [1-9]\d* counts", second.out)
    _assert_refused(_restore(run, "second"), "is restored already")
    assert _rows(run)["restored"] == 1
    status = run.ok("center", "center", "status", "1")
    assert "excluded: over-clip, restored by auditors" in status

    assert "1 of 2 votes" in run.ok("auditor", "challenge", "reject-root", "1")
    again = run("auditor", "challenge", "reject-root", "1")
    _assert_refused(again, "has voted on this already", "AlreadyVoted")
    last = run.ok("second", "challenge", "reject-root", "1")
    assert "the root is rejected; hospitals are paid by counted weights" in last

    run.ok("", "chain", "advance", "97260")
    late = run("second", "challenge", "reject-root", "1")
    _assert_refused(late, "too late", "TooLate")
    assert "tokens were paid to valley" in run.ok("relayer", "claim", "1", "--for", "valley")
    outside = ("--store", "store", "--deployment", "deployment.json")
    assert run("", "audit", "1", *outside).code == 0, "without a key all that is seen holds"


def _rows(run: Runner) -> Any:
    """The first round, as `study show` tells it."""
    return run("center", "study", "show", "1", "--json").json()["rounds"][0]
