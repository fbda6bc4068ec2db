"""Tasks say what a study's model predicts, by name."""

from __future__ import annotations

from federated.errors import SpecError
from federated.tasks.base import Figures, LabelValue, Task
from federated.tasks.binary import Binary
from federated.tasks.multiclass import Multiclass
from federated.tasks.regression import Regression
from federated.tasks.survival import Survival

__all__ = ["TASKS", "Figures", "LabelValue", "Task", "task_of"]

TASKS: dict[str, Task] = {
    task.name: task for task in (Binary(), Multiclass(), Regression(), Survival())
}


def task_of(name: str) -> Task:
    """The registered task. Raises `SpecError` for an unknown name."""
    if name not in TASKS:
        known = ", ".join(TASKS)
        raise SpecError("task", f"unknown task {name[:40]!r}; known: {known}")
    return TASKS[name]
