"""Invented patients with a label of every task: files as hospitals would import them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator, Philox

from federated.spec import Feature, Label

FEATURES = tuple(Feature(name, "1", -4.0, 4.0) for name in ("first", "second", "third"))
LABELS = {
    "multiclass": Label("kind", classes=("mild", "grave", "none")),
    "regression": Label("dose", unit="mg", minimum=0.0, maximum=40.0),
    "survival": Label("seen", "dead", "alive", time="days", unit="d", maximum=4000.0),
}
Row = dict[str, object]


def _kind(inputs: np.ndarray, order: Generator) -> Row:
    pulls = np.array([inputs[0] - inputs[1], inputs[1] - inputs[2], inputs[2] - inputs[0]])
    place = int(np.argmax(2 * pulls + order.gumbel(size=3)))
    return {"kind": ("mild", "grave", "none")[place]}


def _dose(inputs: np.ndarray, order: Generator) -> Row:
    dose = 20 + 4 * inputs[0] - 3 * inputs[1] + order.normal(0, 1.5)
    return {"dose": f"{min(max(dose, 0), 40):.2f}"}


def _seen(inputs: np.ndarray, order: Generator) -> Row:
    death = order.exponential(900 / math.exp(inputs[0] - 0.5 * inputs[2]))
    end = order.uniform(200, 2500)
    return {"seen": "dead" if death <= end else "alive", "days": f"{min(death, end):.0f}"}


DRAWN: dict[str, Callable[[np.ndarray, Generator], Row]] = {
    "multiclass": _kind,
    "regression": _dose,
    "survival": _seen,
}


def write_files(
    folder: Path, task: str, hospitals: Sequence[str], patients: int
) -> dict[str, Path]:
    """A file a hospital, whose patients differ a little from the others'; a fixed seed."""
    folder.mkdir(parents=True)
    files = {}
    for place, name in enumerate(hospitals):
        order, rows = Generator(Philox(key=100 + place)), []
        for number in range(patients):
            inputs = np.round(np.clip(order.normal(0.3 * place, 1, 3), -4, 4), 3)
            values = dict(zip((f.name for f in FEATURES), inputs.tolist(), strict=True))
            rows.append({"patient": f"{name}-{number:03}", **values, **DRAWN[task](inputs, order)})
        files[name] = folder / f"{name}.csv"
        with files[name].open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return files
