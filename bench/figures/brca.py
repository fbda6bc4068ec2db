"""FLamby's Fed-TCGA-BRCA: a linear Cox model in six regions, judged by the concordance index.

The figure is Harrell's C on each region's test records, averaged over the six and over five seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench.figures.best import Candidate, with_training
from bench.figures.data import read_table
from bench.figures.flamby import Center, Recipe, linear, linear_study
from federated.evaluation.concordance import concordance
from federated.schema import Array, Parameters
from federated.spec import Label, StudySpec
from federated.training import Records

ROUNDS, BATCH = 5, 8
LABEL = Label("event", "dead", "alive", time="days", unit="d", maximum=20_000.0)
REGIONS = tuple(f"region{number}" for number in range(6))

FEDADAM = Recipe(
    "brca_fedadam",
    "fedadam",
    0.01,
    {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.999, "tau": 1e-8},
    0.815,
)


def centers() -> dict[str, Center]:
    """The benchmark's 1,088 patients and its split."""
    rows = {row["pid"]: row for row in read_table("tcga_brca/brca.csv")}
    folds = [(row["pid"], row["fold2"]) for row in read_table("tcga_brca/train_test_split.csv")]
    found = {}
    for number, name in enumerate(REGIONS):
        parts = (
            [rows[who] for who, fold in folds if fold == f"{part}_{number}"]
            for part in ("train", "test")
        )
        found[name] = Center(*(_arrays(part) for part in parts))
    return found


def study(recipe: Recipe) -> StudySpec:
    """The benchmark's study by a recipe."""
    names = tuple(f"x{number}" for number in range(39))
    return linear_study(names, recipe, label=LABEL, task="survival", rounds=ROUNDS, batch=BATCH)


def candidates() -> list[Candidate]:
    """The benchmark's own recipe, and averaging with larger risk sets and a penalty."""
    spec = replace(study(Recipe("brca_best", "fedavg", 0.1, {})), rounds=15)
    wide = [
        with_training(spec, learning_rate=rate, weight_decay=decay, batch_size=64, updates=10)
        for rate in (0.1, 0.3)
        for decay in (0.01, 0.03, 0.1, 0.3)
    ]
    return [Candidate(one) for one in (study(FEDADAM), *wide)]


def scaled(found: Mapping[str, Center]) -> dict[str, Center]:
    """Inputs as our studies scale them: by a plausible range, which is public; age 20 to 100."""
    low, high = np.zeros(39), np.ones(39)
    low[0], high[0] = 20, 100

    def scale(records: Records) -> Records:
        inputs, labels = records
        return ((inputs - low) / (high - low) * 4 - 2).astype(np.float32), labels

    return {name: Center(scale(x.train), scale(x.test)) for name, x in found.items()}


def merit(parameters: Parameters, records: Records) -> tuple[float, float]:
    """Pairs in the right order, of how many that can be ordered."""
    times, events = records[1][:, 0], records[1][:, 1]
    pairs = _usable(times, events)
    return c_index(parameters, records) * pairs, pairs


def _usable(times: Array, events: Array) -> int:
    seen = np.flatnonzero(events == 1)
    later = (times > times[seen, None]) | ((times == times[seen, None]) & (events != 1))
    return int(later.sum())


def c_index(parameters: Parameters, records: Records) -> float:
    """Harrell's C; one half where no two patients can be compared."""
    inputs, labels = records
    risks = linear(parameters, inputs)
    found = concordance(labels[:, 0], labels[:, 1], risks)
    return 0.5 if found is None else found


def _arrays(rows: list[dict[str, str]]) -> Records:
    """Inputs as the benchmark has them, age in years; times and events.  # (n, 39), (n, 2)"""
    names = [name for name in rows[0] if name not in ("pid", "E", "T")]
    inputs = [[float(row[name]) for name in names] for row in rows]
    labels = [[float(row["T"]), float(row["E"])] for row in rows]
    return np.array(inputs, dtype=np.float32), np.array(labels, dtype=np.float32)
