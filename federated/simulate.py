"""The same study in one process, without chain or store: what the actors compute, and baselines.

It sees every hospital's records, as nobody in a real study does: rows that need this (a pooled
test, a centralised model) come from here alone, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from federated.aggregate import WeightedSum
from federated.baselines import Opponent, fitting
from federated.canonical import tagged_hash
from federated.combining import total_of
from federated.drawing import draw
from federated.local_work import pieces, train_piece
from federated.metrics import Scores, scores
from federated.networks import probabilities
from federated.schema import Parameters
from federated.simulate_search import Course
from federated.spec import StudySpec
from federated.state import GlobalState, initial_state, next_state
from federated.strategies import strategy_of
from federated.training import Lie, Records, kept_of
from federated.workers import Here, Workers


@dataclass(frozen=True, slots=True)
class Site:
    """A hospital's consented records by part, in the order of their local keys."""

    train: Records
    validation: Records
    test: Records


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison: a model on a hospital's test records, or on all of them."""

    model: str
    test: str
    scores: Scores


def simulate(
    spec: StudySpec,
    cohorts: Sequence[Mapping[str, Records]],
    *,
    lies: Mapping[str, Lie] | None = None,
    workers: Workers | None = None,
    start: Parameters | None = None,
    kept: dict[str, Parameters] | None = None,
    validation: Sequence[Mapping[str, Records]] = (),
) -> list[GlobalState]:
    """The states of a study whose rounds train on these records, by hospital name.

    The first state is the study's own. The states equal those that the actors finalize when
    nobody is excluded and hospitals' indices are in the order of `cohorts`. A hospital named in
    `lies` submits what its lie makes of its honest update, clipped so that no rule excludes it.
    Where the spec has hospitals drawn, a round of more is for those that the same rule draws, with
    a hash of the seed in the place of a block's.

    With `start`, the first state has these parameters and not the study's own: what another
    experiment began with. `kept` takes what each hospital keeps between rounds, by name. Where
    the spec has a search, `validation` are the records that judge its candidates, as `cohorts` has
    those that train; raises `SpecError` without them.

    Hospitals train one after the other here, or in `workers` that are started: the same states. In
    memory are one accumulator, or a robust rule's segment, and the updates under way.
    """
    begin = initial_state(spec)
    states = [begin if start is None else replace(begin, parameters=start)]
    kept = {} if kept is None else kept
    course = Course(spec, validation)
    for number, everybody in enumerate(cohorts, start=1):
        cohort = _drawn(spec, number, everybody)
        now, state = course.begin(number, states, kept)
        total = total_of(now)
        if isinstance(total, WeightedSum):  # a sum has no order, and what takes longest begins
            cohort = dict(sorted(cohort.items(), key=lambda item: -len(item[1][1])))
        work = pieces(now, state, number, cohort, kept, lies or {})
        done = chain.from_iterable((workers or Here()).map(train_piece, work))
        for (name, (_, labels)), trained in zip(cohort.items(), done, strict=True):
            total.add([trained.steps], min(len(labels), spec.grid.max_weight))
            if (own := kept_of(now, trained.steps, trained.left)) is not None:
                kept[name] = own
        states.append(next_state(now, state, total.mean(), number))
        course.end(number, states[-1], kept)
    return states


def _drawn(spec: StudySpec, number: int, cohort: Mapping[str, Records]) -> Mapping[str, Records]:
    if spec.sampling is None:
        return cohort
    bits = draw(
        (1 << len(cohort)) - 1,
        spec.sampling.hospitals,
        chain_id=0,
        rounds="00" * 20,
        study=0,
        number=number,
        seed=spec.seed,
        block_hash=tagged_hash("consilium/simulated-block/1", spec.seed, number),
    )
    return {name: item for place, (name, item) in enumerate(cohort.items()) if bits >> place & 1}


@contextmanager
def all_models(
    spec: StudySpec, sites: Mapping[str, Site], federated: Parameters
) -> Iterator[Callable[[], dict[str, Parameters]]]:
    """The federated model and its opponents: "centralised", and "local:…" of each hospital alone.

    The opponents are tuned on validation records; all use the same consented records. They are
    fitted in the background where that is long, and waited for when the models are asked for.
    """
    train = pool([site.train for site in sites.values()])
    validation = pool([site.validation for site in sites.values()])
    opponents = {"centralised": Opponent(train, validation, "pooled")}
    for name, site in sites.items():
        opponents[f"local:{name}"] = Opponent(site.train, site.validation, name)
    with fitting(list(opponents.values()), spec) as fitted:
        yield lambda: {"federated": federated, **dict(zip(opponents, fitted(), strict=True))}


def with_own_layers(
    spec: StudySpec, state: GlobalState, kept: Mapping[str, Parameters]
) -> dict[str, Parameters]:
    """The global model as each of these hospitals uses it, with what it kept in its place."""
    strategy = strategy_of(spec.strategy.name)
    return {name: dict(strategy.begins(state.parameters, own)) for name, own in kept.items()}


def used_at(
    where: str, models: Mapping[str, Parameters], own: Mapping[str, Parameters] | None
) -> Mapping[str, Parameters]:
    """The models with which test records are judged: at a hospital the federated one is its own."""
    return {**models, "federated": own[where]} if own and where in own else models


def compare(
    spec: StudySpec,
    sites: Mapping[str, Site],
    models: Mapping[str, Parameters],
    own: Mapping[str, Parameters] | None = None,
) -> list[Row]:
    """Each model on the pool of all test records, and on each hospital's.

    `own` is the federated model as hospitals use it (`with_own_layers`): at their own records it
    stands for it; on the pool the global one normalises neutrally.
    """
    tests = {"pooled": pool([site.test for site in sites.values()])}
    tests |= {name: site.test for name, site in sites.items()}
    used = {where: used_at(where, models, own) for where in tests}
    return [
        Row(model, where, scores(labels, probabilities(used[where][model], inputs, spec)))
        for model in models
        for where, (inputs, labels) in tests.items()
    ]


def pool(parts: Sequence[Records]) -> Records:
    """The records of several hospitals as one's, as nobody in a real study has them."""
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
