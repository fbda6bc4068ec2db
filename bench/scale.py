"""What a simulation costs as hospitals and parameters grow: the time of each stays the same."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from bench.claims import Claim
from federated.local_work import Records
from federated.simulate import simulate
from federated.spec import Choice, Data, Feature, StudySpec
from federated.studies import wisconsin_spec
from federated.workers import Processes

RECORDS = 20
ROUNDS = 2
INPUTS = 10


def run(quick: bool) -> list[Claim]:
    """Seconds a hospital with many over those with few, and seconds a parameter likewise."""
    many, few = (32, 8) if quick else (1000, 125)
    wide, narrow = (64, 16) if quick else (2048, 1024)
    hospitals = [_seconds(_spec(16), count) / count for count in (many, few)]
    sizes = [_parameters(width) for width in (wide, narrow)]
    parameters = [
        _seconds(_spec(width), 8) / n for width, n in zip((wide, narrow), sizes, strict=True)
    ]
    return [
        _claim("simulate_hospitals", *hospitals, "s a hospital", judge=not quick),
        _claim("simulate_parameters", *parameters, "s a parameter", judge=not quick),
    ]


def _claim(name: str, ours: float, peer: float, unit: str, *, judge: bool) -> Claim:
    value = ours / peer
    return Claim(name, ours, peer, unit, value, "<=", 1.2, value <= 1.2 if judge else None)


def _spec(width: int) -> StudySpec:
    """A network of one hidden layer, whose cost is in its parameters once it is wide."""
    features = tuple(Feature(f"x{n}", "1", -2.0, 2.0) for n in range(INPUTS))
    spec = wisconsin_spec()
    data = Data("bench/1", features, spec.data.label)
    model = Choice("mlp", {"hidden": [width, width]})
    return replace(spec, data=data, model=model, rounds=ROUNDS)


def _parameters(width: int) -> int:
    return INPUTS * width + width + width * width + width + width + 1


def _seconds(spec: StudySpec, count: int) -> float:
    """Of the rounds, once the processes are there."""
    cohort = {f"h{n}": _records(n) for n in range(count)}
    with Processes() as workers:
        simulate(spec, [cohort], workers=workers)
        started = time.perf_counter()
        simulate(spec, [cohort] * ROUNDS, workers=workers)
        return time.perf_counter() - started


def _records(seed: int) -> Records:
    source = np.random.default_rng(seed)
    inputs = source.normal(size=(RECORDS, INPUTS)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0).astype(np.int64)
