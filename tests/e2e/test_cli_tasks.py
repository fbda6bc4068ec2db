"""Studies of every task at the command line: imported, evaluated, personalised, asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from api.bedside.tree import REMINDER
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment
from chain.keys import PatientSecret, new_phrase
from chain.node import Node
from chain.types import AgreementId
from federated.patient import Patient
from tests.e2e.invented import FEATURES, LABELS, write_files
from tests.e2e.running import Runner, edit_json, make_members, runner

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # the study is built by the first test
]

HOSPITALS = ["north", "harbor"]
EACH = 60
SAYS = {
    "multiclass": ("kind, the likeliest first (calibrated on", "balanced accuracy", "log odds"),
    "regression": ("dose: ", "mean absolute error", "mg of dose"),
    "survival": ("relative risk of seen dead: ", "C-index", "log hazard of seen"),
}


@pytest.fixture(scope="module", params=list(LABELS))
def study(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Runner, str]]:
    """One finished round of two hospitals."""
    task, folder = request.param, tmp_path_factory.mktemp(request.param)
    with runner(folder) as run:
        run.start_chain()
        make_members(run, HOSPITALS, ["relayer", "center", "auditor"])
        files = write_files(folder / "exports", task, HOSPITALS, EACH)
        run.ok(
            "",
            *("study", "template", "wisconsin", "--auditor", "auditor/participant.json"),
            *("--rounds", "1", "--least", "2", "--hospitals", "2", "--out", "spec.json"),
        )
        _describe(folder / "spec.json", task)
        run.ok("center", "study", "request", "--spec", "spec.json")
        run.ok("center", "study", "invite", "1", *HOSPITALS)
        (folder / "policy.toml").write_text(f'least_cohort = 1\ntasks = ["{task}"]\n')
        for agreement, name in enumerate(HOSPITALS, start=1):
            run.ok(name, "hospital", "import", str(files[name]), "--study", "1")
            run.ok(name, "hospital", "approve", "1", "--policy", "policy.toml")
            run.ok(name, "hospital", "join", "1")
            terms = ("--price", "1", "--not-after", "+60d", "--max-count", "99")
            run.ok("center", "offer", "make", "1", name, *terms)
            _grants(run, name, AgreementId(agreement))
            run.ok(name, "hospital", "admit", f"{name}-grants.jsonl")
        run.ok("relayer", "relay")
        run.ok("center", "center", "open", "1")
        for name in HOSPITALS:
            run.ok(name, "hospital", "run", "1")
        run.ok("center", "center", "finalize", "1")
        yield run, task


def _describe(path: Path, task: str) -> None:
    label = {key: value for key, value in asdict(LABELS[task]).items() if value is not None}
    features = [asdict(feature) for feature in FEATURES]
    data = {"dictionary": "invented/1", "features": features, "label": label, "eligibility": []}
    changes = {"task": task, "data": data, "split.validation": 0.4, "split.test": 0.1}
    edit_json(path, {**changes, "training.epochs": 5, "training.learning_rate": 0.1})


def _grants(run: Runner, name: str, agreement: AgreementId) -> None:
    deployment = Deployment.from_json((run.folder / "deployment.json").read_text("utf-8"))
    chain = Contracts(Client(Node(run.variables["CONSILIUM_RPC"])), deployment)
    deadline = chain.client.timestamp() + 3600
    with (run.folder / f"{name}-grants.jsonl").open("w") as file:
        for number in range(EACH):
            tree = Patient(PatientSecret(new_phrase()), chain).grant(agreement, deadline=deadline)
            line = {"patient": f"{name}-{number:03}", "grant": tree.to_json()}
            file.write(json.dumps(line) + "\n")


def test_figures_are_published_and_read_as_those_of_the_task(study: tuple[Runner, str]) -> None:
    run, task = study
    said = run.ok("north", "hospital", "evaluate", "1")
    first = {"multiclass": "accuracy 0.", "regression": "mae ", "survival": "c_index 0."}[task]
    assert said.startswith(f"round 1: {first}")
    assert "validation patients" in said
    rows = json.loads(run.ok("center", "center", "results", "1", "--json"))
    assert [(row["hospital"], row["split"]) for row in rows] == [("north", "validation")]
    assert all(value for key, value in rows[0].items())
    assert run.ok("auditor", "audit", "1", "--keyed").startswith("ok: all ")


def test_a_case_is_answered_in_the_words_of_the_task(study: tuple[Runner, str]) -> None:
    run, task = study
    case = run.folder / "case.csv"
    case.write_text("first,second,third\n1.5,-1.0,-1.0\n")
    run.ok("north", "hospital", "personalise", "1")
    lines = run.ok("north", "predict", str(case)).splitlines()
    assert lines[0] == lines[-1] == f"{REMINDER}."
    shown = "\n".join(lines)
    for words in (*SAYS[task], "together", "most similar past cases", "validation patients"):
        assert words in shown, shown
    tree = json.loads(run.ok("north", "predict", str(case), "--json"))
    assert tree["task"] == task
    assert tree["reference"] == tree["reminder"] == REMINDER
    drawn = run("north", "predict", str(case), "--picture", "shown.png")
    assert drawn.code == 1
    assert f"this study is {task}" in drawn.err


def test_no_column_of_the_answer_may_stand_in_a_case(study: tuple[Runner, str]) -> None:
    """A time to the event is as much the answer as the event is."""
    run, task = study
    label = LABELS[task]
    for column in [label.name, *([label.time] if label.time else [])]:
        case = run.folder / "told.csv"
        case.write_text(f"first,second,third,{column}\n1.5,-1.0,-1.0,1371337\n")
        done = run("north", "predict", str(case))
        assert done.code == 1
        assert f"has {column}, which is the answer" in done.err
        assert "1371337" not in done.err


def test_a_policy_that_lists_other_tasks_refuses_the_study(study: tuple[Runner, str]) -> None:
    run, task = study
    (run.folder / "strict.toml").write_text('least_cohort = 1\ntasks = ["binary"]\n')
    done = run("harbor", "hospital", "approve", "1", "--policy", "strict.toml")
    assert done.code == 1
    assert "tasks" in done.err
    assert task in done.err
