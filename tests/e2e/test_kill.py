"""Every actor killed by `kill -9` before each kind of its durable steps, and the chain: same model,
each effect once. The steps are found as they happen, not listed (`dying`)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.attestations import Verdict as Word
from chain.consent_events import Granted, Revoked
from chain.consent_types import Consent, Reason
from chain.rpc import request
from chain.types import Address, RoundNumber
from federated.candidates import topic_of_candidates
from federated.center import aggregate, finalize, open_round, propose
from federated.center import run as center_run
from federated.claims import claim_message, paying_cohorts
from federated.hospital import admit, report
from federated.hospital.admission import Presented
from federated.judging import judge_submission
from federated.mail import post
from federated.models import update_schema
from federated.published import read_result
from federated.relayer import relay
from federated.signed_report import listed_reports, report_topic
from storage.manifest import read_manifest
from tests.e2e import kit
from tests.e2e.conftest import Studies
from tests.e2e.dying import Kind, hand_over
from tests.e2e.kit import Asked, World

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.processes]

FIRST, SECOND = RoundNumber(1), RoundNumber(2)
ROOT = Path(__file__).resolve().parents[2]
KILLED = -9
RECIPIENT = Address("0x" + "00" * 18 + "c1a1")

Run = Callable[..., tuple[int, list[Kind]]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs an actor in a process of its own that dies before its first step of a kind, if any.

    Gives its status and, where it lived, the kinds of the steps that it took.
    """
    command = [sys.executable, "-m", "tests.e2e.dying"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        ask, answer = server.stdin, server.stdout
        assert answer.readline() == "ready\n"

        def one(folder: Path, verb: str, fatal: Kind | None = None) -> tuple[int, list[Kind]]:
            ask.write(f"{folder}\t{verb}\t{json.dumps(fatal or ())}\n")
            ask.flush()
            code, kinds = json.loads(answer.readline())
            return code, [(recorded, before, step) for recorded, before, step in kinds]

        yield one
        ask.close()


def _killed_before_every_step(
    run: Run, world: World, verb: str, check: Callable[[], None], **told: object
) -> int:
    """Let an actor die before each kind of its steps, start it again, and check what it left.

    Each time from the same beginning. What comes between two steps of the same two kinds is tried
    once: the n-th block of a file is as the second. Returns how many kinds it has.
    """
    hand_over(world, **told)
    pristine = world.folder.parent / "pristine"
    shutil.rmtree(pristine, ignore_errors=True)
    shutil.copytree(world.folder, pristine, ignore=shutil.ignore_patterns("chain*"))
    mark = request(world.anvil.url, "evm_snapshot")
    code, kinds = run(world.folder, verb)
    assert code == 0
    check()
    for fatal in kinds:
        world.forget()
        mark = _again(world, pristine, mark)
        assert run(world.folder, verb, fatal) == (KILLED, []), (fatal, kinds)
        assert run(world.folder, verb)[0] == 0, (fatal, kinds)
        check()
    return len(kinds)


def _again(world: World, pristine: Path, mark: str) -> str:
    """Chain, store and homes as they were; gives the next mark of the chain."""
    assert request(world.anvil.url, "evm_revert", mark)
    for kept in (path for path in world.folder.iterdir() if path.is_dir()):
        shutil.rmtree(kept)
    for kept in (path for path in pristine.iterdir() if path.is_dir()):
        shutil.copytree(kept, world.folder / kept.name)
    found: str = request(world.anvil.url, "evm_snapshot")
    return found


def _undisturbed(studies: Studies, tmp_path: Path, number: int) -> bytes:
    with studies.finished.start(tmp_path / "undisturbed") as world:
        return kit.state_of(world, number)


def _assert_each_once(world: World, number: RoundNumber) -> None:
    rounds, block = world.center.chain.rounds, world.center.head()
    assert len(rounds.freezes(world.study, number, to_block=block)) == 3
    assert len(rounds.submissions(world.study, number, to_block=block)) == 3
    for event in "RoundOpened", "Frozen", "Submitted", "Finalized":
        found: list[object] = rounds._find(rounds.events[event], rounds.born, block, round=number)
        assert len(found) == (3 if event in ("Frozen", "Submitted") else 1), event


def _steps_of(world: World, hospital: str) -> bytes:
    """A hospital's update of round 1 as the auditor opens it."""
    block, index = world.auditor.head(), world.index(hospital)
    found = world.auditor.chain.rounds.freezes(world.study, FIRST, to_block=block)
    frozen = next(item for item in found if item.freeze.hospital == index)
    event = kit.submission_of(world, FIRST, hospital)
    judged = judge_submission(world.auditor, world.read(), frozen, event)
    assert judged.update is not None
    return judged.update.vector(update_schema(world.read().spec)).tobytes()


def test_a_hospital_killed_before_any_step_sends_the_same_update_once(
    run: Run, studies: Studies, granted: World, tmp_path: Path
) -> None:
    """From freezing to submitting."""
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    updates = set()

    def check() -> None:
        updates.add(_steps_of(granted, "valley"))
        rounds, block = granted.center.chain.rounds, granted.center.head()
        for event in "Frozen", "Submitted":
            found: list[object] = rounds._find(rounds.events[event], rounds.born, block, round=1)
            assert len(found) == 3, event

    assert _killed_before_every_step(run, granted, "valley", check) >= 15
    assert len(updates) == 1
    finalize(granted.center, granted.study, FIRST)
    assert kit.state_of(granted, 1) == _undisturbed(studies, tmp_path, 1)
    _assert_each_once(granted, FIRST)
    kit.assert_sound(granted)


def test_a_center_killed_before_any_step_of_opening_opens_one_round(
    run: Run, granted: World
) -> None:
    def check() -> None:
        chain = granted.center.chain
        assert chain.rounds.count(granted.study, block_identifier=granted.center.head()) == 1

    assert _killed_before_every_step(run, granted, "center", check) >= 3


def test_a_center_killed_before_any_step_finalizes_the_same_model(
    run: Run, studies: Studies, submitted: World, tmp_path: Path
) -> None:
    wanted = _undisturbed(studies, tmp_path, 2)

    def check() -> None:
        assert kit.state_of(submitted, 2) == wanted
        _assert_each_once(submitted, SECOND)

    assert _killed_before_every_step(run, submitted, "center", check) >= 8
    kit.assert_sound(submitted)


def test_candidates_and_reports_survive_a_kill_before_any_step(
    run: Run, contributing: World
) -> None:
    """Center and hospital each; the center finalizes on all reports."""
    world = contributing

    def proposed() -> None:
        topic = topic_of_candidates(world.center, world.study, FIRST)
        assert len(world.center.store.announced(topic)) == 1

    assert _killed_before_every_step(run, world, "center", proposed) > 5
    for name in ("north", "harbor"):
        assert report(world.node(name), world.study, FIRST) is not None
    candidates = propose(world.center, world.study, FIRST)
    assert candidates is not None

    def reported() -> None:
        assert len(world.center.store.announced(report_topic(candidates.context))) == 3

    assert _killed_before_every_step(run, world, "valley", reported) >= 2

    def finalized() -> None:
        assert kit.state_of(world, FIRST) == candidates.items[0].state
        assert len(listed_reports(world.center, world.read(), world.center.head())) == 3

    _killed_before_every_step(run, world, "center", finalized)
    _assert_each_once(world, FIRST)
    kit.assert_sound(world)


def _late_grants(world: World, hospital: str) -> list[tuple[Asked, Presented]]:
    """Those who had refused sign after all."""
    found, agreement = [], world.tiers[hospital, "grants"]
    for asked in world.patients:
        if (asked.hospital, asked.will) == (hospital, "refuses"):
            grant = world.patient(asked).grant(agreement, deadline=_deadline(world))
            found.append((replace(asked, will="grants"), Presented(asked.local_key, grant)))
    return found


def _deadline(world: World) -> int:
    return world.clock.now() + 10 * kit.DAY


def test_a_relayer_killed_before_any_step_sends_each_message_once(
    run: Run, submitted: World
) -> None:
    """A withdrawal, a batch of grants and a claim: nobody is granted, withdrawn or paid twice."""
    world, deadline = submitted, _deadline(submitted)
    leaving, paid = [x for x in world.patients if x.will == "grants"][:2]
    agreement = world.tiers[leaving.hospital, "grants"]
    m = world.patient(leaving).revoke(agreement, deadline=deadline)
    fields = [m.key, agreement, m.nonce, m.deadline, m.r, m.vs]
    post(world.relayer.store, world.relayer.address, "revocations", {"messages": [fields]})
    new = _late_grants(world, "north")
    _admit(world, "north", [item for _, item in new])
    post(world.relayer.store, world.relayer.address, "claim", _claim_of(world, paid))
    before = _events(world)

    def check() -> None:
        assert _events(world) == (before[0] + len(new), before[1] + 1, before[2] + 1)
        chain, block = world.relayer.chain, world.relayer.head()
        assert chain.consents.consent(world.consent_of(leaving), block_identifier=block).revoked
        assert chain.consents.consent(world.consent_of(paid), block_identifier=block).paid
        assert all(_stands(world, asked) for asked, _ in new)

    assert _killed_before_every_step(run, world, "relayer", check) >= 6


def _admit(world: World, hospital: str, presented: list[Presented]) -> None:
    admit(
        world.node(hospital),
        presented,
        relayer=world.relayer.address,
        deadline=_deadline(world),
    )


def _claim_of(world: World, asked: Asked) -> dict[str, Any]:
    chain, store, block = world.relayer.chain, world.relayer.store, world.relayer.head()
    mine = world.consent_of(asked)
    found = (x[mine] for x in paying_cohorts(chain, store, world.study, block) if mine in x)
    agreement = world.tiers[asked.hospital, asked.will]
    return claim_message(
        world.patient(asked),
        next(found),
        agreement=agreement,
        nonce=0,
        recipient=RECIPIENT,
        deadline=_deadline(world),
    )


def _stands(world: World, asked: Asked) -> bool:
    chain, block = world.relayer.chain, world.relayer.head()
    slot = chain.consents.consent(world.consent_of(asked), block_identifier=block)
    return slot.granted > 0 and not slot.revoked


def test_a_hospital_killed_before_any_step_of_admitting_admits_each_person_once(
    run: Run, granted: World
) -> None:
    """It signs and posts anew after a kill; the relayer sends all, and no grant counts twice."""
    new = _late_grants(granted, "north")
    assert len(new) == 2
    told = [[item.patient, item.grant.to_json()] for _, item in new]
    before = _events(granted)

    def check() -> None:
        relay(granted.relayer)
        assert _events(granted) == (before[0] + len(new), *before[1:])
        assert all(_stands(granted, asked) for asked, _ in new)
        rows = [granted.node("north").consents.of_patient(asked.local_key) for asked, _ in new]
        assert [[row.id for row in found] for found in rows] == [
            [granted.consent_of(asked)] for asked, _ in new
        ]

    assert _killed_before_every_step(run, granted, "north/admit", check, grants=told) >= 2


def _events(world: World) -> tuple[int, int, int]:
    """How many consents were ever granted and withdrawn, and how many people paid."""
    consents, block = world.relayer.chain.consents, world.relayer.head()
    granted = consents._find(Granted, consents.born, block)
    revoked = consents._find(Revoked, consents.born, block)
    paid = world.relayer.chain.escrow.patients_paid(world.study, to_block=block)
    return sum(len(event.ids) for event in granted), len(revoked), len(paid)


def test_a_patient_killed_before_any_step_claims_once_and_withdraws_once(
    run: Run, submitted: World
) -> None:
    """Whatever was written before the kill, the relayer pays and withdraws once."""
    world = submitted
    asked = next(x for x in world.patients if x.will == "grants")
    agreement = int(world.tiers[asked.hospital, "grants"])
    before = _events(world)

    def slot() -> Consent:
        relay(world.relayer)
        chain, block = world.relayer.chain, world.relayer.head()
        return chain.consents.consent(world.consent_of(asked), block_identifier=block)

    def paid() -> None:
        assert slot().paid
        assert _events(world) == (*before[:2], before[2] + 1)

    mine: dict[str, object] = {"phrase": asked.phrase, "agreement": agreement}
    steps = _killed_before_every_step(
        run, world, "patient/claim", paid, recipient=RECIPIENT, **mine
    )
    assert steps >= 2

    def withdrawn() -> None:
        assert slot().reason is Reason.PATIENT
        assert _events(world) == (before[0], before[1] + 1, before[2] + 1)

    assert _killed_before_every_step(run, world, "patient/withdraw", withdrawn, **mine) >= 2


def test_an_auditor_killed_before_any_step_gives_its_word_and_attests(
    run: Run, submitted: World
) -> None:
    """On an update whose bytes are gone, and on the study that misses them."""
    payload = read_manifest(
        submitted.center.store, kit.submission_of(submitted, 2, "valley").manifest
    ).payload
    kit.path_of(submitted, payload.digest).unlink()
    submitted.clock.advance_to(kit.round_at(submitted, 2).submit_by + 1)
    index = submitted.index("valley")

    def check() -> None:
        said: list[str] = []
        attested = submitted.center.chain.attestations.attested(
            submitted.study, to_block=submitted.center.head()
        )
        assert attested
        assert {item.verdict for item in attested} == {Word.TAMPERED}
        center_run.advance(submitted.center, submitted.study, said.append)
        manifest, _, _ = read_result(
            submitted.center, submitted.read(), SECOND, submitted.center.head()
        )
        codes = {entry.hospital: entry.code for entry in manifest.entries}
        assert codes[index] == "undecryptable"

    assert _killed_before_every_step(run, submitted, f"auditor/{index}", check) >= 4


def test_a_center_that_lost_its_candidates_proposes_the_same_models(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    first = propose(world.center, world.study, FIRST)
    world.forget()
    shutil.rmtree(world.folder / "center")
    again = propose(world.center, world.study, FIRST)
    assert first is not None
    assert again is not None
    assert (again.context, again.states) == (first.context, first.states)
    assert again.models != first.models
    finalize(world.center, world.study, FIRST)  # on the reports that are there
    assert len(listed_reports(world.center, world.read(), world.center.head())) == 3
    kit.assert_sound(world)


def test_a_centers_state_lost_before_finalize_changes_nothing_but_cids(
    studies: Studies, submitted: World, tmp_path: Path
) -> None:
    sealed = aggregate(submitted.center, submitted.study, SECOND)
    submitted.forget()
    shutil.rmtree(submitted.folder / "center")
    finalize(submitted.center, submitted.study, SECOND)
    assert kit.state_of(submitted, 2) == sealed.state == _undisturbed(studies, tmp_path, 2)
    assert kit.round_at(submitted, 2).manifest != sealed.manifest
    kit.assert_sound(submitted)

    submitted.forget()
    shutil.rmtree(submitted.folder / "center")  # once more, and asked again
    again = finalize(submitted.center, submitted.study, SECOND)
    assert again.manifest == kit.round_at(submitted, 2).manifest


@pytest.mark.parametrize("lost", ["nothing", "freezes", "the opening"])
def test_anvil_killed_in_mid_round_loses_no_effect_and_doubles_none(
    studies: Studies, granted: World, tmp_path: Path, lost: str
) -> None:
    """The chain goes on from its last state, or from an older one: nothing but time is lost."""
    world = granted
    state = world.folder / "chain.json.gz"
    before_opening = tmp_path / "before.json.gz"
    shutil.copy(state, before_opening)
    open_round(world.center, world.study)
    if lost == "freezes":
        kit.save(world, tmp_path / "opened")
    kit.freeze_and_submit(world, FIRST, ["north", "harbor"])
    kit.freeze_and_submit(world, FIRST, ["valley"])
    aggregate(world.center, world.study, FIRST)  # of freezes that the chain may forget
    if lost == "nothing":
        kit.dump(world, state)
    world.anvil.kill()
    world.forget()
    if lost == "freezes":
        shutil.copy(tmp_path / "opened" / "chain.json.gz", state)
    if lost == "the opening":
        shutil.copy(before_opening, state)

    world.anvil.stop()
    with kit.Resumed(state) as world.anvil:
        assert open_round(world.center, world.study) == FIRST
        kit.freeze_and_submit(world, FIRST)
        finalize(world.center, world.study, FIRST)
        assert kit.state_of(world, 1) == _undisturbed(studies, tmp_path, 1)
        _assert_each_once(world, FIRST)
        kit.assert_sound(world)
        world.forget()


def test_grants_that_anvil_forgot_are_sent_again(granted: World, tmp_path: Path) -> None:
    state, older = granted.folder / "chain.json.gz", tmp_path / "older.json.gz"
    kit.dump(granted, older)
    asked = next(patient for patient in granted.patients if patient.will == "grants")
    kit.revoke(granted, asked)
    granted.anvil.kill()
    granted.forget()
    granted.anvil.stop()
    shutil.copy(older, state)
    with kit.Resumed(state) as granted.anvil:
        consent, chain = granted.consent_of(asked), granted.relayer.chain
        block = granted.relayer.head()
        assert not chain.consents.consent(consent, block_identifier=block).revoked
        relay(granted.relayer)
        slot = chain.consents.consent(consent, block_identifier=granted.relayer.head())
        assert slot.revoked
        granted.forget()
