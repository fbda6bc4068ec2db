"""Real patients by five grades, from three hospitals' raw files: learned, ranked, withheld."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federated.evaluation.figures import FigureRow, compare_figures
from federated.hospital.data import read_file, record_arrays
from federated.models import initial_parameters
from federated.rules import check_spec
from federated.simulate import Site, all_models, simulate
from federated.spec import Label, StudySpec
from federated.studies import heart_spec
from federated.tasks import task_of
from federated.tasks.reading import loss_on, outputs_of
from records import heart
from records.sources import HEART
from records.splits import Part, assign
from tests.data_sets import need

Sites = dict[str, Site]
GRADING = ("cleveland", "switzerland", "va")


@pytest.fixture(scope="module")
def spec() -> StudySpec:
    """The study of two labels, by the five grades in which the diagnosis is coded."""
    base = heart_spec()
    label = Label("grade", classes=heart.GRADES)
    graded = replace(
        base,
        name="heart-grades",
        task="multiclass",
        max_hospitals=len(GRADING),
        data=replace(base.data, dictionary=heart.GRADES_DICTIONARY, label=label),
    )
    check_spec(graded)
    return graded


@pytest.fixture(scope="module")
def sites(spec: StudySpec, tmp_path_factory: pytest.TempPathFactory) -> Sites:
    need(*HEART.values())
    found = {}
    files = heart.deal(tmp_path_factory.mktemp("heart"), 1)
    for name in GRADING:
        records = read_file(files[name], spec).records
        split = {"validation": spec.split.validation, "test": spec.split.test}
        parts = assign(records, seed=spec.seed, hospital=name, **split)
        found[name] = Site(
            *(record_arrays([r for r in records if parts[r.key] is part], spec) for part in Part)
        )
    return found


def test_the_grades_are_those_of_the_files_and_two_labels_are_their_coarser_reading(
    spec: StudySpec, tmp_path: Path
) -> None:
    need(*HEART.values())
    for name, file in heart.deal(tmp_path, 1).items():
        fine, coarse = read_file(file, spec), read_file(file, heart_spec())
        assert [x.key for x in fine.records] == [x.key for x in coarse.records], name
        assert [x.label > 0 for x in fine.records] == [x.label for x in coarse.records]  # type: ignore[operator]
        grades = set(range(5)) if name in GRADING else {0, 1}
        assert {x.label for x in fine.records} == grades


@pytest.fixture(scope="module")
def rows(spec: StudySpec, sites: Sites) -> list[FigureRow]:
    cohorts = [{name: site.train for name, site in sites.items()}] * spec.rounds
    learned = simulate(spec, cohorts)[-1].parameters
    with all_models(spec, sites, learned) as models:
        return compare_figures(spec, sites, models())


def test_a_federated_ranking_beats_guessing_and_hospitals_with_few_of_a_grade_show_nothing(
    rows: list[FigureRow], sites: Sites
) -> None:
    counts = {
        name: np.bincount(site.test[1].astype(int), minlength=5) for name, site in sites.items()
    }
    few = {name for name, count in counts.items() if count.min() < 5}
    shown = {row.test: row for row in rows if row.model == "federated"}
    assert {name for name in sites if shown[name].withheld} == few
    assert few
    assert shown["pooled"].withheld == (len(few) == 1)
    if not shown["pooled"].withheld:
        area = shown["pooled"].figures["auc"]
        assert area is not None
        assert area.low > 0.6  # guessing has 0.5


def test_federated_training_lowers_the_loss_on_every_hospitals_test_patients(
    spec: StudySpec, sites: Sites
) -> None:
    cohorts = [{name: site.train for name, site in sites.items()}] * 2
    learned, start = simulate(spec, cohorts)[-1].parameters, initial_parameters(spec)
    for site in sites.values():
        assert loss_on(learned, site.test, spec) < loss_on(start, site.test, spec)
        chances = task_of(spec.task).predicted(outputs_of(learned, site.test[0], spec), spec)
        assert chances.sum(axis=1) == pytest.approx(np.ones(len(chances)))
