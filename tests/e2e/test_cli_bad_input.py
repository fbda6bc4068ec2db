"""Bad input at the command line: one clear error, nothing half written, no traceback, no value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from api.home import Home
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment
from chain.keys import PatientSecret, new_phrase
from chain.node import Node
from chain.types import Address, AgreementId, RoundNumber, StudyId
from federated.hospital.freeze import frozen_commitment
from federated.hospital.late import sealed_step
from federated.hospital.train import _seal
from federated.models import update_schema
from federated.patient import Patient
from federated.schema import Schema
from federated.study import read_study
from records.wisconsin import deal
from storage.cid import dag_cbor_cid
from storage.keyfile import save_key
from storage.keys import Identity
from tests.e2e.running import (
    PASSPHRASE,
    Done,
    Runner,
    at_once,
    edit_json,
    make_members,
    make_patient,
    runner,
)

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # the study is built by the first test
]

HOSPITALS = ["north", "harbor", "valley"]
NORTH, HARBOR = 1, 2
EACH = 12
STUDY = StudyId(1)
PHASES = {f"phases.{name}_s": 6 * 3600 for name in ("freeze", "submit", "finalize")}
"""The round that is open stays so for all tests of this module, however slow the machine is."""


@dataclass(frozen=True, slots=True)
class World:
    """A study with one open round, k = 2; nobody of valley's patients consented."""

    run: Runner
    files: dict[str, Path]

    def chain(self) -> Contracts:
        text = (self.run.folder / "deployment.json").read_text("utf-8")
        node = Node(self.run.variables["CONSILIUM_RPC"])
        return Contracts(Client(node), Deployment.from_json(text))

    def sent(self, home: str) -> int:
        address = (self.run.folder / home / "keys" / "address").read_text().strip()
        return self.chain().client.node.nonce(Address(address), block="pending")

    def mail(self) -> int:
        return sum(1 for _ in (self.run.folder / "store" / "topics").glob("*/*"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("bad")
    with runner(folder) as run:
        run.start_chain()
        make_members(run, HOSPITALS, ["relayer", "center", "auditor"])
        run.ok(
            "",
            *("study", "template", "wisconsin", "--auditor", "auditor/participant.json"),
            *("--rounds", "3", "--least", "2", "--hospitals", "3", "--out", "spec.json"),
        )
        edit_json(folder / "spec.json", {"training.epochs": 2} | PHASES)
        run.ok("center", "study", "request", "--spec", "spec.json")
        run.ok("center", "study", "invite", "1", *HOSPITALS)
        (folder / "policy.toml").write_text("least_cohort = 1\n")
        found = World(run, deal(folder / "exports", seed=3))
        at_once(lambda name: _approve(found, name), HOSPITALS)
        for agreement, name in enumerate(HOSPITALS, start=1):
            run.ok(name, "hospital", "join", "1")  # in this order: it gives the index
            terms = ("--price", "1", "--not-after", "+60d", "--max-count", "50")
            run.ok("center", "offer", "make", "1", name, *terms)
            if name != "valley":
                _grants(found, name, AgreementId(agreement))
                run.ok(name, "hospital", "admit", f"{name}-grants.jsonl")
        run.ok("relayer", "relay")
        run.ok("center", "center", "open", "1")
        yield found


def _approve(world: World, name: str) -> None:
    world.run.ok(name, "hospital", "import", str(world.files[name]), "--study", "1")
    world.run.ok(name, "hospital", "approve", "1", "--policy", "policy.toml")


def _grants(world: World, name: str, agreement: AgreementId) -> None:
    chain = world.chain()
    deadline = chain.client.timestamp() + 3600
    with (world.run.folder / f"{name}-grants.jsonl").open("w") as file:
        for number in range(1, EACH + 1):
            wallet = Patient(PatientSecret(new_phrase()), chain)
            tree = wallet.grant(agreement, deadline=deadline).to_json()
            file.write(json.dumps({"patient": f"{name}-{number:04d}", "grant": tree}) + "\n")


def _values(world: World) -> set[str]:
    """Numbers that stand in the hospitals' files, long enough not to be shown by chance."""
    cells = set()
    for path in world.files.values():
        for line in path.read_text("utf-8").splitlines()[1:]:
            cells |= {cell for cell in line.split(",")[1:-1] if len(cell) > 4}
    return cells


def _assert_refused(world: World, done: Done, *words: str) -> None:
    assert done.code == 1, done.out + done.err
    errors = [line for line in done.err.splitlines() if "warning: " not in line]
    assert len(errors) == 1, done.err
    assert errors[0].startswith("consilium: ")
    for word in words:
        assert word in errors[0], errors[0]
    shown = done.out + done.err
    assert "Traceback" not in shown
    assert not [value for value in _values(world) if value in shown]


@pytest.mark.parametrize(
    ("home", "arguments"),
    [
        ("center", "study show 9"),
        ("north", "hospital approve 9"),
        ("north", "hospital run 9"),
        ("center", "center open 9"),
        ("auditor", "audit 9"),
        ("relayer", "claim 9 --for north"),
        ("auditor", "challenge leaf 9 1 north 0"),
    ],
)
def test_an_unknown_study_is_named_with_those_that_exist(
    world: World, home: str, arguments: str
) -> None:
    before = world.sent(home)
    done = world.run(home, *arguments.split())
    _assert_refused(world, done, "study 9 does not exist", "1 to 1")
    assert world.sent(home) == before


def test_a_dry_run_and_an_approval_name_every_rule_that_refuses(world: World) -> None:
    center = json.loads((world.run.folder / "center" / "participant.json").read_text())["address"]
    strict = world.run.folder / "strict.toml"
    strict.write_text(f'modes = ["masked"]\nmost_rounds = 1\ndenied_centers = ["{center}"]\n')
    before = world.sent("north")
    wanted = ["modes", "most_rounds", "denied_centers"]
    dry = world.run("north", "hospital", "policy", "check", "1", "--policy", str(strict), "--json")
    assert (dry.code, dry.json()["refused"]) == (1, wanted)
    outcomes = {item["rule"]: item["outcome"] for item in dry.json()["rules"]}
    assert (outcomes["tokens"], outcomes["terms"], outcomes["budget"]) == ("passes",) * 3
    done = world.run("north", "hospital", "approve", "1", "--policy", str(strict))
    _assert_refused(world, done, *(f"{rule}: " for rule in wanted))
    assert all(f" {rule} " in done.out for rule in outcomes), "the same list"
    assert world.sent("north") == before
    assert world.run("north", "hospital", "policy", "check", "1").code == 0


def test_an_unknown_round_is_named(world: World) -> None:
    done = world.run("north", "hospital", "freeze", "1", "7")
    _assert_refused(world, done, "study 1 has no round 7")


def test_a_wrong_passphrase_is_said_and_opens_nothing(world: World) -> None:
    done = world.run("north", "hospital", "freeze", "1", CONSILIUM_PASSPHRASE="wrong")
    _assert_refused(world, done, "north/keys/account.json", "not its passphrase")


def test_a_missing_passphrase_says_which_variable_to_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.e2e.running.PASSPHRASE_VARIABLE", "NOT_READ")
    done = world.run("north", "hospital", "freeze", "1")
    _assert_refused(world, done, "set CONSILIUM_PASSPHRASE, or CONSILIUM_PASSPHRASE_FILE")


def test_a_home_of_another_role_is_refused(world: World) -> None:
    done = world.run("north", "center", "open", "1")
    _assert_refused(world, done, "is the home of a hospital, not of a center")


def test_a_search_that_finds_nothing_says_so_and_which_study_it_could_not_read(
    world: World,
) -> None:
    done = world.run("north", "study", "find", "mammography")
    assert done.code == 0
    assert "nothing is listed under 'mammography'" in done.out
    assert "study 1 was not searched: no secret of its index is sealed to this home" in done.err


def test_what_is_sealed_to_nobody_yet_is_not_indexed_and_no_keyword_is_empty(world: World) -> None:
    done = world.run("north", "study", "index", "1", "--keyword", "mammography")
    _assert_refused(world, done, "ask the center to run `consilium study index`")
    done = world.run("north", "study", "find", "")
    _assert_refused(world, done, "a keyword has 1 to 64 printable characters")


def test_what_is_not_ones_own_or_no_manifest_is_not_erased(world: World) -> None:
    erase = ("storage", "erase", "1")
    done = world.run("north", *erase, "nonsense", "--reason", "over")
    _assert_refused(world, done, "'nonsense' is not a CIDv1")
    another = str(dag_cbor_cid(bytes(32)))
    done = world.run("north", *erase, another, "--reason", "over")
    _assert_refused(world, done, "only who sealed an artefact can erase it")


def test_a_key_that_is_not_the_published_one_audits_nothing(world: World) -> None:
    path = world.run.folder / "auditor" / "keys" / "encryption.json"
    own = path.rename(path.with_suffix(".own"))
    try:
        home = Home.open(world.run.folder / "auditor", PASSPHRASE)
        save_key(path, Identity.generate(), home.account_key())
        done = world.run("auditor", "audit", "1", "--keyed")
        _assert_refused(world, done, "encryption key", "audit without a key")
        check = world.run("auditor", "check")
        assert check.code == 1
        assert "the keys on-chain are not this home's" in check.out
    finally:
        own.replace(path)


def test_a_consent_for_another_hospital_is_refused_and_nothing_is_kept(world: World) -> None:
    make_patient(world.run, "alex")
    world.run.ok("alex", "consent", "grant", str(HARBOR), "--out", "alex.json")
    before = world.mail(), world.sent("north")
    done = world.run("north", "hospital", "admit", "alex.json", "--patient", "north-0100")
    _assert_refused(world, done, "is for another hospital")
    assert (world.mail(), world.sent("north")) == before
    again = world.run("north", "hospital", "withdraw", "north-0100", "--reason", "paper")
    _assert_refused(world, again, "no consent of that patient")


def test_a_grant_that_was_changed_is_refused_as_forged(world: World) -> None:
    make_patient(world.run, "casey")
    world.run.ok("casey", "consent", "grant", str(NORTH), "--out", "casey.json")
    edit_json(world.run.folder / "casey.json", {"deadline": 2**40})
    before = world.mail()
    done = world.run("north", "hospital", "admit", "casey.json", "--patient", "north-0101")
    _assert_refused(world, done, "is not signed by its key")
    assert world.mail() == before


def test_a_grant_of_a_person_without_a_record_is_refused(world: World) -> None:
    make_patient(world.run, "robin")
    world.run.ok("robin", "consent", "grant", str(NORTH), "--out", "robin.json")
    done = world.run("north", "hospital", "admit", "robin.json", "--patient", "nobody")
    _assert_refused(world, done, "no record was imported", "nobody was admitted")


def test_a_replayed_signature_takes_effect_once(world: World) -> None:
    chain = world.chain()
    block = chain.client.block_number()
    admitted = chain.agreements.tier(AgreementId(NORTH), block_identifier=block).admitted
    assert admitted == EACH
    world.run.ok("north", "hospital", "admit", "north-grants.jsonl", "--deadline", "+1d")
    done = world.run("relayer", "relay")
    _assert_refused(world, done, "1 refused", "already used")  # the batch: none of it would count
    block = chain.client.block_number()
    assert chain.agreements.tier(AgreementId(NORTH), block_identifier=block).admitted == admitted
    assert world.run("relayer", "relay").code == 0  # such a message is tried once


def test_an_empty_cohort_is_not_frozen(world: World) -> None:
    before = world.sent("valley")
    done = world.run("valley", "hospital", "freeze", "1")
    _assert_refused(world, done, "too few patients consent (0, at least 1")
    assert world.sent("valley") == before


def test_a_file_with_broken_rows_names_lines_and_rules_and_leaves_the_earlier_import(
    world: World, tmp_path: Path
) -> None:
    earlier = world.run.ok("valley", "hospital", "quality", "--json")
    lines = world.files["valley"].read_text("utf-8").splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[5], "nonsense-31.7")
    lines[7] = ",".join(lines[7].split(",")[:-1])
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join(lines) + "\n", "utf-8")
    done = world.run("valley", "hospital", "import", str(broken), "--study", "1")
    words = ("broken.csv: 2 of", "line 4: ", "(number)", "line 8: row (cells)", "--quarantine")
    _assert_refused(world, done, *words)
    assert "nonsense" not in done.err
    assert world.run.ok("valley", "hospital", "quality", "--json") == earlier


