"""The bedside at the command line: what is printed, what is refused, and that nothing is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.bedside.tree import REMINDER
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment
from chain.keys import PatientSecret, new_phrase
from chain.node import Node
from chain.types import AgreementId, RoundNumber, StudyId
from federated.patient import Patient
from federated.round_manifest import read_round_manifest
from federated.studies import wisconsin_features
from records.pictures import Image, encode_png
from records.wisconsin import deal
from storage.embedded import EmbeddedStore
from tests.e2e.running import Done, Runner, at_once, edit_json, make_members, runner

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # the study is built by the first test
]

HOSPITALS = ["north", "harbor"]
EACH = 60
STUDY, FIRST = StudyId(1), RoundNumber(1)
NAMES = [feature.name for feature in wisconsin_features()]
SECRET = "13.370123"
"""A value of the case that stands nowhere else."""


@dataclass(frozen=True, slots=True)
class World:
    """A finished study of one round that pays by contribution.

    `early` is what `predict` said before it was finalized, `judging` what those said who came to
    judge: a hospital too early, the center, both hospitals.
    """

    run: Runner
    early: Done
    cells: list[str]
    judging: tuple[Done, ...] = ()

    def case(self, name: str = "case.csv", **changes: str) -> Path:
        cells = dict(zip(NAMES, self.cells, strict=True)) | {"mean_radius": SECRET} | changes
        path = self.run.folder / name
        path.write_text(",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
        return path

    def chain(self) -> Contracts:
        text = (self.run.folder / "deployment.json").read_text("utf-8")
        node = Node(self.run.variables["CONSILIUM_RPC"])
        return Contracts(Client(node), Deployment.from_json(text))

    def model_block(self) -> Path:
        """Where the store keeps the manifest of the sealed global model."""
        chain, store = self.chain(), EmbeddedStore(self.run.folder / "store")
        block = chain.client.block_number()
        digest = chain.rounds.round(STUDY, FIRST, block_identifier=block).manifest
        name = read_round_manifest(store, digest)[0].model.hex()
        return self.run.folder / "store" / "blocks" / name[:2] / name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("bedside")
    with runner(folder) as run:
        run.start_chain()
        make_members(run, HOSPITALS, ["relayer", "center", "auditor"])
        files = deal(folder / "exports", seed=3)
        run.ok(
            "",
            *("study", "template", "wisconsin", "--auditor", "auditor/participant.json"),
            *("--rounds", "1", "--least", "2", "--hospitals", "2", "--out", "spec.json"),
        )
        edit_json(folder / "spec.json", {"split.validation": 0.4, "reward.rule": "leave-one-out"})
        run.ok("center", "study", "request", "--spec", "spec.json")
        run.ok("center", "study", "invite", "1", *HOSPITALS)
        (folder / "policy.toml").write_text("least_cohort = 1\n")
        for agreement, name in enumerate(HOSPITALS, start=1):
            run.ok(name, "hospital", "import", str(files[name]), "--study", "1")
            run.ok(name, "hospital", "approve", "1", "--policy", "policy.toml")
            run.ok(name, "hospital", "join", "1")
            terms = ("--price", "1", "--not-after", "+60d", "--max-count", "99")
            run.ok("center", "offer", "make", "1", name, *terms)
            found = World(run, Done(0, "", ""), [])
            _grants(found, name, AgreementId(agreement))
            run.ok(name, "hospital", "admit", f"{name}-grants.jsonl")
        run.ok("relayer", "relay")
        run.ok("center", "center", "open", "1")
        at_once(lambda name: run.ok(name, "hospital", "run", "1"), HOSPITALS)
        cells = files["north"].read_text("utf-8").splitlines()[1].split(",")[1:-1]
        early = run("north", "predict", str(World(run, found.early, cells).case()))
        judging = (
            run("north", "hospital", "report", "1"),
            run("center", "center", "propose", "1"),
            *(run(name, "hospital", "report", "1") for name in HOSPITALS),
        )
        run.ok("center", "center", "finalize", "1")
        run.ok("auditor", "audit", "1", "--keyed", "--attest")
        yield World(run, early, cells, judging)


def _grants(world: World, name: str, agreement: AgreementId) -> None:
    chain = world.chain()
    deadline = chain.client.timestamp() + 3600
    with (world.run.folder / f"{name}-grants.jsonl").open("w") as file:
        for number in range(1, EACH + 1):
            tree = Patient(PatientSecret(new_phrase()), chain).grant(agreement, deadline=deadline)
            line = {"patient": f"{name}-{number:04d}", "grant": tree.to_json()}
            file.write(json.dumps(line) + "\n")


def _assert_refused(done: Done, *words: str) -> None:
    assert done.code == 1, done.out + done.err
    assert done.out == ""
    assert len(done.err.splitlines()) == 1, done.err
    for word in words:
        assert word in done.err, done.err
    assert SECRET not in done.err


def test_hospitals_judge_what_the_center_proposes(world: World) -> None:
    early, proposed, *reports = world.judging
    assert early.code == 1
    assert "wait for `consilium center propose`" in early.err
    assert proposed.code == 0
    assert "3 models proposed" in proposed.out
    for done in reports:
        assert done.code == 0, done.err
        assert "2 models judged, the counts are signed" in done.out


def test_the_global_model_answers_until_one_is_kept(world: World) -> None:
    path = world.run.folder / "harbor" / "personal" / "study-1.sealed"
    said = world.run.ok("harbor", "predict", str(world.case()), "--study", "1")
    assert "model: the global one; `consilium hospital personalise 1`" in said
    kept = world.run.ok("harbor", "hospital", "personalise", "1")
    assert "model is kept, for " in kept
    assert all(kind in kept for kind in ("global", "fine-tuned", "own"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert "`consilium hospital personalise 1`" not in world.run.ok(
        "harbor", "predict", str(world.case())
    )


def test_a_prediction_begins_and_ends_with_what_it_is_not(world: World) -> None:
    lines = world.run.ok("north", "predict", str(world.case())).splitlines()
    assert lines[0] == lines[-1] == f"{REMINDER}."
    shown = "\n".join(lines)
    for words in (
        "diagnosis malignant: ",
        "decision at the study's operating point",
        "validation patients",
        "speaks for diagnosis malignant",
        "speaks against diagnosis malignant",
        "together",
        "most similar past cases of yours whose consent is active",
        "where the model comes from",
        "study      1, round 1 of 1",
        "hospitals  north, harbor",
        "audit      auditor on the whole study: ok (keyed)",
    ):
        assert words in shown, words


def test_the_json_has_all_of_it(world: World) -> None:
    tree = world.run("north", "predict", str(world.case()), "--json").json()
    assert tree["reference"] == tree["reminder"] == REMINDER
    case = tree["cases"][0]
    whole = sum(part["log_odds"] for part in case["explanation"]["parts"])
    explained = case["explanation"]
    assert whole == pytest.approx(explained["log_odds"] - explained["reference_log_odds"])
    assert len(case["similar"]) == 3
    admitted = {f"north-{number:04d}" for number in range(1, EACH + 1)}
    assert {item["patient"] for item in case["similar"]} <= admitted
    chain = world.chain()
    round_ = chain.rounds.round(STUDY, FIRST, block_identifier=chain.client.block_number())
    assert tree["provenance"]["state"] == round_.state.hex()
    assert tree["provenance"]["rounds"] == chain.rounds.address
    assert tree["provenance"]["attestations"][0]["verdict"] == "ok"


def test_several_cases_are_answered_in_order(world: World) -> None:
    path = world.case("many.csv")
    header, row = path.read_text().splitlines()
    path.write_text("\n".join([header, row, row.replace(SECRET, "28.5"), row]) + "\n")
    cases = world.run("north", "predict", str(path), "--json").json()["cases"]
    assert [case["model_probability"] for case in cases].count(cases[0]["model_probability"]) == 2
    assert cases[0] == cases[2] != cases[1]
    assert cases[1]["explanation"]["log_odds"] > cases[0]["explanation"]["log_odds"]


def test_nothing_of_a_case_is_kept(world: World) -> None:
    world.run.ok("north", "predict", str(world.case()))
    kept = [
        path
        for folder in ("north", "store", "chain")
        for path in (world.run.folder / folder).rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert kept == []


def test_a_withdrawal_is_said_and_the_global_model_answers(world: World) -> None:
    run = world.run
    run.ok("north", "hospital", "personalise", "1")
    before = run("north", "predict", str(world.case()), "--json").json()
    patient = before["cases"][0]["similar"][0]["patient"]
    # all that consent train, judge or test: only who trained or judged ends the personal model
    for number in range(1, 6):
        run("north", "hospital", "withdraw", f"north-{number:04d}", "--reason", "paper")
    run("north", "hospital", "withdraw", patient, "--reason", "paper")
    after = run("north", "predict", str(world.case()), "--json").json()
    assert "withdrawn since" in after["model"]["warning"]
    assert after["model"]["kind"] == "global"
    assert patient not in {item["patient"] for item in after["cases"][0]["similar"]}
    assert "WARNING: the personal model saw" in run.ok("north", "predict", str(world.case()))
    run.ok("north", "hospital", "personalise", "1")
    assert run("north", "predict", str(world.case()), "--json").json()["model"]["warning"] is None


def test_before_the_first_round_is_finalized_there_is_no_model(world: World) -> None:
    _assert_refused(world.early, "study 1 has no finalized round yet: there is no model")


def test_an_unknown_study_and_the_home_of_another_role_are_named(world: World) -> None:
    path = str(world.case())
    _assert_refused(world.run("north", "predict", path, "--study", "9"), "study 9 does not exist")
    said = "is the home of a center, not of a hospital"
    _assert_refused(world.run("center", "predict", path), said)
    _assert_refused(world.run("center", "hospital", "personalise", "1"), said)


def test_a_model_that_is_not_in_the_store_or_another_one_is_refused(world: World) -> None:
    path, case = world.model_block(), str(world.case())
    honest = path.read_bytes()
    aside = path.rename(path.with_suffix(".aside"))
    try:
        _assert_refused(world.run("north", "predict", case), "is not in the store")
        path.write_bytes(honest[:-1] + bytes([honest[-1] ^ 1]))
        _assert_refused(world.run("north", "predict", case), "corrupt")
    finally:
        aside.replace(path)
    world.run.ok("north", "predict", case)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean_texture": "9999"}, ("mean_texture lies outside of 5 to 45",)),
        ({"mean_texture": "much"}, ("mean_texture is no number",)),
        ({"mean_texture": ""}, ("mean_texture is missing", "no rule")),
        ({"diagnosis": "malignant"}, ("has diagnosis, which is the answer",)),
        ({"weight": "70"}, ("1 columns that wisconsin-breast-cancer/1 does not know",)),
    ],
)
def test_a_row_that_is_no_case_is_one_clear_error(
    world: World, changes: dict[str, str], words: tuple[str, ...]
) -> None:
    _assert_refused(world.run("north", "predict", str(world.case("bad.csv", **changes))), *words)


def test_a_file_that_is_no_case_is_one_clear_error(world: World) -> None:
    def refused(content: bytes, name: str, *words: str) -> None:
        (world.run.folder / name).write_bytes(content)
        _assert_refused(world.run("north", "predict", name), name, *words)

    refused(b"", "empty.csv", "empty")
    refused(b'{"mean_radius": ' + SECRET.encode(), "cut.json", "not JSON, or cut off")
    refused(b"no picture", "text.png", "1 columns that", "mean_smoothness and 25 more")
    refused(bytes(range(256)) * 9, "garbage.csv", "is not UTF-8")
    refused(encode_png(Image((28, 28), bytes(784))), "xray.png", "a picture, but")
    header, row = world.case().read_text().splitlines()
    first, second, *rest = header.split(",")
    assert (first, rest[0]) == ("mean_radius", "mean_perimeter")
    swapped = ",".join([rest[0], second, first, *rest[1:]])
    refused(f"{swapped}\n{row}\n".encode(), "swapped.csv", "lies outside of")
    _assert_refused(world.run("north", "predict", "store"), "store: a folder")
    _assert_refused(world.run("north", "predict", "none.csv"), "none.csv: cannot be read")
    picture = world.run("north", "predict", str(world.case()), "--picture", "out.png")
    _assert_refused(picture, "this study reads numbers, not pictures")
    assert not (world.run.folder / "out.png").exists()
