"""A study whose center, hospitals, relayer and auditor are processes started by the command line.

They share the node's address and the store; each has a home and a key of its own. Single steps of
preparation run in forks (see `zygote`); a handful of patients use the command line, the others the
library that it calls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment
from chain.keys import PatientSecret, new_phrase
from chain.node import Node
from chain.types import AgreementId, RoundNumber, StudyId
from federated.patient import Patient
from records.wisconsin import deal
from tests.e2e.running import Runner, at_once, edit_json, make_members, make_patient, runner

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # the study is built by the first test
]

HOSPITALS = ["north", "harbor", "valley", "lakeside"]
BY_HAND = [f"patient-{number}" for number in range(1, 6)]
EACH = 24
WAIT_S = 1200
RECIPIENT = "0x" + "0" * 36 + "{:04x}"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Two rounds, finalized and claimed for, all windows crossed."""
    folder = tmp_path_factory.mktemp("processes")
    opened = tmp_path_factory.mktemp("opened")
    with runner(folder, opened=opened) as run:
        run.start_chain()
        make_members(run, HOSPITALS, ["relayer", "center", "auditor"])
        _request(run)
        relayer = run.start("relayer", "relay", "--watch", "--every", "0.3")
        _consents(run, deal(folder / "exports", seed=5))
        _rounds(run)
        _claims(run)
        assert relayer.poll() is None, run.log("relayer", "relay")
        yield run


def _request(run: Runner) -> None:
    run.ok(
        "",
        *("study", "template", "wisconsin", "--auditor", "auditor/participant.json"),
        *("--rounds", "2", "--out", "spec.json"),
    )
    edit_json(run.folder / "spec.json", {"training.epochs": 3})
    run.ok("center", "study", "request", "--spec", "spec.json")
    run.ok("center", "study", "invite", "1", *HOSPITALS)


def _consents(run: Runner, files: dict[str, Path]) -> None:
    def join(name: str) -> None:
        run.ok(name, "hospital", "import", str(files[name]), "--study", "1")
        run.ok(name, "hospital", "approve", "1")
        run.ok(name, "hospital", "join", "1")

    def grant(home: str) -> None:
        make_patient(run, home)
        run.ok(home, "consent", "grant", "1", "--out", f"{home}.json")

    at_once(join, HOSPITALS)
    for agreement, name in enumerate(HOSPITALS, start=1):
        terms = ("--price", "2.5", "--purpose", "HMB", "--not-after", "+60d", "--max-count", "60")
        run.ok("center", "offer", "make", "1", name, *terms)
        _scripted_grants(run, name, AgreementId(agreement))
    at_once(lambda name: run.ok(name, "hospital", "admit", f"{name}-grants.jsonl"), HOSPITALS)
    at_once(grant, BY_HAND)
    for number, home in enumerate(BY_HAND, start=EACH + 1):
        key = f"north-{number:04d}"
        run.ok("north", "hospital", "admit", f"{home}.json", "--patient", key)
    _until(run, lambda: _admitted(run) == EACH * len(HOSPITALS) + len(BY_HAND))


def _rounds(run: Runner) -> None:
    hospitals = [run.start(name, "hospital", "run", "1", "--watch") for name in HOSPITALS]
    center = run.start("center", "center", "run", "1", "--watch")
    assert center.wait(WAIT_S) == 0, run.log("center", "center")
    for name, process in zip(HOSPITALS, hospitals, strict=True):
        assert process.wait(WAIT_S) == 0, run.log(name, "hospital")


def _claims(run: Runner) -> None:
    at_once(
        lambda home: run.ok(home, "claim", "1", "--recipient", RECIPIENT.format(int(home[-1]))),
        BY_HAND,
    )
    chain = _reader(run)
    escrow = chain.escrow
    _until(
        run,
        lambda: (
            len(escrow.patients_paid(StudyId(1), to_block=chain.client.block_number()))
            == len(BY_HAND)
        ),
    )
    run.ok("center", "center", "settle", "1")
    run.ok("center", "chain", "advance", str(86400 + 3 * 3600 + 60))
    for name in HOSPITALS:
        run.ok("relayer", "claim", "1", "--for", name)


def _reader(run: Runner) -> Contracts:
    deployment = Deployment.from_json((run.folder / "deployment.json").read_text("utf-8"))
    return Contracts(Client(Node(run.variables["CONSILIUM_RPC"])), deployment)