def test_broken_rows_are_kept_aside_when_asked_for(world: World, tmp_path: Path) -> None:
    lines = world.files["valley"].read_text("utf-8").splitlines()
    lines[3] = ",".join(lines[3].split(",")[:-1])
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join(lines) + "\n", "utf-8")
    command = ("hospital", "import", str(broken), "--study", "1", "--quarantine")
    said = world.run.ok("valley", *command)
    assert said == f"{len(lines) - 2} of {len(lines) - 1} rows imported, 1 in quarantine\n"
    again = ("hospital", "import", str(world.files["valley"]), "--study", "1")
    world.run.ok("valley", *again)


def test_a_file_without_a_header_shows_no_patient(world: World, tmp_path: Path) -> None:
    lines = world.files["valley"].read_text("utf-8").splitlines()[1:]
    headless = tmp_path / "headless.csv"
    headless.write_text("\n".join(lines) + "\n", "utf-8")
    done = world.run("valley", "hospital", "import", str(headless), "--study", "1")
    _assert_refused(world, done, "the header lacks", "mean_radius")


def test_a_node_that_is_down_is_named(world: World) -> None:
    done = world.run("north", "hospital", "freeze", "1", CONSILIUM_RPC="http://127.0.0.1:1")
    _assert_refused(world, done, "no node answers at http://127.0.0.1:1", "start it")


