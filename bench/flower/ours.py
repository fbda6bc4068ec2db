"""`python -m bench.flower.ours STUDY RESULT`: the same study by `federated.simulate`.

As Flower's side: a first round that no clock sees, one core a hospital, FedAvg weighted by records.
Ours quantises every update to the study's grid and sums exactly, as in a study over the chain.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.flower.shared import Ran, names_in, read_records, read_spec, write_result
from federated import training
from federated.simulate import simulate
from federated.workers import Processes


class Timed(Processes):
    """Processes that add up how long their hospitals are inside local training."""

    def __init__(self) -> None:
        super().__init__()
        self.train_s = 0.0

    def map(self, work: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        """See Workers."""
        for result, seconds in super().map(_Clocked(work), pieces):
            self.train_s += seconds
            yield result


class _Clocked:
    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, piece: Any) -> tuple[Any, float]:
        seconds, inner = 0.0, training.fit

        def clocked(*arguments: Any, **named: Any) -> Any:
            nonlocal seconds
            began = time.perf_counter()
            trained = inner(*arguments, **named)
            seconds += time.perf_counter() - began
            return trained

        training.fit = clocked
        try:
            return self._work(piece), seconds
        finally:
            training.fit = inner


def main(study: Path, result: Path) -> None:
    """Run the study and write what it came to."""
    spec = read_spec(study)
    cohort = {name: read_records(study, n) for n, name in enumerate(names_in(study))}
    with Timed() as workers:
        simulate(spec, [cohort], workers=workers)
        workers.train_s = 0.0
        began = time.perf_counter()
        states = simulate(spec, [cohort] * spec.rounds, workers=workers)
        ran = Ran(time.perf_counter() - began, workers.train_s)
    write_result(result, ran, states[-1].parameters)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
