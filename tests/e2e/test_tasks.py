"""Studies of classes, amounts and survival, from a file to the bedside over a real chain."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.bedside.task_text import task_lines_of
from api.bedside.task_tree import task_tree_of
from api.bedside.tree import REMINDER
from chain.types import RoundNumber
from federated.bedside.residuals import COVERAGE
from federated.errors import SpecError, StepError
from federated.hospital import publish_figures, publish_results
from federated.hospital.asked import read_file_of_cases
from federated.hospital.bedside import open_bedside
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.hospital.personalise import personalise
from federated.hospital.predict_task import AmountAnswer, Ranking, RiskAnswer, predict_task
from federated.published import open_state
from federated.reported import figures_of, results_of
from federated.rules import check_spec
from federated.simulate import simulate
from federated.spec import Data, Split, StudySpec, Training
from federated.state import state_digest
from federated.tasks.reading import loss_on
from records.splits import Part
from tests.e2e import kit
from tests.e2e.invented import FEATURES, LABELS, write_files
from tests.e2e.kit import HOSPITALS, World

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.slow]

PATIENTS, LAST = 75, RoundNumber(2)


def _spec(world: World, task: str) -> StudySpec:
    return kit.study_spec(
        world,
        task=task,
        data=Data("invented/1", FEATURES, LABELS[task]),
        split=Split(validation=0.4, test=0.1),
        training=Training(epochs=5, batch_size=8, learning_rate=0.1, momentum=0.5),
    )


@pytest.fixture(scope="module", params=list(LABELS))
def over(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Both rounds are finalized."""
    world = kit.build_world(tmp_path_factory.mktemp(request.param) / "world")
    with world.anvil:
        files = write_files(world.folder / "exports", request.param, HOSPITALS, PATIENTS)
        kit.enrol_all(world, _spec(world, request.param), files=files)
        kit.open_tiers(world)
        kit.ask_all(world)
        kit.run_round(world)
        kit.run_round(world)
        yield world
        world.forget()


def test_a_study_of_each_task_is_audited_and_equals_its_simulation(over: World) -> None:

    kit.assert_sound(over)
    study, node = over.read(), over.node
    cohorts = [
        {
            name: arrays([m for m in members if m.part is Part.TRAIN], study.spec)
            for name in HOSPITALS
            for members in [frozen_members(node(name), study, RoundNumber(number))]
        }
        for number in (1, 2)
    ]
    assert state_digest(study.spec, simulate(study.spec, cohorts)[-1]) == kit.state_of(over, 2)


def test_hospitals_sign_the_tasks_figures_and_few_people_are_withheld(over: World) -> None:
    study, node = over.read(), over.node("north")
    told = publish_figures(node, study.number, LAST, Part.VALIDATION)
    assert not told.suppressed
    figures = {
        name: found for name, found in told.estimates(study.spec).items() if found is not None
    }
    least = {"multiclass": ("auc", 0.7), "regression": ("r2", 0.5), "survival": ("c_index", 0.6)}
    name, value = least[study.spec.task]
    assert figures[name].value > value
    few = publish_figures(node, study.number, LAST, Part.TEST)
    if study.spec.task == "regression":  # one group, of at least five
        assert not few.suppressed
    else:
        assert few.suppressed
        assert (few.people, few.figures) == (0, ())
    read = figures_of(over.center, study, LAST, over.center.head())
    assert {item.split: item for item in read} == {"validation": told, "test": few}
    assert results_of(over.center, study, LAST, over.center.head()) == []
    with pytest.raises(StepError, match="has no counts; publish its figures"):
        publish_results(node, study.number, LAST, Part.TEST)


def test_an_answer_at_the_bedside_is_of_the_task(over: World, tmp_path: Path) -> None:
    study, node = over.read(), over.node("harbor")
    case = tmp_path / "case.csv"
    case.write_text("first,second,third\n1.5,-1.0,-1.0\n-1.5,1.0,1.0\n")
    bedside = open_bedside(node, study.number, tmp_path / "personal")
    answers = predict_task(bedside, read_file_of_cases(case, study.spec))
    tree = task_tree_of(bedside, answers, {})
    json.dumps(tree)
    lines = list(task_lines_of(tree))
    assert lines[0] == lines[-1] == f"{REMINDER}."
    high, low = answers
    assert high.explanation is not None
    assert {n.key.split("-")[0] for n in high.similar} == {"harbor"}
    if isinstance(high, Ranking):
        assert isinstance(low, Ranking)
        words = study.spec.data.label.words
        assert words[high.ranked[0]] == "mild"
        assert high.calibration is not None
        assert high.chances is not None
        assert high.chances.sum() == pytest.approx(1)
        shown = tree["cases"][0]["ranking"]
        assert [row["probability"] for row in shown] == sorted(high.chances.tolist(), reverse=True)
        assert any("calibrated on" in line for line in lines)
    elif isinstance(high, AmountAnswer):
        assert isinstance(low, AmountAnswer)
        assert high.amount - low.amount > 10
        assert high.within is not None
        found = tree["cases"][0]["interval"]
        assert found["low"] < high.amount < found["high"]
        assert found["coverage"] == COVERAGE
        assert any(line.strip().startswith("dose: ") and line.endswith("mg") for line in lines)
    else:
        assert isinstance(high, RiskAnswer)
        assert isinstance(low, RiskAnswer)
        assert high.ratio > 1 > low.ratio
        assert math.log(high.ratio) == pytest.approx(tree["cases"][0]["explanation"]["whole"])
        assert high.third is not None
        assert any("relative risk of seen dead" in line for line in lines)


def test_a_hospital_keeps_another_model_only_by_the_tasks_own_loss(
    over: World, tmp_path: Path
) -> None:
    study, node = over.read(), over.node("valley")
    kept = personalise(node, study.number, tmp_path / "personal")
    assert [item.kind for item in kept.judged] == ["global", "fine-tuned", "own"]
    lost = {"multiclass": "log loss", "regression": "squared error", "survival": "Cox loss"}
    assert lost[study.spec.task] in kept.why
    assert kept.judged[1].lead >= 0  # further training is kept only where it lowers the loss
    bedside = open_bedside(node, study.number, tmp_path / "personal")
    assert bedside.kept is kept.kept
    case = tmp_path / "case.csv"
    case.write_text("first,second,third\n0,0,0\n")
    (answer,) = predict_task(bedside, read_file_of_cases(case, study.spec))
    tree = task_tree_of(bedside, [answer], {})
    assert tree["model"]["personalised"]
    assert list(task_lines_of(tree))


def test_the_first_state_is_worse_than_the_last(over: World) -> None:

    study, center = over.read(), over.center
    members = frozen_members(over.node("north"), study, LAST)
    held = arrays([m for m in members if m.part is not Part.TRAIN], study.spec)
    losses = [
        loss_on(
            open_state(center, study, RoundNumber(n), center.head()).parameters, held, study.spec
        )
        for n in (0, 1, 2)
    ]
    assert losses[2] < losses[1] < losses[0]


def test_a_contribution_rule_that_reads_two_labels_is_refused_by_name(over: World) -> None:

    spec = over.read().spec
    paid = replace(spec, reward=replace(spec.reward, rule="leave-one-out"))
    with pytest.raises(SpecError, match=f"reads reports of two labels, and a {spec.task} study"):
        check_spec(paid)
