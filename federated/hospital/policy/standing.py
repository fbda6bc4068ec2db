"""The policies that hold for a study now: as it was approved, and as the home's file stands.

A policy that was made stricter in mid-study stops the hospital at its next step; one that was
loosened changes nothing until the study is approved again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chain.contracts import Contracts
from chain.types import BlockNumber, StudyId
from federated.codec import Form, from_tree, to_tree
from federated.errors import StepError
from federated.hospital.node import HospitalNode
from federated.hospital.policy.file import is_there, read_policy
from federated.hospital.policy.finding import Asked, Finding, Outcome
from federated.hospital.policy.headcount import Headcount, judge_cohort
from federated.hospital.policy.judge import judge, refuse
from federated.hospital.policy.policy import Policy
from federated.journal import Journal
from federated.study import Study

_STEP = "approved-"
_STRICT = (Outcome.PASSES, Outcome.LATER, Outcome.REFUSES)


@dataclass(frozen=True, slots=True)
class Standing:
    """A policy that holds for a study, and in words where it stands."""

    where: str
    policy: Policy


def standing_policies(node: HospitalNode, study: Study) -> tuple[Standing, ...]:
    """As approved, and as the home's file has it now; a file that is gone loosens nothing.

    Raises `StepError` where this very spec was not approved, `PolicyRefused` for a broken file.
    """
    return (Standing("as approved", approved_policy(node, study)), *home_policies(node))


def home_policies(node: HospitalNode) -> tuple[Standing, ...]:
    """The policy of the home's file as it stands, if there is one."""
    return () if node.policy is None else policies_at(node.policy)


def policies_at(path: Path) -> tuple[Standing, ...]:
    """The policy of a home's file; none where there is no file. Raises `PolicyRefused`."""
    return (Standing(f"in {path.name} now", read_policy(path)),) if is_there(path) else ()


def approved_policy(node: HospitalNode, study: Study) -> Policy:
    """The policy under which this very spec was approved. Raises `StepError` where it was not."""
    found = remembered(node.party.journal, study.number)
    if found is None or found[0] != study.spec_digest.hex():
        raise StepError(
            f"study {study.number} is not approved here; run `consilium hospital approve` first"
        )
    return found[1]


def remembered(journal: Journal, number: StudyId) -> tuple[str, Policy] | None:
    """The digest of the spec that was approved under a number, and the policy; None without one."""
    record = journal.get(_step(number))
    if record is None:
        return None
    return record["spec"], from_tree(Policy, record["policy"], Form.TEXT)


def remember(node: HospitalNode, study: Study, policy: Policy) -> None:
    """Record that this spec was approved under this policy."""
    words = to_tree(policy, Policy, Form.TEXT)
    node.party.journal.put(_step(study.number), {"spec": study.spec_digest.hex(), "policy": words})


def require_allowed(
    node: HospitalNode, study: Study, count: Headcount | None = None
) -> tuple[Standing, ...]:
    """Raise `PolicyRefused` unless each standing policy allows the study, and this cohort."""
    asked = asked_of(study)
    standing = standing_policies(node, study)
    refuse(strictest(standing, lambda policy: judge(policy, asked)))
    if count is not None:
        require_cohort(standing, count)
    return standing


def require_model(node: HospitalNode, study: Study) -> None:
    """Raise `PolicyRefused` unless each standing policy allows the model's code to run.

    For what asks no cohort: a model that is in use goes on whatever else was forbidden since.
    """
    if study.spec.model.digest is None:
        return
    asked = asked_of(study)
    found = strictest(standing_policies(node, study), lambda policy: judge(policy, asked))
    refuse(item for item in found if item.rule == "models")


def require_cohort(standing: Sequence[Standing], count: Headcount) -> None:
    """Raise `PolicyRefused` for a cohort that is too small for a standing policy."""
    refuse(strictest(standing, lambda policy: judge_cohort(policy, count)))


def strictest(
    standing: Sequence[Standing], findings: Callable[[Policy], Iterable[Finding]]
) -> tuple[Finding, ...]:
    """Each rule's answer: a refusal of any policy counts, then what is not known yet."""
    found: dict[str, Finding] = {}
    for item in standing:
        for answer in findings(item.policy):
            if answer.outcome is Outcome.REFUSES and len(standing) > 1:
                answer = replace(answer, why=f"{answer.why} ({item.where})")
            held = found.setdefault(answer.rule, answer)
            if _STRICT.index(answer.outcome) > _STRICT.index(held.outcome):
                found[answer.rule] = answer
    return tuple(found.values())


def asked_of(study: Study, others: int | None = None) -> Asked:
    """What a study on the chain asks."""
    return Asked(study.spec, study.center, study.terms.token, others)


def studies_going_on(
    chain: Contracts, journal: Journal, hospital: str, but: StudyId, block: BlockNumber
) -> int:
    """Other studies that this hospital approved, is enrolled in, and that have not ended."""
    now, known = chain.client.timestamp(), chain.studies.count(block_identifier=block)
    steps = [step.removeprefix(_STEP) for step in journal.steps() if step.startswith(_STEP)]
    numbers = [StudyId(int(step)) for step in steps]
    return sum(
        number != but and number <= known and _goes_on(chain, number, hospital, now, block)
        for number in numbers
    )


def _goes_on(
    chain: Contracts, number: StudyId, hospital: str, now: int, block: BlockNumber
) -> bool:
    if chain.studies.terms(number, block_identifier=block).end_by < now:
        return False
    enrolled = chain.studies.enrolled(number, block_identifier=block)
    count = chain.studies.hospital_count(number, block_identifier=block)
    return any(
        enrolled >> index & 1
        and chain.studies.hospital_at(number, index, block_identifier=block) == hospital
        for index in range(count)
    )


def _step(number: StudyId) -> str:
    return f"{_STEP}{number}"
