"""`consilium hospital freeze` to `evaluate`: the steps of one round, each by itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from api.cli.hospital_node import live_node
from api.cli.options import LastRound, StudyNumber
from api.cli.show import say
from api.cli.values import figure_text, round_of, study_of
from api.errors import ApiError
from chain.types import StudyId
from federated import hospital as steps
from federated.spec import StudySpec
from federated.task_results import TaskResults
from federated.tasks import task_of
from records.splits import Part


class Evaluated(StrEnum):
    """Which of the cohort's patients a model is evaluated on."""

    VALIDATION = "validation"
    TEST = "test"


def freeze(study: StudyNumber, round_number: LastRound = None) -> None:
    """Commit to the cohort of a round, before training.

    Example: consilium --home homes/north hospital freeze 1
    """
    node = live_node()
    number = round_of(node.party, StudyId(study), round_number)
    done = steps.freeze(node, StudyId(study), number)
    say(f"round {number}: {done.n} patients at block {done.snapshot}, root {done.root.hex()}")


def train(study: StudyNumber, round_number: LastRound = None) -> None:
    """Train on the frozen cohort and seal the update; nothing is submitted yet.

    Example: consilium --home homes/north hospital train 1
    """
    node = live_node()
    number = round_of(node.party, StudyId(study), round_number)
    done = steps.train(node, StudyId(study), number)
    say(f"round {number}: {done.size} bytes sealed, manifest {done.sealed.manifest_digest.hex()}")


def submit(study: StudyNumber, round_number: LastRound = None) -> None:
    """Record the sealed update of a round on-chain.

    Example: consilium --home homes/north hospital submit 1
    """
    node = live_node()
    number = round_of(node.party, StudyId(study), round_number)
    seconds = steps.submit(node, StudyId(study), number)
    say(f"round {number}: submitted in {seconds:.2f} s")


def report(study: StudyNumber, round_number: LastRound = None) -> None:
    """Judge the models that the center proposes on the own validation patients, and sign counts.

    For studies that pay by contribution, after all have submitted and before the round is
    finalized.

    Example: consilium --home homes/north hospital report 1
    """
    node = live_node()
    number = round_of(node.party, StudyId(study), round_number)
    done = steps.report(node, StudyId(study), number)
    if done is None:
        raise ApiError(
            f"study {study}: round {number}: the center has proposed no models with this "
            "hospital's update yet: wait for `consilium center propose`"
        )
    if done.evaluations:
        say(f"round {number}: {len(done.evaluations)} models judged, the counts are signed")
    else:
        say(f"round {number}: too few validation patients of a class: no counts leave")


def evaluate(
    study: StudyNumber,
    round_number: LastRound = None,
    part: Annotated[Evaluated, typer.Option(help="On which patients.")] = Evaluated.VALIDATION,
) -> None:
    """Publish signed counts, or the task's figures, of a finalized round's model on own patients.

    Example: consilium --home homes/north hospital evaluate 1 --part test
    """
    node = live_node()
    number = round_of(node.party, StudyId(study), round_number)
    if not task_of(study_of(node.party, study).spec.task).counted:
        told = steps.publish_figures(node, StudyId(study), number, Part(part.value))
        _say_figures(told, study_of(node.party, study).spec)
        return
    done = steps.publish_results(node, StudyId(study), number, Part(part.value))
    if done.suppressed:
        say(f"round {number}: too few {part.value} patients of a class: no counts leave")
    else:
        say(f"round {number}: tp {done.tp}, fp {done.fp}, tn {done.tn}, fn {done.fn}")


def _say_figures(done: TaskResults, spec: StudySpec) -> None:
    where = f"round {done.round_number}"
    if done.suppressed:
        say(f"{where}: too few {done.split} patients of a group: no figures leave")
        return
    told = ", ".join(
        f"{name} {figure_text(found, task_of(spec.task).step(name, spec))}"
        for name, found in done.estimates(spec).items()
        if found is not None
    )
    say(f"{where}: {told} on {done.people} {done.split} patients")