def test_a_node_of_another_chain_is_refused(world: World, tmp_path: Path) -> None:
    deployment = tmp_path / "deployment.json"
    deployment.write_text((world.run.folder / "deployment.json").read_text())
    edit_json(deployment, {"genesis": "0x" + "ab" * 32})
    outside = ("--store", "store", "--deployment", str(deployment))
    done = world.run("", "study", "show", *outside)
    _assert_refused(world, done, "serves another chain")


def test_a_store_that_is_not_there_is_named(world: World) -> None:
    outside = ("--store", "nowhere", "--deployment", "deployment.json")
    done = world.run("", "study", "show", *outside)
    _assert_refused(world, done, "no block store at nowhere")


def test_a_missing_block_is_named_and_found_by_the_audit(world: World) -> None:
    chain = world.chain()
    spec = chain.studies.terms(STUDY, block_identifier=chain.client.block_number()).spec
    name = spec.hex()
    path = world.run.folder / "store" / "blocks" / name[:2] / name
    aside = path.rename(path.with_suffix(".aside"))
    try:
        done = world.run("north", "hospital", "freeze", "1")
        _assert_refused(world, done, str(dag_cbor_cid(spec)), "is not in the store")
        audit = world.run("auditor", "audit", "1", "--keyless", "--json")
        assert audit.code == 1
        failed = [check["name"] for check in audit.json()["checks"] if not check["ok"]]
        assert failed == ["spec"]
    finally:
        aside.rename(path)
    assert world.run("auditor", "audit", "1", "--keyless").code == 0


