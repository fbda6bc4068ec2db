"""A hospital approves a study by its digest, and enrols."""

from __future__ import annotations

from collections.abc import Sequence

from chain.types import StudyId
from federated.hospital.node import HospitalNode
from federated.hospital.policy import Finding, Outcome, Policy, judge
from federated.hospital.policy.judge import refuse
from federated.hospital.policy.standing import (
    Standing,
    asked_of,
    home_policies,
    remember,
    require_allowed,
    strictest,
    studies_going_on,
)
from federated.party import Party
from federated.study import Study, differing_terms, read_study


def approve(node: HospitalNode, number: StudyId, policy: Policy) -> Study:
    """Check a study under this policy and the home's, and record the digest that was approved.

    Raises `PolicyRefused` that names every rule which forbids it, or when the terms on-chain are
    not those of the spec that the hospital read.
    """
    party = node.party
    study = read_study(party.chain, party.store, number, party.head())
    standing = (Standing("in the policy given", policy), *home_policies(node))
    refuse(examine(party, study, standing, _others(node, number)))
    remember(node, study, policy)
    return study


def join(node: HospitalNode, number: StudyId) -> int:
    """Enrol in an approved study, posting the bond; returns the hospital's index. Idempotent.

    Raises `StepError` where it was not approved, `PolicyRefused` where a policy forbids it by now.
    """
    party = node.party
    study = read_study(party.chain, party.store, number, party.head())
    standing = require_allowed(node, study)
    if party.address in study.hospitals:
        return study.index_of(party.address)
    asked = asked_of(study, _others(node, number))
    refuse(strictest(standing, lambda policy: judge(policy, asked)))
    chain, client = party.chain, party.chain.client
    if study.terms.bond:
        allowance = chain.token(study.terms.token).approve(chain.escrow.address, study.terms.bond)
        client.send(allowance, step=f"bond-{number}")
    client.send(chain.studies.enrol(number, study.spec_digest), step=f"enrol-{number}")
    return chain.studies.index_of(number, party.address, block_identifier=party.head())


def examine(
    party: Party, study: Study, standing: Sequence[Standing], others: int
) -> tuple[Finding, ...]:
    """The answers of every rule, then whether the chain's terms and money are the spec's.

    `others` are the hospital's studies that go on. Reads, and changes nothing.
    """
    asked = asked_of(study, others)
    found = strictest(standing, lambda policy: judge(policy, asked))
    return (*found, _terms(study), _budget(party, study))


def _terms(study: Study) -> Finding:
    if names := differing_terms(study):
        why = f"the chain's terms are not the spec's: {', '.join(names)}"
        return Finding("terms", Outcome.REFUSES, why)
    return Finding("terms", Outcome.PASSES, "the chain's are the spec's")


def _budget(party: Party, study: Study) -> Finding:
    account = party.chain.escrow.account(study.number, block_identifier=party.head())
    funded, budget = account.funded, study.spec.reward.budget_wei
    if funded < budget:
        why = f"the escrow holds {funded} of the spec's {budget}; wait until the center funds it"
        return Finding("budget", Outcome.REFUSES, why)
    return Finding("budget", Outcome.PASSES, "the escrow holds it")


def _others(node: HospitalNode, number: StudyId) -> int:
    party = node.party
    return studies_going_on(party.chain, party.journal, party.address, number, party.head())
