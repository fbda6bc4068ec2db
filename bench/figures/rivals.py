"""Claims on liars: what robust rules lose to two of ten, in AUC, with the plain mean beside."""

from __future__ import annotations

from bench.claims import Item, Rows, judged
from bench.figures.pneumonia import ATTACKS, LIARS, Job, run
from federated.codec import Config
from federated.metrics import Scores

HOSPITALS = 10
RULES: dict[str, tuple[str, Config]] = {
    "robust_trimmed": ("trimmed-mean", {"trimmed": LIARS / HOSPITALS}),
    "robust_multikrum": ("multi-krum", {"f": LIARS, "m": HOSPITALS - 2 * LIARS}),
    "robust_rfa": ("geometric-median", {"iterations": 8, "smoothing": 1e-6}),
    "plain mean": ("fedavg", {}),
}


def claims(quick: bool) -> list[Item]:
    """AUC under no attack less that under the worst; the hospitals hold like patients."""
    jobs = [
        Job(1, HOSPITALS, strategy=strategy, config=config, attack=attack, quick=quick)
        for strategy, config in RULES.values()
        for attack in ("", *ATTACKS)
    ]
    found = iter(run(jobs))
    areas = {name: [_area(next(found)) for _ in ("", *ATTACKS)] for name in RULES}
    lines = tuple((name, *(f"{area:.3f}" for area in own)) for name, own in areas.items())
    title = f"AUC, {HOSPITALS} hospitals alike, {LIARS} lie"
    items: list[Item] = [Rows(title, ("rule", "nobody lies", *ATTACKS), lines)]
    for name in (name for name in RULES if name.startswith("robust")):
        honest, *attacked = areas[name]
        lost = honest - min(attacked)
        items.append(judged(name, min(attacked), honest, "AUC", lost, "<=", 0.02, judge=not quick))
    return items


def _area(scores: Scores) -> float:
    return 0.5 if scores.auc is None else scores.auc.value
