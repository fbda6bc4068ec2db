"""Answers of every task where a hospital has nobody, and what a class is told by."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest

from api.bedside.task_text import task_lines_of
from api.bedside.task_tree import task_tree_of
from api.bedside.tree import REMINDER
from chain.types import Address, RoundNumber, StudyId
from federated.bedside.choose import Kind, choose
from federated.bedside.explain import explain
from federated.bedside.reading import Reader
from federated.hospital.bedside import Bedside, prepare
from federated.hospital.predict_task import AmountAnswer, Ranking, RiskAnswer, predict_task
from federated.models import initial_parameters
from federated.provenance import Provenance
from federated.spec import Choice, StudySpec
from federated.study import Study
from federated.tasks import task_of
from records.case import Case
from records.cohort import Member
from records.record import LocalKey, Record
from records.splits import Part
from tests.federated.test_tasks import study

NOBODY = Address("0x" + "00" * 20)
TASKS = ["multiclass", "regression", "survival"]
CASE = Case((50.0, 1.0))


def bedside_of(spec: StudySpec, members: list[Member]) -> Bedside:
    place = Study(StudyId(1), spec, spec.digest(), cast(Any, None), NOBODY, (), (NOBODY,))
    origin = Provenance(
        31337, NOBODY, 1, RoundNumber(1), 1, bytes(32), "cid", spec.digest(), (NOBODY,), (), ()
    )
    parameters = initial_parameters(spec)
    return prepare(place, origin, (Kind.GLOBAL, None, ""), parameters, members)


@pytest.mark.parametrize("model", [Choice("logistic"), Choice("mlp", {"hidden": [4]})])
@pytest.mark.parametrize("task", TASKS)
def test_a_hospital_without_patients_is_answered_and_told_what_is_missing(
    task: str, model: Choice
) -> None:
    bedside = bedside_of(study(task, model=model), [])
    (answer,) = predict_task(bedside, [CASE])
    tree = task_tree_of(bedside, [answer], {})
    lines = list(task_lines_of(tree))
    assert lines[0] == lines[-1] == f"{REMINDER}."
    shown = "\n".join(lines)
    assert "too few" in shown
    assert "no similar past case" in shown
    assert "the middle of every field's range" in shown
    if isinstance(answer, Ranking):
        assert (answer.chances, answer.calibration) == (None, None)
        assert "not calibrated" in shown
    elif isinstance(answer, AmountAnswer):
        assert answer.within is None
        assert "no interval" in shown
    else:
        assert isinstance(answer, RiskAnswer)
        assert answer.third is None


def test_few_patients_of_a_group_give_no_figures_at_the_bedside() -> None:
    """Four of one class and twenty of each other: no figure, for it would tell of the four."""
    kinds = [0] * 20 + [1] * 20 + [2] * 4
    members = [
        Member(Record(LocalKey(f"p{i:02}"), (40.0 + i, 0.1 * i - 2), kind), bytes([i]), part)
        for i, kind in enumerate(kinds)
        for part in [Part.VALIDATION]
    ]
    few = bedside_of(study("multiclass"), members)
    tree = task_tree_of(few, predict_task(few, [CASE]), {})
    assert tree["model"]["on_own_validation_patients"] is None
    assert "too few of a group to say how good it is" in "\n".join(task_lines_of(tree))
    enough = bedside_of(study("multiclass"), [*members, Member(*_fifth())])
    found = task_tree_of(enough, predict_task(enough, [CASE]), {})
    assert found["model"]["on_own_validation_patients"]["accuracy"] is not None


def _fifth() -> tuple[Record, bytes, Part]:
    return Record(LocalKey("p99"), (70.0, 1.0), 2), bytes([99]), Part.VALIDATION


@pytest.mark.parametrize("model", [Choice("logistic"), Choice("mlp", {"hidden": [4]})])
def test_a_class_is_told_by_its_log_odds_against_all_others(model: Choice) -> None:
    spec = study("multiclass", model=model)
    reader = Reader.of(initial_parameters(spec), spec)
    inputs = np.array([[0.5, -1.0], [2.0, 0.25], [-1.0, 1.0]])
    chances = task_of("multiclass").predicted(reader.outputs(inputs), spec)
    for place in range(3):
        told = Reader(spec, reader.tensors, place)
        odds = chances[:, place] / (1 - chances[:, place])
        assert told.log_odds(inputs) == pytest.approx(np.log(odds))
        assert not told.linear
        found = explain(told, inputs[0], inputs[1])
        assert math.fsum(found.parts) == pytest.approx(found.log_odds - found.reference, abs=0.01)


def test_a_model_of_lower_squared_error_takes_the_global_ones_place() -> None:
    losses = {Kind.GLOBAL: np.tile([0.5, 0.7], 10), Kind.OWN: np.tile([0.1, 0.2], 10)}
    found = choose(losses, 20, enough=True, lost="squared error")
    assert found.kept is Kind.OWN
    assert "its squared error is lower by more than one standard error" in found.why
    assert choose(losses, 20, enough=False, lost="squared error").kept is Kind.GLOBAL


def test_without_any_event_the_global_model_stays() -> None:
    """A Cox term is of who had the event: without any no model can be told from another."""
    losses = {Kind.GLOBAL: np.zeros(0), Kind.OWN: np.zeros(0)}
    found = choose(losses, 30, enough=False, lost="Cox loss")
    assert found.kept is Kind.GLOBAL
    assert [item.loss for item in found.judged] == [0.0, 0.0]
