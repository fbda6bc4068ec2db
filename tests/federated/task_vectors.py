"""What each task makes of a spec, of a label in a record, and of outputs, for `tasks.json`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from federated.hospital.node import dictionary_of
from federated.spec import Data, Feature, Label, StudySpec, Training
from federated.tasks import TASKS
from federated.tasks.losses import loss_of
from records.outcomes import LabelValue
from records.record import LocalKey, Record

LABELS = {
    "binary": Label("outcome", "yes", "no"),
    "multiclass": Label("outcome", classes=("mild", "grave", "none")),
    "regression": Label("outcome", unit="mmol/L", minimum=2.0, maximum=10.0),
    "survival": Label("seen", "dead", "alive", time="days", unit="d", maximum=4000.0),
}
FOUND: dict[str, list[LabelValue]] = {
    "binary": [True, False, True],
    "multiclass": [1, 2, 0],
    "regression": [2.5, 10.0, 7.25],
    "survival": [(345.0, True), (4000.0, False), (345.0, True)],
}
OUTPUTS: dict[str, Any] = {
    "binary": [0.5, -1.0, 2.0],
    "multiclass": [[0.5, 0.25, -1.0], [0.0, 0.0, 2.0], [-0.5, 1.0, 0.0]],
    "regression": [0.5, 1.0, -0.25],
    "survival": [0.5, -1.0, 0.25],
}


def task_vectors(spec: StudySpec) -> dict[str, Any]:
    """One study of each task, three records of it, and what their outputs lose."""
    return {task: _vector(spec, task) for task in TASKS}


def _vector(base: StudySpec, task: str) -> dict[str, Any]:
    data = Data("paper/1", (Feature("age", "a", 0.0, 120.0),), LABELS[task])
    reward = replace(base.reward, rule="count")
    training = Training(epochs=1, batch_size=8, learning_rate=0.5)
    spec = replace(base, task=task, data=data, reward=reward, training=training)
    labels = TASKS[task].labels(FOUND[task])
    outputs = torch.tensor(OUTPUTS[task], dtype=torch.float64)
    batch = loss_of(spec)(outputs, torch.tensor(labels, dtype=torch.float64))
    return {
        "label": {key: value for key, value in asdict(LABELS[task]).items() if value is not None},
        "spec": {"bytes": spec.to_bytes(), "digest": spec.digest()},
        "records": [_record(spec, place, label) for place, label in enumerate(FOUND[task])],
        "labels": labels.tolist(),
        "outputs": OUTPUTS[task],
        "predicted": TASKS[task].predicted(np.array(OUTPUTS[task]), spec).tolist(),
        "loss": batch.item(),
    }


def _record(spec: StudySpec, place: int, label: LabelValue) -> dict[str, Any]:
    dictionary = dictionary_of(spec)
    record = Record(LocalKey(f"p-{place}"), (50.0 + place,), label)
    said = dictionary.outcome.say(label)
    written = list(said) if isinstance(said, tuple) else said
    return {"key": record.key, "label": written, "digest": record.digest(dictionary)}
