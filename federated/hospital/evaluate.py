"""How a global model does on the hospital's own consented patients."""

from __future__ import annotations

from typing import Any

from chain.types import RoundNumber, StudyId
from federated.errors import StepError
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_count, frozen_members
from federated.hospital.kept import own_model
from federated.hospital.node import HospitalNode
from federated.hospital.policy.standing import require_allowed
from federated.hospital.told import may_tell, tellable_members
from federated.metrics import FIGURE_STEP, auc, confusion
from federated.published import context_of_state, known_state
from federated.results import NUMBERS, Results, write_results
from federated.schema import Array
from federated.study import Study, read_study
from federated.task_results import TaskResults, in_steps, write_task_results
from federated.tasks import task_of
from records.splits import Part


def publish_results(
    node: HospitalNode, number: StudyId, round_number: RoundNumber, part: Part
) -> Results:
    """Sign and announce the counts of a finalized round's model on one part of its cohort.

    `part` is TEST or VALIDATION; only patients in the cohort frozen for that round are counted, and
    of them those whose counts may leave beside what left before (`told`). The counts are suppressed
    for fewer than five people of a class.
    Raises `PolicyRefused` where the hospital's policy forbids the study by now, `StepError` where
    the study's task has figures and no counts.
    """
    study = _study(node, number, round_number)
    if not task_of(study.spec.task).counted:
        raise StepError(
            f"study {number}: a {study.spec.task} study has no counts; publish its figures"
        )
    labels, outputs = _judged(node, study, round_number, part)
    numbers = _numbers(labels, task_of(study.spec.task).predicted(outputs, study.spec))
    place = _place(node, study, round_number, part)
    held = numbers or dict.fromkeys(NUMBERS, 0)
    results = Results(**place | held, suppressed=not numbers)
    write_results(node.party.store, results, node.party.sender)
    return results


def publish_figures(
    node: HospitalNode, number: StudyId, round_number: RoundNumber, part: Part
) -> TaskResults:
    """As `publish_results`, of a study whose task has figures and no counts.

    They are suppressed for fewer than five people of one of the task's groups.
    """
    study = _study(node, number, round_number)
    task = task_of(study.spec.task)
    if task.counted:
        raise StepError(f"study {number}: a {task.name} study has counts; publish its results")
    labels, outputs = _judged(node, study, round_number, part)
    name = f"{node.party.name} {part.value}"
    found = task.scores(labels, outputs, study.spec, name=name) if len(labels) else {}
    results = TaskResults(
        **_place(node, study, round_number, part),
        task=task.name,
        suppressed=not found,
        people=len(labels),
        figures=in_steps(found, study.spec),
    )
    write_task_results(node.party.store, results, node.party.sender)
    return results


def _study(node: HospitalNode, number: StudyId, round_number: RoundNumber) -> Study:
    study = read_study(node.party.chain, node.party.store, number, node.party.head())
    require_allowed(node, study, frozen_count(node, study, round_number))
    return study


def _judged(
    node: HospitalNode, study: Study, round_number: RoundNumber, part: Part
) -> tuple[Array, Array]:
    """Labels of who may be told of, and the model's outputs for them; both empty for too few."""
    from federated.tasks.reading import outputs_of  # torch takes seconds: only here it is needed

    task = task_of(study.spec.task)
    block = node.party.head()
    model = own_model(node.party, study, known_state(node.party, study, round_number, block), block)
    own = [m for m in frozen_members(node, study, round_number) if m.part is part]
    members = tellable_members(node, own)
    inputs, labels = arrays(members, study.spec)
    if not may_tell(node, members, task.group(labels), task.groups(study.spec)):
        inputs, labels = inputs[:0], labels[:0]
    return labels, outputs_of(model.parameters, inputs, study.spec)


def _place(
    node: HospitalNode, study: Study, round_number: RoundNumber, part: Part
) -> dict[str, Any]:
    """Which model, of which round, on whose patients."""
    party = node.party
    round_ = party.chain.rounds.round(study.number, round_number, block_identifier=party.head())
    context = context_of_state(party, study, round_number, round_.start_state, round_.state)
    return {
        "context": context,
        "study": study.number,
        "round_number": round_number,
        "hospital": study.index_of(party.address),
        "state": round_.state,
        "split": part.value,
    }


def _numbers(labels: Array, predicted: Array) -> dict[str, int]:
    """Counts, and the AUC in hundredths; empty without an AUC."""
    counts, area = confusion(labels, predicted), auc(labels, predicted)
    if area is None:
        return {}
    shares = {"auc": area.value, "auc_low": area.low, "auc_high": area.high}
    return {name: getattr(counts, name) for name in ("tp", "fp", "tn", "fn")} | {
        name: round(value / FIGURE_STEP) for name, value in shares.items()
    }
