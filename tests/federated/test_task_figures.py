"""The figures of classes, amounts and survival by hand, signed, and withheld for few people."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federated.bedside.calibrate import Few
from federated.bedside.residuals import within_of
from federated.bedside.risk import Third, third_of
from federated.bedside.temperature import fit_temperature
from federated.errors import RecordError
from federated.evaluation.amounts import amount_figures
from federated.evaluation.disclosure import enough, pool_tells
from federated.evaluation.figures import compare_figures
from federated.evaluation.many_classes import (
    balanced_accuracy,
    brier_of_classes,
    many_class_figures,
    one_against_rest,
)
from federated.metrics import auc
from federated.models import initial_parameters
from federated.simulate import Site
from federated.spec import Label
from federated.task_results import (
    TaskResults,
    in_steps,
    read_task_results,
    write_task_results,
)
from federated.tasks import task_of
from storage.cid import dag_cbor_cid
from storage.embedded import EmbeddedStore
from storage.signing import Sender, SigningKey
from tests.federated.test_tasks import study

LABELS = np.array([0, 0, 1, 1, 2, 2])
CHANCES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.2, 0.5, 0.3],
        [0.1, 0.8, 0.1],
        [0.3, 0.4, 0.3],
        [0.1, 0.3, 0.6],
        [0.5, 0.1, 0.4],
    ]
)


def test_figures_of_three_classes_by_hand() -> None:
    found = many_class_figures(LABELS, CHANCES, seed=1, name="paper")
    assert found["accuracy"] is not None
    assert found["accuracy"].value == 4 / 6
    assert found["balanced_accuracy"] is not None
    assert found["balanced_accuracy"].value == pytest.approx((1 / 2 + 2 / 2 + 1 / 2) / 3)
    # class 0: .7 .2 against .1 .3 .1 .5; class 1: .8 .4 against .2 .5 .3 .1; class 2: .6 .4 …
    wanted = ((4 + 2) / 8 + (4 + 3) / 8 + (4 + 4) / 8) / 3
    assert found["auc"] is not None
    assert found["auc"].value == pytest.approx(wanted)
    errors = [0.14, 0.98, 0.06, 0.54, 0.26, 0.62]
    assert found["brier"] is not None
    assert found["brier"].value == pytest.approx(np.mean(errors))
    assert all(x is not None and x.low <= x.value <= x.high for x in found.values())


def test_a_class_that_nobody_has_leaves_no_figure_over_all_classes() -> None:
    some = LABELS != 2
    assert one_against_rest(LABELS[some], CHANCES[some]) is None
    assert balanced_accuracy(LABELS[some], np.ones(4), 3) is None
    found = many_class_figures(LABELS[some], CHANCES[some], seed=1, name="paper")
    assert (found["auc"], found["balanced_accuracy"]) == (None, None)
    assert found["accuracy"] is not None


def test_two_classes_of_three_columns_have_the_auc_of_two_labels() -> None:
    chances = np.array([0.9, 0.4, 0.35, 0.8, 0.1])
    labels = np.array([1, 0, 1, 1, 0])
    area = auc(labels, chances)
    assert area is not None
    two = np.stack([1 - chances, chances], axis=1)
    assert one_against_rest(labels, two) == pytest.approx(area.value)
    assert brier_of_classes(labels, two) == pytest.approx(2 * np.mean((chances - labels) ** 2))


def test_figures_of_amounts_by_hand() -> None:
    labels = np.tile([1.0, 2.0, 3.0, 6.0], 5)
    amounts = np.tile([1.0, 3.0, 3.0, 4.0], 5)
    found = amount_figures(labels, amounts, seed=1, name="paper")
    values = {name: x.value for name, x in found.items() if x is not None}
    assert values == pytest.approx({"mae": 3 / 4, "rmse": math.sqrt(5 / 4), "r2": 1 - 5 / 14})
    alike = amount_figures(np.ones(20), amounts, seed=1, name="paper")
    assert alike["r2"] is None
    assert alike["mae"] is not None


def test_the_c_index_of_the_task_is_harrells() -> None:
    spec = study("survival")
    labels = np.tile([[1.0, 1], [2, 1], [3, 0], [4, 1], [5, 0], [6, 1]], (5, 1))
    risks = np.tile([6.0, 5.0, 4.0, 2.7, 2.5, 2.8], 5)
    found = task_of("survival").scores(labels, risks, spec, name="paper")["c_index"]
    assert found is not None
    assert found.value == pytest.approx(10 / 11)  # each of them like one of eleven pairs
    assert found.low <= found.value <= found.high


# ------------------------------------------------------------------ few people


def test_each_class_needs_five_people_and_one_that_nobody_has_is_too_few() -> None:
    groups = np.repeat([0, 1, 2], 5)
    assert enough(groups, groups=3)
    assert not enough(groups[:-1], groups=3)
    assert not enough(groups, groups=4)
    assert enough(np.zeros(5), groups=1)
    assert not enough(np.zeros(4), groups=1)


def test_one_hidden_hospital_hides_the_pool_of_every_task() -> None:
    spec = study("multiclass")
    many, few = np.repeat([0, 1, 2], 6), np.repeat([0, 1, 2], 4)
    assert pool_tells({"north": many, "harbor": few}, 3)
    assert not pool_tells({"north": many, "harbor": many}, 3)
    order = np.random.Generator(np.random.Philox(key=2))

    def site(labels: np.ndarray) -> Site:
        records = order.normal(size=(len(labels), 2)).astype(np.float32), labels.astype(np.float32)
        return Site(records, records, records)

    models = {"federated": initial_parameters(spec)}
    rows = compare_figures(spec, {"north": site(many), "harbor": site(few)}, models)
    assert {row.test: row.withheld for row in rows} == {
        "pooled": True,
        "north": False,
        "harbor": True,
    }
    assert all(found is None for row in rows if row.withheld for found in row.figures.values())
    shown = compare_figures(spec, {"north": site(many), "harbor": site(many)}, models)
    assert not any(row.withheld for row in shown)


def test_thirds_of_risk_tell_of_no_few_people() -> None:
    risks = np.arange(30.0)
    labels = np.stack([np.ones(30), risks >= 18], axis=1)
    high = third_of(25.0, risks, labels)
    assert high is not None
    assert high.third is Third.HIGHEST
    assert (high.band.few, high.band.patients, high.band.positive) == (Few.NEGATIVE, 10, None)
    middle = third_of(12.0, risks, labels)
    assert middle is not None
    assert middle.third is Third.MIDDLE
    assert (middle.band.few, middle.band.positive) == (Few.POSITIVE, None)
    assert third_of(1.0, risks[:14], labels[:14]) is None
    mixed = np.stack([np.ones(30), np.arange(30) % 2], axis=1)
    found = third_of(1.0, risks, mixed)
    assert found is not None
    assert (found.third, found.band.positive) == (Third.LOWEST, 5)


# ------------------------------------------------------------------ calibration and intervals


def test_a_temperature_undoes_outputs_that_are_too_sure() -> None:
    order = np.random.Generator(np.random.Philox(key=9))
    outputs = order.normal(0, 1.5, (3000, 4))
    chances = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) > order.random(3000)[:, None]).argmax(axis=1)
    sound, sure = fit_temperature(outputs, labels), fit_temperature(3 * outputs, labels)
    assert sound is not None
    assert sure is not None
    assert sound.slope == pytest.approx(1, abs=0.08)
    assert sure.slope == pytest.approx(sound.slope / 3, rel=1e-6)
    assert sure.chances(3 * outputs[0]) == pytest.approx(sound.chances(outputs[0]))
    assert sound.chances(outputs[0]).sum() == pytest.approx(1)


def test_separated_classes_keep_a_finite_temperature() -> None:
    labels = np.repeat([0, 1, 2], 10)
    found = fit_temperature(np.eye(3)[labels] * 4, labels)
    assert found is not None
    assert math.isfinite(found.slope)
    assert found.chances(np.array([4.0, 0.0, 0.0])).max() < 0.97  # of 30 patients nobody is sure


def test_too_few_patients_and_a_model_that_orders_wrong_have_no_temperature() -> None:
    labels = np.repeat([0, 1, 2], 10)
    outputs = np.eye(3)[labels]
    assert fit_temperature(outputs[:19], labels[:19]) is None
    alone = np.where(labels == 2, 0, labels)
    assert fit_temperature(outputs, np.where(np.arange(30) < 4, 1, 0)) is None
    assert fit_temperature(outputs, alone) is not None
    assert fit_temperature(-outputs, labels) is None


def test_an_interval_is_the_error_that_nine_in_ten_patients_stay_within() -> None:
    """Of 29 errors the ⌈30 · 0.9⌉ = 27th."""
    labels = np.zeros(29)
    found = within_of(labels, np.arange(29.0) * np.where(np.arange(29) % 2, 1, -1))
    assert found is not None
    assert (found.distance, found.patients) == (26.0, 29)
    assert within_of(labels[:19], labels[:19]) is None


# ------------------------------------------------------------------ signed


def results(**changes: Any) -> TaskResults:
    figures = (("mae", 15, 10, 20), ("r2", -1, -50, 40))
    word = bytes(32)
    base = TaskResults(word, 1, 2, 0, word, "test", "regression", False, 9, figures)
    return replace(base, **changes)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore.create(tmp_path / "store")


@pytest.fixture
def sender() -> Sender:
    return Sender(bytes(20), SigningKey.generate())


def test_signed_figures_come_back_and_missing_ones_are_none(
    store: EmbeddedStore, sender: Sender
) -> None:
    digest = write_task_results(store, results(), sender)
    found, signer = read_task_results(store, dag_cbor_cid(digest))
    assert found == results()
    assert signer == sender.signer
    spec = study("regression")  # a range of 8 mmol/L
    estimates = found.estimates(spec)
    assert estimates["rmse"] is None
    assert estimates["mae"] is not None
    assert (estimates["mae"].value, estimates["mae"].high) == pytest.approx((1.2, 1.6))
    assert in_steps(estimates, spec) == found.figures


def test_figures_leave_in_hundredths_whatever_the_unit() -> None:
    """Labels that differ by far less than a step are told alike; in millionths they were not."""
    spec, task = study("regression"), task_of("regression")
    coarse = Label("outcome", unit="umol/L", minimum=2000.0, maximum=10000.0)
    other = replace(spec, data=replace(spec.data, label=coarse))
    order = np.random.Generator(np.random.Philox(key=4))
    labels, outputs = 6 + order.normal(size=30), order.normal(size=30)
    nudged = labels + 0.00001 * np.sign(task.predicted(outputs, spec) - labels)
    told = [
        in_steps(task.scores(found, outputs, s, name="paper"), s)
        for found, s in ((labels, spec), (nudged, spec), (labels * 1000, other))
    ]
    assert told[0] == told[1] == told[2]


HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("neither validation nor test", {"split": "train"}),
    ("no task that has figures", {"task": "binary"}),
    ("no task that has figures", {"task": "clustering"}),
    ("the task does not have", {"figures": (("auc", 1, 0, 2),)}),
    ("one twice", {"figures": (("mae", 1, 0, 2), ("mae", 1, 0, 2))}),
    ("a name, a value and its interval", {"figures": (("mae", 3, 0, 2),)}),
    ("a name, a value and its interval", {"figures": (("mae", 1, 0, 1 << 60),)}),
    ("a name, a value and its interval", {"figures": (("mae", 1, 0),)}),
    ("a name, a value and its interval", {"figures": (("mae", True, 0, 2),)}),
    ("negative", {"hospital": -1}),
    ("suppressed and yet", {"suppressed": True}),
    ("suppressed and yet", {"suppressed": True, "people": 0}),
    ("fewer than 5 people", {"people": 4}),
]


@pytest.mark.parametrize(("why", "change"), HOSTILE)
def test_figures_that_no_honest_hospital_signs_are_refused(
    why: str, change: dict[str, Any], store: EmbeddedStore, sender: Sender
) -> None:
    with pytest.raises(RecordError, match=why):
        read_task_results(store, dag_cbor_cid(write_task_results(store, results(**change), sender)))