def _scripted_grants(run: Runner, name: str, agreement: AgreementId) -> None:
    chain = _reader(run)
    deadline = chain.client.timestamp() + 3600
    lines = []
    for number in range(1, EACH + 1):
        grant = Patient(PatientSecret(new_phrase()), chain).grant(agreement, deadline=deadline)
        lines.append(json.dumps({"patient": f"{name}-{number:04d}", "grant": grant.to_json()}))
    (run.folder / f"{name}-grants.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def _admitted(run: Runner) -> int:
    rows = run("center", "offer", "list", "1", "--json").json()
    return sum(row["admitted"] for row in rows)


def _until(run: Runner, holds: object) -> None:
    end = time.monotonic() + WAIT_S
    assert callable(holds)
    while not holds():
        assert time.monotonic() < end, run.log("relayer", "relay")
        time.sleep(0.3)


def test_both_rounds_include_every_hospital(study: Runner) -> None:
    found = study("center", "study", "show", "1", "--json").json()
    assert [(row["phase"], row["included"]) for row in found["rounds"]] == [("finalized", 4)] * 2
    people = EACH * len(HOSPITALS) + len(BY_HAND)
    assert [row["patients"] for row in found["rounds"]] == [people, people]


def test_the_named_auditor_finds_every_check_to_hold(study: Runner) -> None:
    done = study("auditor", "audit", "1", "--json")
    verdict = done.json()
    assert (done.code, verdict["level"], verdict["ok"]) == (0, "keyed", True)
    assert "aggregate" in {check["name"] for check in verdict["checks"]}


def test_anyone_with_a_node_and_the_store_finds_every_check_of_the_lower_level_to_hold(
    study: Runner,
) -> None:
    done = study("", *["audit", "--store", "store", "--deployment", "deployment.json", "--json"])
    verdict = done.json()
    assert (done.code, verdict["level"], verdict["ok"]) == (0, "keyless", True)
    assert "aggregate" not in {check["name"] for check in verdict["checks"]}


def test_an_auditor_records_its_verdict_on_chain(study: Runner) -> None:
    assert study("auditor", "audit", "1", "--attest").code == 0
    chain = _reader(study)
    events = chain.attestations.attested(StudyId(1), to_block=chain.client.block_number())
    assert [event.verdict.name for event in events] == ["OK"]


def test_patients_and_hospitals_are_paid_and_nobody_twice(study: Runner) -> None:
    chain = _reader(study)
    block = chain.client.block_number()
    account = chain.escrow.account(StudyId(1), block_identifier=block)
    assert account.paid_patients == 25 * 10**17 * len(BY_HAND)
    assert account.paid_hospitals == account.set_aside
    again = study("patient-1", "claim", "1", "--recipient", RECIPIENT.format(1))
    assert again.code == 1
    assert "paid already" in again.err
    assert "has its share already" in study("relayer", "claim", "1", "--for", "north").err


def test_a_patient_sees_each_round_and_model_that_used_the_data(study: Runner) -> None:
    uses = study("patient-1", "consent", "usage", "1", "--json").json()["uses"]
    rounds = study("center", "study", "show", "1", "--json").json()["rounds"]
    assert [(use["round"], use["model"]) for use in uses] == [
        (row["round"], row["state"]) for row in rounds
    ]


def test_a_missing_list_of_leaves_is_said_and_not_taken_for_no_use(study: Runner) -> None:
    chain = _reader(study)
    north = study("north", "participant", "show", "--json").json()["address"]
    freezes = chain.rounds.freezes(StudyId(1), RoundNumber(1), to_block=chain.client.block_number())
    frozen = next(event for event in freezes if event.hospital == north)
    block = study.folder / "store" / "blocks"
    path = next(block.glob(f"*/{frozen.freeze.leaf_list.hex()}"))
    aside = path.rename(path.with_suffix(".aside"))
    try:
        done = study("patient-1", "consent", "usage", "1", "--json")
        assert [use["round"] for use in done.json()["uses"]] == [2]
        assert "round 1: nobody has a list of" in done.err
    finally:
        aside.rename(path)


def test_no_process_of_another_role_opens_a_file_of_a_hospital(study: Runner) -> None:
    assert study.opened is not None
    homes = {name: str((study.folder / name).resolve()) + "/" for name in HOSPITALS}
    logs = {path.stem: path.read_text("utf-8").splitlines() for path in study.opened.iterdir()}
    assert {*HOSPITALS, "center", "relayer", "auditor", "operator", *BY_HAND} <= set(logs)
    for name, home in homes.items():
        private = {path for path in logs[name] if path.startswith(home)}
        assert any(path.endswith("records.sqlite") for path in private)  # the log sees them
        for role, paths in logs.items():
            if role != name:
                public = {f"{home}participant.json"}
                assert not {p for p in paths if p.startswith(home)} - public, (role, name)
        exported = str((study.folder / "exports" / name).resolve())
        assert [role for role in logs if any(p.startswith(exported) for p in logs[role])] == [name]


def test_homes_and_their_keys_are_closed_to_other_accounts(study: Runner) -> None:
    for name in [*HOSPITALS, "center", "relayer", "auditor", *BY_HAND]:
        home = study.folder / name
        assert home.stat().st_mode & 0o077 == 0
        for pattern in ("keys/*", "phrase.txt", "records.sqlite", "consents.sqlite"):
            for path in home.glob(pattern):
                assert path.stat().st_mode & 0o077 == 0, path


def test_addresses_are_different_and_the_chain_knows_the_roles(study: Runner) -> None:
    shown = [
        study(name, "participant", "show", "--json").json()
        for name in [*HOSPITALS, "center", "auditor"]
    ]
    assert len({row["address"] for row in shown}) == len(shown)
    assert [row["role"] for row in shown] == ["hospital"] * 4 + ["center", "auditor"]
