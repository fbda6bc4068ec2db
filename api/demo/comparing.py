"""The federated model beside those without federation, on the patients of the last cohorts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from api.demo.world import Say, World
from chain.types import RoundNumber, StudyId
from federated.evaluation.result import Evaluation
from federated.evaluation.sites import evaluate
from federated.hospital import publish_results
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.hospital.kept import own_model
from federated.metrics import Scores
from federated.published import open_state
from federated.results import Results
from federated.simulate import Row, Site, all_models, compare
from federated.study import Study, read_study
from records.splits import Part

Compared = tuple[list[Row], Evaluation, bytes]
"""The rows of the table, what the report shows, and the final model's digest."""


@contextmanager
def comparison(
    world: World, number: StudyId, last: RoundNumber, say: Say
) -> Iterator[Callable[[], Compared]]:
    """Hospitals judge the final model; the other models are trained while the study is settled."""
    results = {}
    for name, node in world.hospitals.items():
        say(name, "evaluates the final model on its own test patients and signs the counts")
        results[name] = publish_results(node, number, last, Part.TEST)
    say("simulation", "starts to train the centralised and the local models on the same records")
    block = world.center.head()
    study = read_study(world.center.chain, world.center.store, number, block)
    sites = _sites(world, study, last)
    states = {n: open_state(world.center, study, RoundNumber(n), block) for n in range(last + 1)}
    learned = {n: state.parameters for n, state in states.items()}
    kept = {n: own_model(x.party, study, states[last], block) for n, x in world.hospitals.items()}
    own = {name: found.parameters for name, found in kept.items() if found.consents}
    round_ = world.center.chain.rounds.round(number, last, block_identifier=block)
    with all_models(study.spec, sites, learned[last]) as fitted:

        def compared() -> Compared:
            models = fitted()
            rows = compare(study.spec, sites, models, own)
            shown = evaluate(study.spec, sites, models, learned, own)
            return [_reported(row, results) for row in rows], shown, round_.state

        yield compared


def _sites(world: World, study: Study, last: RoundNumber) -> Mapping[str, Site]:
    sites = {}
    for name, node in world.hospitals.items():
        members = frozen_members(node, study, last)
        parts = [
            arrays([m for m in members if m.part is part], study.spec)
            for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)
        ]
        sites[name] = Site(*parts)
    return sites


def _reported(row: Row, results: Mapping[str, Results]) -> Row:
    """The federated model's row for a hospital, from what it signed; its AUC is told coarsely."""
    found = results.get(row.test)
    if row.model != "federated" or found is None or found.counts is None:
        return row
    return Row(row.model, row.test, Scores.of(found.counts, row.scores.auc))
