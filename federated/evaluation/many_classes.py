"""How good chances of three or more classes are."""

from __future__ import annotations

import numpy as np

from federated.evaluation.bootstrap import Statistic, percentile_interval
from federated.metrics import Estimate, placements, wilson
from federated.schema import Array


def many_class_figures(
    labels: Array, chances: Array, *, seed: int, name: str
) -> dict[str, Estimate | None]:
    """Accuracy (Wilson's interval); balanced accuracy, AUC and Brier score (bootstrapped people).

    The class with the highest chance is the one called, the first of equal ones. Balanced accuracy
    is the mean share called right over classes. The AUC is the mean over classes of one against the
    rest, each class alike. None where a class that the study has is not among the labels: a mean
    over others would be another figure. People are drawn inside each class.
    # (n,) of classes, (n, K)
    """
    right = (chances.argmax(axis=1) == labels).astype(np.float64)

    def around(statistic: Statistic) -> Estimate | None:
        value = statistic(np.arange(len(labels)))
        if value is None:
            return None
        return percentile_interval(value, statistic, labels, seed=seed, name=name)

    def balanced(rows: Array) -> float | None:
        return balanced_accuracy(labels[rows], right[rows], chances.shape[1])

    def area(rows: Array) -> float | None:
        return one_against_rest(labels[rows], chances[rows])

    def brier(rows: Array) -> float | None:
        return brier_of_classes(labels[rows], chances[rows]) if len(rows) else None

    drawn = {"balanced_accuracy": balanced, "auc": area, "brier": brier}
    found = {key: around(statistic) for key, statistic in drawn.items()}
    return {"accuracy": wilson(int(right.sum()), len(right)), **found}


def balanced_accuracy(labels: Array, right: Array, classes: int) -> float | None:
    """Mean over classes of the share called right; None where a class has nobody.  # (n,), (n,)"""
    people = np.bincount(labels, minlength=classes)
    if not people.all():
        return None
    return float((np.bincount(labels, weights=right, minlength=classes) / people).mean())


def one_against_rest(labels: Array, chances: Array) -> float | None:
    """Mean over classes of the AUC of its chance, ties as half.  # (n,), (n, K)"""
    areas = []
    for place in range(chances.shape[1]):
        found = placements((labels == place).astype(np.int64), chances[:, place])
        if found is None:
            return None
        areas.append(float(found[0].mean()))
    return float(np.mean(areas))


def brier_of_classes(labels: Array, chances: Array) -> float:
    """Mean over people of the squared errors summed over classes (Brier 1950): 0 to 2."""
    truth = np.eye(chances.shape[1])[labels]  # (n, K)
    return float(np.square(chances - truth).sum(axis=1).mean())
