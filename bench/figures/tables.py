"""FLamby's two tables: published means repeated, our best recipe, and tuned opponents beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.claims import Claim, Item, Rows, judged
from bench.figures import brca, heart
from bench.figures.best import Candidate, Merit, choose, fit_candidate, with_training
from bench.figures.flamby import SEEDS, Center, Metric, Outcome, Recipe, learn, measured
from bench.figures.tuned import PENALTIES, fit_tuned
from federated.evaluation.bootstrap import percentile_interval
from federated.schema import Array, Parameters
from federated.simulate import pool
from federated.spec import StudySpec

DISTANCE = 0.015
"""How far a mean may lie from the published one."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A data set of FLamby's, and how its models are judged and chosen."""

    title: str
    centers: Mapping[str, Center]
    study: Callable[[Recipe], StudySpec]
    metric: Metric
    merit: Merit

    def rounds(self, recipe: Recipe, quick: bool) -> StudySpec:
        """The recipe's study; one round in a quick run."""
        spec = self.study(recipe)
        return replace(spec, rounds=1) if quick else spec

    def outcome(self, recipe: Recipe, quick: bool) -> Outcome:
        """One global model for all centers, by seed."""
        spec = self.rounds(recipe, quick)

        def fit(seed: int) -> Mapping[str, Parameters]:
            return dict.fromkeys(self.centers, learn(spec, self.centers, seed))

        return measured(recipe.name, fit, self.centers, self.metric, _seeds(quick))

    def best(self, name: str, candidates: Sequence[Candidate], quick: bool) -> Outcome:
        """The chosen candidate's; a quick run takes the first, unchosen, for a few steps."""
        if quick:
            spec = with_training(replace(candidates[0].spec, rounds=1), updates=10)
            chosen = Candidate(spec)
        else:
            chosen, _ = choose(candidates, self.centers, self.merit)

        def fit(seed: int) -> Mapping[str, Parameters]:
            return fit_candidate(chosen, self.centers, seed)

        return measured(name, fit, self.centers, self.metric, _seeds(quick))

    def tuned(self, spec: StudySpec, quick: bool) -> list[tuple[Outcome, str]]:
        """Tuned pooled and tuned local models, each with its interval over people."""
        tries = PENALTIES[4:5] if quick else PENALTIES
        train = pool([center.train for center in self.centers.values()])
        models = {
            "tuned pooled": dict.fromkeys(self.centers, fit_tuned(train, spec, tries, SEEDS[0])),
            "tuned local": {
                name: fit_tuned(center.train, spec, tries, SEEDS[0])
                for name, center in self.centers.items()
            },
        }
        return [
            (
                measured(name, lambda _, own=own: own, self.centers, self.metric, SEEDS[:1]),
                "" if quick else self._interval(name, own),
            )
            for name, own in models.items()
        ]

    def _interval(self, name: str, models: Mapping[str, Parameters]) -> str:
        """95 %, people drawn inside each center and label."""
        tests = [center.test for center in self.centers.values()]
        place = np.repeat(np.arange(len(tests)), [len(labels) for _, labels in tests])
        labels = np.concatenate([own if own.ndim == 1 else own[:, 1] for _, own in tests])
        start = np.concatenate([[0], np.cumsum([len(own) for _, own in tests])])
        fitted = list(models.values())

        def average(rows: Array) -> float:
            found = []
            for number, (inputs, own) in enumerate(tests):
                drawn = rows[place[rows] == number] - start[number]
                found.append(self.metric(fitted[number], (inputs[drawn], own[drawn])))
            return float(np.mean(found))

        value = average(np.arange(len(place)))
        strata = place * 2 + labels
        found = percentile_interval(value, average, strata, seed=SEEDS[0], name=name)
        return "" if found is None else f"{found.low:.3f} to {found.high:.3f}"


def heart_claims(quick: bool) -> list[Item]:
    """Each strategy's distance from its published mean, and the best recipe's accuracy."""
    benchmark = Benchmark(
        "Fed-Heart-Disease: accuracy", heart.centers(), heart.study, heart.accuracy, heart.merit
    )
    repeated = [(recipe, benchmark.outcome(recipe, quick)) for recipe in heart.RECIPES]
    claims = [_distance(recipe, found, judge=not quick) for recipe, found in repeated]
    best = benchmark.best("heart_best", heart.candidates(), quick)
    tuned = benchmark.tuned(heart.study(heart.RECIPES[0]), quick)
    claims.append(_least(best, tuned[1][0].mean, 0.80, judge=not quick))
    return [_rows(benchmark, repeated, best, tuned), *claims]


def brca_claims(quick: bool) -> list[Item]:
    """FedAdam by the benchmark's recipe, and the best recipe's concordance."""
    as_given = Benchmark(
        "Fed-TCGA-BRCA: C-index", brca.centers(), brca.study, brca.c_index, brca.merit
    )
    scaled = replace(as_given, centers=brca.scaled(as_given.centers))
    repeated = [(brca.FEDADAM, as_given.outcome(brca.FEDADAM, quick))]
    best = scaled.best("brca_best", brca.candidates(), quick)
    tuned = scaled.tuned(brca.study(brca.FEDADAM), quick)
    claims = [
        _least(repeated[0][1], brca.FEDADAM.published or 0.0, 0.81, judge=not quick),
        _least(best, tuned[0][0].mean, 0.82, judge=not quick),
    ]
    return [_rows(scaled, repeated, best, tuned), *claims]


def _seeds(quick: bool) -> tuple[int, ...]:
    return SEEDS[:1] if quick else SEEDS


def _distance(recipe: Recipe, found: Outcome, *, judge: bool) -> Claim:
    published = recipe.published or 0.0
    value = abs(found.mean - published)
    return judged(recipe.name, found.mean, published, "", value, "<=", DISTANCE, judge=judge)


def _least(found: Outcome, peer: float, limit: float, *, judge: bool) -> Claim:
    return judged(found.name, found.mean, peer, "", found.mean, ">=", limit, judge=judge)


def _rows(
    benchmark: Benchmark,
    repeated: Sequence[tuple[Recipe, Outcome]],
    best: Outcome,
    tuned: Sequence[tuple[Outcome, str]],
) -> Rows:
    lines = [_line(found, f"{recipe.published}", "") for recipe, found in repeated]
    lines += [_line(best, "", ""), *(_line(found, "", interval) for found, interval in tuned)]
    columns = ("method", *benchmark.centers, "average", "SD of seeds", "95 %", "published")
    return Rows(benchmark.title, columns, tuple(lines))


def _line(found: Outcome, published: str, interval: str) -> tuple[str, ...]:
    by_center = (f"{value:.3f}" for value in found.by_seed.mean(axis=0))
    return (
        found.name,
        *by_center,
        f"{found.mean:.4f}",
        f"{found.deviation:.4f}",
        interval,
        published,
    )
