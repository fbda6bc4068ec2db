"""Claims on chest X-rays: the decentralised network beside the centralised and local ones."""

from __future__ import annotations

from statistics import mean

from bench.claims import Item, Rows, judged
from bench.figures.pneumonia import SEEDS, Job, run
from federated.metrics import Estimate, Scores
from records.pneumonia import HOSPITALS

COUNT = len(HOSPITALS)
SETTINGS = {"pneumonia_iid": COUNT, "pneumonia_dir": 0}
ROUNDS = {"pneumonia_iid": 20, "pneumonia_dir": None}
"""Hospitals alike learn longer: 20 of 8, 10 … 20 rounds had the least mean log loss on validation
images, seeds 11 and 12, for which no figure is reported. Uneven ones have the study's own."""

MODELS = ("federated", "centralised", "local")


def claims(quick: bool) -> list[Item]:
    """AUC lost to pooling with hospitals alike, and AUC with uneven ones; three seeds."""
    seeds = SEEDS[:1] if quick else SEEDS
    jobs = {
        (name, seed, model): [
            Job(seed, hospitals, ROUNDS[name], model, own=own, quick=quick)
            for own in range(COUNT if model == "local" and not quick else 1)
        ]
        for name, hospitals in SETTINGS.items()
        for seed in seeds
        for model in MODELS
    }
    found = iter(run([job for own in jobs.values() for job in own]))
    results = {key: [next(found) for _ in own] for key, own in jobs.items()}

    def area(name: str, model: str) -> float:
        return mean(_figure(results[name, seed, model], "auc") for seed in seeds)

    even, uneven = ((area(name, "federated"), area(name, "centralised")) for name in SETTINGS)
    lost, judge = even[1] - even[0], not quick
    return [
        _rows(results),
        judged("pneumonia_iid", *even, "AUC", lost, "<=", 0.01, judge=judge),
        judged("pneumonia_dir", *uneven, "AUC", uneven[0], ">=", 0.93, judge=judge),
    ]


def _rows(results: dict[tuple[str, int, str], list[Scores]]) -> Rows:
    columns = ("setting", "seed", "model", "AUC", "accuracy", "sensitivity", "specificity")
    lines = [
        (
            name,
            str(seed),
            "mean of own models" if model == "local" else model,
            *(f"{_figure(found, figure):.3f}" for figure in _SHOWN),
        )
        for (name, seed, model), found in results.items()
    ]
    return Rows("PneumoniaMNIST, 5 hospitals, official test images", columns, tuple(lines))


_SHOWN = ("auc", "accuracy", "sensitivity", "specificity")


def _figure(found: list[Scores], name: str) -> float:
    values: list[Estimate | None] = [getattr(scores, name) for scores in found]
    return mean(value.value for value in values if value is not None)