def test_a_spec_that_breaks_a_rule_names_the_key_and_opens_nothing(world: World) -> None:
    bad = world.run.folder / "bad.json"
    bad.write_text((world.run.folder / "spec.json").read_text())
    edit_json(bad, {"split.test": 0.95})
    before = world.sent("center")
    done = world.run("center", "study", "request", "--spec", "bad.json")
    _assert_refused(world, done, "study spec: split: ")
    assert world.sent("center") == before


def test_a_round_with_too_few_sound_updates_is_not_finalized_and_says_why(world: World) -> None:
    run = world.run
    run.ok("north", "hospital", "run", "1")
    before = world.sent("center")
    done = run("center", "center", "finalize", "1")
    _assert_refused(world, done, "round 1: 1 submissions, at least 2 are needed")
    _submit_nonsense(world)
    done = run("center", "center", "finalize", "1")
    _assert_refused(world, done, "1 updates can be included", "(harbor: schema)")
    assert world.sent("center") == before
    assert not any((run.folder / "center" / "journal").glob("aggregate-*"))
    shown = run("center", "study", "show", "1", "--json").json()
    assert [row["included"] for row in shown["rounds"]] == [0]
    found = run("center", "center", "status", "1", "--json").json()
    outcomes = {row["hospital"]: row["outcome"] for row in found}
    assert outcomes == {"north": "submitted", "harbor": "submitted", "valley": "did not freeze"}


def _submit_nonsense(world: World) -> None:
    """Harbor freezes rightly, and seals a tensor of NaN in the place of its update."""
    run, number = world.run, RoundNumber(1)
    run.ok("harbor", "hospital", "freeze", "1")
    home = Home.open(run.folder / "harbor", PASSPHRASE)
    node = home.hospital(run.variables["CONSILIUM_RPC"])
    study = read_study(node.party.chain, node.party.store, STUDY, node.party.head())
    root = frozen_commitment(node, study, number).root
    sealed = _seal(node.party, study, number, root, _of_nan(update_schema(study.spec)))
    record = {"root": root.hex(), "sealed": sealed.to_json(), "size": 0, "upload_s": 0.0}
    node.party.journal.put(sealed_step(STUDY, number), record)
    run.ok("harbor", "hospital", "submit", "1")


def _of_nan(schema: Schema) -> bytes:
    """A safetensors file with the study's names and shapes, whose floats are all NaN."""
    tensors = {
        tensor.name: np.full(tensor.shape, np.nan, dtype=np.float32) for tensor in schema.tensors
    }
    return save(tensors)
