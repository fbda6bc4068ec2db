"""A hospital approves a study by its digest, and enrols."""

from __future__ import annotations

from chain.types import StudyId
from federated.codec import Form, from_tree, to_tree
from federated.errors import PolicyRefused, StepError
from federated.hospital.node import HospitalNode
from federated.hospital.policy import Policy, check_policy
from federated.study import Study, differing_terms, read_study


def approve(node: HospitalNode, number: StudyId, policy: Policy) -> Study:
    """Check a study under the hospital's policy and record the digest that was approved.

    Raises `PolicyRefused` when a rule forbids it, or when the terms on-chain are not those of the
    spec that the hospital read.
    """
    party = node.party
    study = read_study(party.chain, party.store, number, party.head())
    check_policy(policy, study.spec)
    if names := differing_terms(study):
        raise PolicyRefused("terms", f"the chain's terms are not the spec's: {', '.join(names)}")
    funded = party.chain.escrow.account(number, block_identifier=party.head()).funded
    if funded < study.spec.reward.budget_wei:
        raise PolicyRefused(
            "budget",
            f"the escrow holds {funded} of the spec's {study.spec.reward.budget_wei}; wait until "
            "the center funds the study",
        )
    words = to_tree(policy, Policy, Form.CANONICAL)
    party.journal.put(_step(number), {"spec": study.spec_digest.hex(), "policy": words})
    return study


def approved_policy(node: HospitalNode, study: Study) -> Policy:
    """The policy under which this very spec was approved. Raises `StepError` where it was not."""
    record = node.party.journal.get(_step(study.number))
    if record is None or record["spec"] != study.spec_digest.hex():
        raise StepError(
            f"study {study.number} is not approved here; run `consilium hospital approve` first"
        )
    return from_tree(Policy, record["policy"], Form.CANONICAL)


def join(node: HospitalNode, number: StudyId) -> int:
    """Enrol in an approved study, posting the bond; returns the hospital's index. Idempotent."""
    party = node.party
    study = read_study(party.chain, party.store, number, party.head())
    approved_policy(node, study)
    if party.address in study.hospitals:
        return study.index_of(party.address)
    chain, client = party.chain, party.chain.client
    if study.terms.bond:
        allowance = chain.token(study.terms.token).approve(chain.escrow.address, study.terms.bond)
        client.send(allowance, step=f"bond-{number}")
    client.send(chain.studies.enrol(number, study.spec_digest), step=f"enrol-{number}")
    return chain.studies.index_of(number, party.address, block_identifier=party.head())


def _step(number: StudyId) -> str:
    return f"approved-{number}"
