"""Where hospitals train does not show: here, in processes, on Ray. And who may use that Ray."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.errors import (
    FederatedError,
    PolicyRefused,
    SpecError,
    TensorValueError,
    Unjudged,
)
from federated.local_work import Records, pieces
from federated.ray_workers import RayWorkers
from federated.simulate import simulate
from federated.spec import Choice, Data, Feature, StudySpec
from federated.state import initial_state, state_digest
from federated.studies import wisconsin_spec
from federated.workers import Here, Processes, in_order

HOSPITALS = 150  # several of them in a piece, the last one smaller


@pytest.fixture
def study() -> StudySpec:
    spec = wisconsin_spec()
    features = tuple(Feature(f"x{n}", "1", -2.0, 2.0) for n in range(4))
    return replace(spec, data=Data("made/1", features, spec.data.label), rounds=2)


@pytest.fixture
def cohort() -> dict[str, Records]:
    source = np.random.default_rng(1)
    found = {}
    for number in range(HOSPITALS):
        inputs = source.normal(size=(8 + number % 5, 4)).astype(np.float32)
        found[f"h{number}"] = (inputs, (inputs[:, 0] > 0).astype(np.int64))
    return found


def _started() -> RayWorkers:
    """Ray gives its own processes half a minute to start, however busy the machine is."""
    for _ in range(4):
        try:
            return RayWorkers(2).__enter__()
        except Exception as exc:
            if "timed out during startup" not in str(exc):
                raise
    pytest.fail("Ray did not start in four tries")


@pytest.fixture(scope="module")
def ray() -> Iterator[RayWorkers]:
    workers = _started()
    yield workers
    workers.__exit__()


def _fails(piece: int) -> int:
    if piece == 3:
        raise ValueError("the fourth")
    return piece


def test_processes_give_the_states_that_one_process_gives(
    study: StudySpec, cohort: dict[str, Records]
) -> None:
    here = simulate(study, [cohort] * 2)
    with Processes(2) as workers:
        there = simulate(study, [cohort] * 2, workers=workers)
    assert [state_digest(study, s) for s in there] == [state_digest(study, s) for s in here]
    assert state_digest(study, here[2]) != state_digest(study, here[1])


@pytest.mark.parametrize("strategy", ["fedavg", "fedbn"])
@pytest.mark.processes
def test_ray_gives_the_states_that_one_process_gives(
    study: StudySpec, cohort: dict[str, Records], ray: RayWorkers, strategy: str
) -> None:
    model = Choice("mlp", {"hidden": [3], "normalise": "batch"})
    if strategy == "fedbn":  # what hospitals keep comes back from Ray, and goes there again
        study = replace(study, strategy=Choice(strategy), model=model)
    here = simulate(study, [cohort] * 2)
    there = simulate(study, [cohort] * 2, workers=ray)
    assert [state_digest(study, s) for s in there] == [state_digest(study, s) for s in here]


def test_a_failure_in_a_process_is_raised_where_the_study_runs() -> None:
    with Processes(2) as workers, pytest.raises(ValueError, match="the fourth"):
        list(workers.map(_fails, range(9)))


@pytest.mark.parametrize(
    "error",
    [
        SpecError("rounds", "1 to 256 are expected"),
        TensorValueError("out.bias", "NaN"),
        PolicyRefused("modes", "why", ("rounds", "too many")),
        Unjudged((1, 2), "ask"),
    ],
)
def test_an_error_comes_out_of_a_process_as_it_was(error: FederatedError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.processes
def test_a_failure_on_ray_is_raised_where_the_study_runs(ray: RayWorkers) -> None:
    with pytest.raises(ValueError, match="the fourth"):
        list(ray.map(_fails, range(9)))


STRANGER = """
import logging, sys, ray
ray.init(address=sys.argv[1], logging_level=logging.CRITICAL)
print("works:", ray.get(ray.remote(lambda: 7).remote()))
"""


@pytest.mark.timeout(1300)
@pytest.mark.processes
@pytest.mark.parametrize("token", [{"RAY_AUTH_TOKEN": "0" * 64}, None])
def test_nobody_uses_our_ray_without_its_token(
    ray: RayWorkers, token: dict[str, str] | None
) -> None:
    """The second one has the token: so the first fails for want of it."""
    env = dict(os.environ) | (token or {})
    command = [sys.executable, "-c", STRANGER, ray.address]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1200)
    assert ("works: 7" in done.stdout) == (token is None)
    assert (done.returncode == 0) == (token is None)


def test_few_pieces_are_under_way_at_once() -> None:
    begun: list[int] = []
    results = in_order(lambda piece: begun.append(piece) or piece, lambda x: x, range(100), 4)
    for number, result in enumerate(results, start=1):
        assert result == number - 1
        assert len(begun) - number <= 3


def test_large_models_go_one_by_one_and_many_small_ones_together(
    study: StudySpec, cohort: dict[str, Records]
) -> None:
    def sizes(spec: StudySpec, count: int) -> list[int]:
        start, one = initial_state(spec), next(iter(cohort.values()))
        many = {str(number): one for number in range(count)}
        return [len(piece.hospitals) for piece in pieces(spec, start, 1, many, {}, {})]

    large = replace(study, model=Choice("mlp", {"hidden": [1024, 1024]}))
    assert sizes(study, 5) == [1] * 5  # together they would keep one core alone busy
    assert sizes(study, 200) == [3] * 66 + [2]
    assert sizes(study, 2000) == [16] * 125
    assert sizes(large, 200) == [1] * 200


class Noting(Here):
    """Notes in which order hospitals were handed out."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def map(self, work: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        for piece in pieces:
            self.names += [name for name, _ in piece.hospitals]
            yield work(piece)


@pytest.mark.parametrize(("strategy", "by_size"), [("fedavg", True), ("median", False)])
def test_who_trains_longest_begins_unless_the_rule_knows_an_order(
    study: StudySpec, cohort: dict[str, Records], strategy: str, by_size: bool
) -> None:
    sizes = {"short": 4, "long": 9, "middle": 6}
    x, y = (np.concatenate(arrays) for arrays in zip(*cohort.values(), strict=True))
    given = {name: (x[:count], y[:count]) for name, count in sizes.items()}
    noting = Noting()
    simulate(replace(study, strategy=Choice(strategy)), [given], workers=noting)
    assert noting.names == (["long", "middle", "short"] if by_size else list(sizes))


def test_workers_that_are_not_started_say_so() -> None:
    for workers in (Processes(2), RayWorkers(2)):
        with pytest.raises(RuntimeError, match="use `with`"):
            workers.map(_fails, [1])
    with Here() as workers:
        assert list(workers.map(_fails, [1, 2])) == [1, 2]
