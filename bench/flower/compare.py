"""Our simulation beside Flower's: the same study, records, batches, rounds and training function.

What counts as overhead is the wall time less what local training alone takes on all cores; both
sides have an uncounted first round, in which processes start and load torch.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from bench.claims import Claim
from bench.flower.environment import ROOT, flower_python
from bench.flower.shared import Ran, read_result, write_study
from bench.memory import run_watched
from bench.selection import learning_sites
from federated.local_work import Records
from federated.metrics import confusion, wilson
from federated.networks import probabilities
from federated.schema import Parameters
from federated.spec import StudySpec
from federated.studies import heart_spec, pneumonia_spec

RUNS = 3
SEED = 1
FEW = 64  # records a hospital of a quick run


@dataclass(frozen=True, slots=True)
class Side:
    """One run: its times, its peak in MiB, its model."""

    ran: Ran
    mib: float
    model: Parameters

    @property
    def overhead_s(self) -> float:
        """Wall time less that of the training on all cores."""
        return self.ran.wall_s - self.ran.train_s / (os.cpu_count() or 1)


def run(quick: bool) -> list[Claim]:
    """Overhead on both studies, wall time and memory on images. Quick: once, one round, few."""
    heart = _pairs(replace(heart_spec(seed=SEED), rounds=1 if quick else 15), quick)
    images = _pairs(replace(pneumonia_spec(seed=SEED), rounds=1 if quick else 10), quick)
    judge = not quick
    return [
        _claim("flower_overhead_heart", heart, "overhead_s", "s", 0.5, judge),
        _claim("flower_overhead_pneumonia", images, "overhead_s", "s", 0.5, judge),
        _claim("flower_wall_pneumonia", images, "wall_s", "s", 1.0, judge),
        _claim("flower_memory_pneumonia", images, "mib", "MiB", 0.7, judge),
    ]


Pair = tuple[Side, Side]


def _claim(name: str, pairs: list[Pair], what: str, unit: str, limit: float, judge: bool) -> Claim:
    """The median of the pairs' ratios; it holds only where both models are as good."""
    figures = [tuple(_figure(side, what) for side in pair) for pair in pairs]
    value = median(ours / theirs for ours, theirs in figures)
    ours, theirs = (median(figure[side] for figure in figures) for side in (0, 1))
    return Claim(name, ours, theirs, unit, value, "<=", limit, value <= limit if judge else None)


def _figure(side: Side, what: str) -> float:
    return side.ran.wall_s if what == "wall_s" else float(getattr(side, what))


def _pairs(spec: StudySpec, quick: bool) -> list[Pair]:
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        folder = Path(name)
        sites = learning_sites(spec, folder / "data")
        most = FEW if quick else None
        cohort = {name: (s.train[0][:most], s.train[1][:most]) for name, s in sites.items()}
        write_study(folder / "study", spec, cohort)
        held = [site.validation for site in sites.values()]
        pairs = []
        for number in range(1 if quick else RUNS):
            ours = _side(folder, f"ours{number}", Path(sys.executable), "bench.flower.ours")
            theirs = _side(folder, f"theirs{number}", flower_python(), "bench.flower.theirs")
            _check_equal(spec, held, ours.model, theirs.model)
            pairs.append((ours, theirs))
        return pairs


def _side(folder: Path, name: str, python: Path, module: str) -> Side:
    result = folder / name
    result.mkdir()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    env |= {"FLWR_TELEMETRY_ENABLED": "0"}
    # Flower's Ray listens on every interface and runs what it is sent.
    env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    mib = run_watched([python, "-m", module, folder / "study", result], env)
    ran, model = read_result(result)
    return Side(ran, mib, model)


def _check_equal(
    spec: StudySpec, held: list[Records], ours: Parameters, theirs: Parameters
) -> None:
    """Raise where one model's accuracy lies outside of the other's 95 % interval."""
    labels = np.concatenate([labels for _, labels in held])
    found = []
    for model in (ours, theirs):
        told = np.concatenate([probabilities(model, inputs, spec) for inputs, _ in held])
        counts = confusion(labels, told)
        found.append(wilson(counts.tp + counts.tn, counts.total))
    first, second = found
    assert first is not None
    assert second is not None
    if not (second.low <= first.value <= second.high and first.low <= second.value <= first.high):
        raise SystemExit(f"the models differ: accuracy {first.value:.3f} and {second.value:.3f}")
