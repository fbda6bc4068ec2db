"""After a study: the global model, retrained on the hospital's own patients, if that is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chain.types import BlockNumber, RoundNumber, StudyId
from federated.bedside.choose import Choice, Kind, choose
from federated.chosen import spec_of_round
from federated.errors import StepError
from federated.evaluation.disclosure import enough
from federated.hospital.data import arrays
from federated.hospital.kept import own_model
from federated.hospital.members import current_members
from federated.hospital.node import HospitalNode
from federated.hospital.personal import Personal, write_personal
from federated.hospital.policy.standing import require_model
from federated.provenance import standing_round
from federated.published import open_state
from federated.schema import Parameters
from federated.spec import StudySpec
from federated.strategies import strategy_of
from federated.study import Study, read_study
from federated.tasks import task_of
from records.cohort import Member
from records.splits import Part


def personalise(node: HospitalNode, number: StudyId, folder: Path) -> Personal:
    """Train, compare, keep the better model in `folder`, and say which.

    Candidates: the global model, the same trained further here, the same with its last layer alone
    trained further, one of this hospital's patients alone, and in a study by Ditto another of these
    that is held near the global one. Only patients
    whose consent is active now are learned from or judged by; the rule is that of `choose`. One
    seed and the same patients give the same model. Raises `StepError` while the study goes on, and
    what `open_state` does for a model that is not the one on-chain.
    """
    party, block = node.party, node.party.head()
    study = read_study(party.chain, party.store, number, block)
    study.index_of(party.address)
    require_model(node, study)
    _require_over(node, study, block)
    round_number = standing_round(party, study, block)
    state = open_state(party, study, round_number, block)
    members = current_members(node, study, block)
    train = [member for member in members if member.part is Part.TRAIN]
    judges = [member for member in members if member.part is Part.VALIDATION]
    own = own_model(party, study, state, block)
    spec = spec_of_round(party, study, round_number, block)
    models = _candidates(node, spec, own.parameters, train, judges)
    choice = _choose(models, judges, study)
    round_ = party.chain.rounds.round(number, round_number, block_identifier=block)
    personal = Personal(
        round_number=round_number,
        state=round_.state,
        block=block,
        kept=choice.kept,
        why=choice.why,
        judged=choice.judged,
        trained=tuple(dict.fromkeys([*(m.consent for m in train), *own.consents])),
        validated=tuple(member.consent for member in judges),
        parameters=models[choice.kept],
    )
    write_personal(folder, party, study, personal)
    return personal


def _require_over(node: HospitalNode, study: Study, block: BlockNumber) -> None:
    rounds, now = node.party.chain.rounds, node.party.chain.client.timestamp()
    count = rounds.count(study.number, block_identifier=block)
    last = count >= study.terms.max_rounds and rounds.is_over(
        study.number, RoundNumber(count), block_identifier=block
    )
    if not last and now <= study.terms.end_by:
        raise StepError(
            f"study {study.number} goes on ({count} of {study.terms.max_rounds} rounds were "
            "opened): personalise after its last round"
        )


def _candidates(
    node: HospitalNode,
    spec: StudySpec,
    start: Parameters,
    train: list[Member],
    judges: list[Member],
) -> Mapping[Kind, Parameters]:
    from federated.baselines import fit_baseline  # torch takes seconds: only who trains waits
    from federated.bedside.tune import fine_tune, head_of, hold_near

    if not train or not judges:
        return {Kind.GLOBAL: start}
    name = node.party.name
    own, held = arrays(train, spec), arrays(judges, spec)
    models = {
        Kind.GLOBAL: start,
        Kind.TUNED: fine_tune(start, own, held, spec, hospital=name),
    }
    if head := head_of(start):
        models[Kind.HEAD] = fine_tune(start, own, held, spec, hospital=name, only=head)
    strength = strategy_of(spec.strategy.name).personal(spec.strategy.config)
    if strength is not None:
        models[Kind.DITTO] = hold_near(start, own, spec, strength, hospital=name)
    return {**models, Kind.OWN: fit_baseline(own, held, spec, name)}


def _choose(models: Mapping[Kind, Parameters], judges: list[Member], study: Study) -> Choice:
    from federated.bedside.reading import Reader

    if len(models) == 1:
        why = "no consented patient is there to learn from, or none to judge by"
        return Choice(Kind.GLOBAL, (), len(judges), why)
    spec, task = study.spec, task_of(study.spec.task)
    inputs, labels = arrays(judges, spec)
    outputs = {k: Reader.of(p, spec).outputs(inputs) for k, p in models.items()}
    losses = {k: task.losses(labels, found, spec) for k, found in outputs.items()}
    may = enough(task.group(labels), groups=task.groups(spec))
    choice = choose(losses, len(labels), enough=may, lost=task.lost)
    if (outputs[Kind.TUNED] == outputs[Kind.GLOBAL]).all():
        return replace(choice, why=f"{choice.why}; further training never lowered it")
    return choice
