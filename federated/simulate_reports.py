"""The reports of a study without chain or store: what hospitals' own candidates would show.

It sees all records, as `simulate` does. Whoever wants to know what a hospital would be paid had it
behaved otherwise runs it twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from federated.aggregate import WeightedSum
from federated.candidates import Candidate
from federated.contribution import Measure, Plan, Walk, everyone
from federated.errors import SpecError
from federated.evaluation.disclosure import enough
from federated.grid import Grid
from federated.left_out import Update, left_out_states, loss_of
from federated.models import update_schema
from federated.reports import Evaluation, Report
from federated.schema import Array, Parameters
from federated.simulate import Site
from federated.spec import StudySpec
from federated.state import GlobalState, initial_state, next_state, state_digest
from federated.training import kept_of, local_round

_NONE = bytes(32)


def simulate_reports(
    spec: StudySpec, sites: Mapping[str, Site], *, idle: Collection[str] = ()
) -> list[Report]:
    """Every hospital's report of every round; a hospital's index is its place in `sites`.

    Hospitals in `idle` return the global model as they got it. Reports are bound to no chain.
    Raises `SpecError` for a study that searches for settings: `simulate` runs those.
    """
    if spec.search is not None:
        raise SpecError("search", "reports are simulated of studies without one; leave it out")
    names, reports, measure = list(sites), list[Report](), Measure.of(spec)
    state, own = initial_state(spec), dict[str, Parameters | None]()
    for number in range(1, spec.rounds + 1):
        total, updates = _updates(spec, sites, state, number, idle, own)
        after = next_state(spec, state, total.mean(), number)
        everybody = everyone(range(len(names)))
        plan = measure.plan(everybody, number, state_digest(spec, after))
        models = left_out_states(spec, state, number, total, updates, plan.models())
        rows = _judge(spec, list(sites.values()), plan, models)
        for index, (site, row) in enumerate(zip(sites.values(), rows, strict=True)):
            people = len(site.validation[1]) if row else 0
            reports.append(Report(_NONE, 1, number, index, _NONE, people, tuple(row)))
        state = after
    return reports


def weights_of(spec: StudySpec, sites: Mapping[str, Site]) -> dict[int, int]:
    """What the `count` rule counts over the study's rounds, by hospital index."""
    return {
        index: spec.rounds * min(len(site.train[1]), spec.grid.max_weight)
        for index, site in enumerate(sites.values())
    }


def _updates(
    spec: StudySpec,
    sites: Mapping[str, Site],
    state: GlobalState,
    number: int,
    idle: Collection[str],
    own: dict[str, Parameters | None],
) -> tuple[WeightedSum, list[Update]]:
    schema, grid = update_schema(spec), Grid.of(spec.grid)
    total, updates = WeightedSum(schema, grid), []
    for index, (name, site) in enumerate(sites.items()):
        steps: Array = np.zeros(schema.size, dtype=np.int64)
        if name not in idle:
            steps = local_round(
                state, site.train, spec, hospital=name, round_number=number, own=own.get(name)
            )
            own[name] = kept_of(spec, steps)
        updates.append(Update(index, [steps], min(len(site.train[1]), spec.grid.max_weight)))
        total.add([steps], updates[-1].weight)
    return total, updates


def _judge(
    spec: StudySpec, sites: list[Site], plan: Plan, models: Iterable[tuple[int, GlobalState]]
) -> list[list[Evaluation]]:
    """By hospital what it judges of the models, each of which is in memory once."""
    judges = {
        index: Walk(plan, index, len(site.validation[1]))
        for index, site in enumerate(sites)
        if enough(site.validation[1])
    }
    rows: list[list[Evaluation]] = [[] for _ in sites]
    for without, state in models:
        digest = Candidate.of(spec, without, state).state
        for index, walk in judges.items():
            if not without >> index & 1 and walk.needs(without):
                loss = loss_of(spec, state.parameters, *sites[index].validation)
                walk.tell(without, loss)
                rows[index].append(Evaluation(digest, without, loss))
    return rows
