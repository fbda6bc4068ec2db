"""Each task's loss and gradient against numbers by hand, and what a spec of it must say."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federated.canonical import decode
from federated.errors import SpecError, TrainingError
from federated.models import initial_parameters
from federated.networks import probabilities
from federated.rules import check_spec
from federated.schema import Array
from federated.spec import Choice, Data, Feature, Label, StudySpec, Training
from federated.spec_files import read_bytes, read_json
from federated.studies import wisconsin_spec
from federated.tasks import TASKS, task_of
from federated.tasks.losses import cox, loss_of
from federated.tasks.reading import loss_on, outputs_of
from federated.training import fit, shuffles

FEATURES = (Feature("age", "a", 0.0, 120.0), Feature("dose", "mg", -4.0, 4.0))
LABELS = {
    "binary": Label("outcome", "yes", "no"),
    "multiclass": Label("outcome", classes=("mild", "grave", "none")),
    "regression": Label("outcome", unit="mmol/L", minimum=2.0, maximum=10.0),
    "survival": Label("seen", "dead", "alive", time="days", unit="d", maximum=4000.0),
}
BY_NAME = sorted(LABELS)


def study(task: str, **changes: Any) -> StudySpec:
    base = replace(wisconsin_spec(), task=task, data=Data("paper/1", FEATURES, LABELS[task]))
    return replace(base, **changes)


def gradient(loss: Callable[..., torch.Tensor], outputs: Array, labels: Array) -> list[Any]:
    leaf = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    found: list[Any] = torch.autograd.grad(loss(leaf, torch.tensor(labels)), leaf)[0].tolist()
    return found


# ------------------------------------------------------------------ survival


def test_cox_is_the_share_of_the_risk_by_hand() -> None:
    """Times 1, 2, 3 with events at 1 and 3: risk sets {1, 2, 3} and {3}."""
    risks = torch.tensor([math.log(2), math.log(3), math.log(5)], dtype=torch.float64)
    labels = torch.tensor([[1.0, 1], [2, 0], [3, 1]], dtype=torch.float64)
    wanted = (-math.log(2 / 10) - math.log(5 / 5)) / 3
    assert cox(risks, labels).item() == pytest.approx(wanted, rel=1e-12)


def test_the_gradient_of_cox_is_share_less_event_by_hand() -> None:
    risks, labels = [math.log(2), math.log(3), math.log(5)], [[1.0, 1], [2, 0], [3, 1]]
    wanted = [(2 / 10 - 1) / 3, (3 / 10) / 3, (5 / 10 + 5 / 5 - 1) / 3]
    assert gradient(cox, np.array(risks), np.array(labels)) == pytest.approx(wanted, rel=1e-12)


def test_tied_events_are_at_risk_for_each_other_as_breslow_has_it() -> None:
    """Two events and a censored patient at one time, one later: all four are at risk for both."""
    risks = np.log([1.0, 2.0, 3.0, 4.0])
    labels = np.array([[5.0, 1], [5, 1], [5, 0], [9, 0]])
    wanted = -math.log(1 / 10) - math.log(2 / 10)
    assert cox(torch.tensor(risks), torch.tensor(labels)).item() == pytest.approx(wanted / 4)
    found = task_of("survival").losses(labels, risks, study("survival"))
    assert found.tolist() == pytest.approx([-math.log(1 / 10), -math.log(2 / 10)])


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.floats(-5, 5)), min_size=1, max_size=12)
)
def test_cox_equals_its_definition_whatever_the_order(rows: list[tuple[int, bool, float]]) -> None:
    labels = np.array([[time, event] for time, event, _ in rows], dtype=np.float64)
    risks = np.array([risk for *_, risk in rows])
    wanted = [
        math.log(sum(math.exp(r) for (t, _), r in zip(labels, risks, strict=True) if t >= time))
        - risk
        for (time, event), risk in zip(labels, risks, strict=True)
        if event
    ]
    found = task_of("survival").losses(labels, risks, study("survival"))
    assert found.tolist() == pytest.approx(wanted, abs=1e-9)
    batch = cox(torch.tensor(risks), torch.tensor(labels)).item()
    assert batch == pytest.approx(sum(wanted) / len(rows), abs=1e-9)
    turned = cox(torch.tensor(risks[::-1].copy()), torch.tensor(labels[::-1].copy())).item()
    assert turned == pytest.approx(batch, abs=1e-9)


def test_who_has_no_event_adds_nothing_and_neither_does_who_is_alone() -> None:
    censored = np.array([[1.0, 0], [2, 0]])
    assert gradient(cox, np.array([3.0, -1.0]), censored) == [0.0, 0.0]
    assert gradient(cox, np.array([3.0]), np.array([[1.0, 1]])) == [0.0]
    spec = study("survival", training=Training(2, 2, 0.5))
    start = initial_parameters(spec)
    inputs = np.array([[1.0, 2.0], [0.5, -1.0]], dtype=np.float32)
    learned = fit(start, inputs, censored, spec, spec.training, shuffles(1, "north", 1))
    assert all((learned[name] == start[name]).all() for name in start)


def test_risks_of_any_size_lose_a_finite_amount() -> None:
    labels = np.array([[1.0, 1], [2, 1], [3, 0]])
    risks = np.array([-900.0, 900.0, 0.0])
    assert cox(torch.tensor(risks), torch.tensor(labels)).item() == pytest.approx(1800 / 3)
    assert task_of("survival").losses(labels, risks, study("survival")).tolist() == [1800.0, 0.0]


# ------------------------------------------------------------------ classes and amounts


def test_cross_entropy_and_its_gradient_by_hand() -> None:
    outputs = np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 2.0]])
    labels = np.array([2.0, 0.0])
    loss = loss_of(study("multiclass"))
    wanted = (-math.log(5 / 8) - math.log(4 / 10)) / 2
    assert loss(torch.tensor(outputs), torch.tensor(labels)).item() == pytest.approx(wanted)
    found = gradient(loss, outputs, labels)
    assert found[0] == pytest.approx([1 / 16, 2 / 16, (5 / 8 - 1) / 2])
    assert found[1] == pytest.approx([(0.4 - 1) / 2, 0.2, 0.1])
    task = task_of("multiclass")
    assert task.predicted(outputs, study("multiclass"))[0] == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    losses = task.losses(labels, outputs, study("multiclass"))
    assert losses.tolist() == pytest.approx([-math.log(5 / 8), -math.log(0.4)])


def test_the_squared_error_is_on_the_public_scale_by_hand() -> None:
    """The range 2 to 10 has its middle at 6, and a quarter is 2."""
    outputs, labels = np.array([0.5, -1.0]), np.array([6.0, 2.0])
    spec, task = study("regression"), task_of("regression")
    loss = loss_of(spec)
    assert loss(torch.tensor(outputs), torch.tensor(labels)).item() == (0.25 + 1.0) / 2
    assert gradient(loss, outputs, labels) == [0.5, 1.0]
    assert task.predicted(outputs, spec).tolist() == [7.0, 4.0]
    assert task.losses(labels, outputs, spec).tolist() == [0.25, 1.0]


def test_a_unit_that_is_scaled_with_its_range_trains_the_same_model() -> None:
    order = np.random.Generator(np.random.Philox(key=3))
    inputs = order.normal(size=(40, 2)).astype(np.float32)
    amounts = 6 + inputs[:, 0]
    other = Label("outcome", unit="umol/L", minimum=2000.0, maximum=10000.0)
    spec = study("regression")
    coarse = replace(spec, data=replace(spec.data, label=other))
    start = initial_parameters(spec)
    both = [
        fit(start, inputs, labels, s, s.training, shuffles(1, "north", 1))["out.weight"]
        for s, labels in ((spec, amounts), (coarse, amounts * 1000))
    ]
    assert both[0] == pytest.approx(both[1], abs=1e-5)


def test_a_model_that_ran_away_loses_a_number() -> None:
    spec = study("regression")
    for bad in (math.inf, math.nan):
        worst = task_of("regression").loss(np.array([6.0]), np.array([bad]), spec)
        assert worst == 1 << 40


# ------------------------------------------------------------------ all tasks


def _records(task: str, count: int = 48) -> tuple[Array, Array]:
    order = np.random.Generator(np.random.Philox(key=11))
    inputs = order.normal(size=(count, 2)).astype(np.float32)
    pull = inputs[:, 0] - inputs[:, 1]
    labels = {
        "binary": (pull > 0).astype(np.float32),
        "multiclass": np.digitize(pull, [-0.7, 0.7]).astype(np.float32),
        "regression": (6 + pull).astype(np.float32),
        "survival": np.stack([np.round(900 * np.exp(-pull)), order.random(count) < 0.7], 1),
    }
    return inputs, labels[task].astype(np.float32)


@pytest.mark.parametrize("model", [Choice("logistic"), Choice("mlp", {"hidden": [5]})])
@pytest.mark.parametrize("task", BY_NAME)
def test_training_lowers_the_loss_and_is_the_same_each_time(task: str, model: Choice) -> None:
    spec = study(task, model=model, training=Training(8, 8, 0.1, momentum=0.5))
    check_spec(spec)
    records, start = _records(task), initial_parameters(spec)
    several = TASKS[task].outputs(spec)
    assert start["out.bias"].shape == (several,)
    assert outputs_of(start, records[0][:0], spec).shape == ((0, 3) if several == 3 else (0,))
    one, two = (
        fit(start, *records, spec, spec.training, shuffles(1, "north", 1)) for _ in range(2)
    )
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)
    assert loss_on(one, records, spec) < 0.8 * loss_on(start, records, spec)


def test_a_step_too_long_is_an_error_and_no_model() -> None:
    spec, records = study("regression", training=Training(60, 8, 1e9)), _records("regression")
    with pytest.raises(TrainingError, match=r"lower training\.learning_rate"):
        fit(initial_parameters(spec), *records, spec, spec.training, shuffles(1, "north", 1))


def test_two_labels_predict_and_lose_as_their_probabilities_do() -> None:
    spec, (inputs, labels) = study("binary"), _records("binary")
    start = initial_parameters(spec)
    chances = probabilities(start, inputs, spec)
    task = task_of("binary")
    outputs = outputs_of(start, inputs, spec)
    assert task.predicted(outputs, spec) == pytest.approx(chances, abs=1e-15)
    nats = -np.log(np.where(labels == 1, chances, 1 - chances))
    assert task.losses(labels, outputs, spec) == pytest.approx(nats)


# ------------------------------------------------------------------ what a spec must say


@pytest.mark.parametrize("task", BY_NAME)
def test_a_spec_of_each_task_survives_bytes_and_names_no_key_of_another(task: str) -> None:
    spec = study(task)
    check_spec(spec)
    assert read_bytes(spec.to_bytes()) == spec
    assert read_json(spec.to_json()) == spec
    wanted = {"name", *TASKS[task].keys}
    assert set(decode(spec.to_bytes())["data"]["label"]) == wanted
    assert set(json.loads(spec.to_json())["data"]["label"]) == wanted


@pytest.mark.parametrize("task", BY_NAME)
def test_each_key_of_the_label_is_needed_and_no_other_is_taken(task: str) -> None:
    spec, others = study(task), {k: v for k, v in LABELS.items() if k != task}
    for key in TASKS[task].keys:
        label = replace(spec.data.label, **{key: None})
        with pytest.raises(SpecError) as caught:
            check_spec(replace(spec, data=replace(spec.data, label=label)))
        assert caught.value.key == f"data.label.{key}"
        assert "needs it" in str(caught.value)
    for other, label in others.items():
        for key in set(TASKS[other].keys) - set(TASKS[task].keys):
            mixed = replace(spec.data.label, **{key: getattr(label, key)})
            with pytest.raises(SpecError, match="leave it out") as caught:
                check_spec(replace(spec, data=replace(spec.data, label=mixed)))
            assert caught.value.key == f"data.label.{key}"


BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("multiclass", "data.label.classes", {"classes": ("mild", "grave")}),
    ("multiclass", "data.label.classes", {"classes": ("mild", "grave", "mild")}),
    ("multiclass", "data.label.classes", {"classes": ("mild", "grave", "")}),
    ("multiclass", "data.label.classes", {"classes": tuple(map(str, range(257)))}),
    ("regression", "data.label.minimum", {"minimum": 10.0}),
    ("survival", "data.label.maximum", {"maximum": 0.0}),
    ("survival", "data.label.time", {"time": "age"}),
    ("survival", "data.label.time", {"time": "seen"}),
    ("survival", "data.label", {"positive": "alive"}),
]


@pytest.mark.parametrize(("task", "key", "change"), BROKEN)
def test_a_label_that_cannot_be_names_its_key(task: str, key: str, change: dict[str, Any]) -> None:
    spec = study(task)
    label = replace(spec.data.label, **change)
    with pytest.raises(SpecError) as caught:
        check_spec(replace(spec, data=replace(spec.data, label=label)))
    assert caught.value.key == key


@pytest.mark.parametrize("task", ["multiclass", "regression", "survival"])
def test_a_rule_that_pays_by_reports_of_two_labels_is_refused(task: str) -> None:
    spec = study(task)
    with pytest.raises(SpecError, match="leave-one-out reads reports of two labels") as caught:
        check_spec(replace(spec, reward=replace(spec.reward, rule="leave-one-out")))
    assert caught.value.key == "reward.rule"


def test_a_batch_of_one_patient_is_refused_where_patients_are_compared() -> None:
    with pytest.raises(SpecError, match="compared with nobody") as caught:
        check_spec(study("survival", training=Training(1, 1, 0.1)))
    assert caught.value.key == "training.batch_size"


def test_an_unknown_task_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="known: binary, multiclass, regression, survival"):
        task_of("clustering")


def test_the_documentation_has_a_row_for_each_task_with_all_that_it_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}
    for name, task in TASKS.items():
        told = rows[name]
        assert all(f"`{key}`" in told for key in task.keys)
        assert task.source in told
        assert (task.rewards is None) == ("| all " in told)
        if not task.counted:
            assert all(f"`{figure}`" in told for figure in task.figures)
