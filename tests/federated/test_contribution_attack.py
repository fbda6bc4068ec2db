"""What reports give to somebody who knows a hospital's patients' features, and not their labels.

Each loss is a sum over patients of what a known model says to an unknown label, so reports are
equations for the labels. The attacker solves all of a study's at once, with the last model's own
guesses for what they leave open.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from federated.aggregate import WeightedSum
from federated.codec import Address
from federated.contribution import Measure, everyone
from federated.grid import Grid
from federated.left_out import Update, left_out_states, loss_of
from federated.metrics import LOSS_STEP, LOSS_UNIT, log_loss
from federated.models import update_schema
from federated.networks import probabilities
from federated.reports import Evaluation, Report
from federated.schema import Array
from federated.simulate import Site
from federated.spec import StudySpec
from federated.state import initial_state, next_state
from federated.studies import heart_spec
from federated.training import local_round
from records import heart
from records.sources import HEART
from tests.data_sets import need
from tests.federated.test_real_studies import sites_of

JUDGE = "cleveland"


def judged(spec: StudySpec, sites: dict[str, Site]) -> tuple[list[Array], list[tuple[int, int]]]:
    """Probabilities that each judged model gives the judge's patients; its loss, fine and told."""
    inputs, labels = sites[JUDGE].validation
    schema, index, state = update_schema(spec), list(sites).index(JUDGE), initial_state(spec)
    measure, chances, losses = Measure.of(spec), list[Array](), list[tuple[int, int]]()
    for number in range(1, spec.rounds + 1):
        total, updates = WeightedSum(schema, Grid.of(spec.grid)), []
        for place, (name, site) in enumerate(sites.items()):
            steps = local_round(state, site.train, spec, hospital=name, round_number=number)
            updates.append(Update(place, [steps], len(site.train[1])))
            total.add([steps], updates[-1].weight)
        asked = measure.plan(everyone(range(len(sites))), number, bytes(32)).judged_by(index)
        given = (spec, state, number, total, updates)
        for _, found in left_out_states(*given, asked):
            chances.append(probabilities(found.parameters, inputs, spec).astype(np.float64))
            fine = log_loss(labels, chances[-1])
            losses.append((fine, loss_of(spec, found.parameters, inputs, labels) * LOSS_STEP))
        state = next_state(spec, state, total.mean(), number)
    chances.append(probabilities(state.parameters, inputs, spec).astype(np.float64))
    return chances, losses


def reckoned(chances: list[Array], losses: list[int], step: int) -> Array:
    """The attacker's labels: least squares in units of each equation's rounding error."""
    models, guess = np.stack(chances[:-1]), np.clip(chances[-1], 0.02, 0.98)
    if_negative, if_positive = -np.log(1 - models), -np.log(models)
    error = max(step / LOSS_UNIT / np.sqrt(12), 1e-4)
    doubt = np.sqrt(guess * (1 - guess))
    left = np.vstack([(if_positive - if_negative) / error, np.diag(1 / doubt)])
    told = np.array(losses) / LOSS_UNIT - if_negative.sum(axis=1)
    solved = lsq_linear(left, np.concatenate([told / error, guess / doubt]), bounds=(0, 1))
    labels: Array = solved.x >= 0.5
    return labels


@pytest.mark.parametrize("rule", ["leave-one-out", "tmc-shapley"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_reports_in_half_nats_do_not_give_the_labels_that_finer_losses_give(
    tmp_path: Path, rule: str, seed: int
) -> None:
    need(*HEART.values())
    spec = heart_spec(auditors=[Address("0x" + "a1" * 20)], seed=seed)
    config = {"permutations": 4, "tolerance": 0} if rule == "tmc-shapley" else None
    spec = replace(spec, reward=replace(spec.reward, rule=rule, config=config))
    sites = sites_of(spec, heart.deal, tmp_path)
    chances, losses = judged(spec, sites)
    truth = sites[JUDGE].validation[1] == 1
    guessed = np.mean((chances[-1] >= 0.5) == truth)
    fine = np.mean(reckoned(chances, [loss for loss, _ in losses], 1) == truth)
    told = np.mean(reckoned(chances, [loss for _, loss in losses], LOSS_STEP) == truth)
    assert fine > 0.95
    assert told < 0.91
    assert told - guessed < 0.06


def test_a_report_tells_losses_and_how_many_people_alone() -> None:
    """Counts would be exact equations over those few whom two models call differently."""
    fields = {*Evaluation.__dataclass_fields__, *Report.__dataclass_fields__}
    assert fields == {
        *("state", "without", "loss"),
        *("context", "study", "round_number", "hospital", "root", "people", "evaluations"),
    }
    assert LOSS_STEP * 2 == LOSS_UNIT
