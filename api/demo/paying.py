"""Who is paid in the demo: patients from the escrow, hospitals by the rule, the rest returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from api.demo.consenting import Consenting
from api.demo.patients import DemoPatient
from api.demo.world import Say, World
from chain.consent_types import consent_id
from chain.merkle import hash_share_leaf
from chain.types import NO_ADDRESS, Address, StudyId, Wei
from federated.center import refund, settle
from federated.claims import claim_message, paying_cohorts
from federated.contribution import Measure, measured
from federated.mail import post_all
from federated.relayer import relay
from federated.rewards import contributions
from federated.shares import shares_tree
from federated.signed_report import listed_reports
from federated.study import read_study

RECIPIENTS = 0x1000
"""Each patient's wallet address in the demo: a number, since nobody spends the tokens."""


@dataclass(frozen=True, slots=True)
class Paid:
    """Amounts in the token's smallest unit; `hospitals` by name.

    `contributions` are in 1/65536 nats, rounded, by name; empty where the rule is "count".
    """

    patients_paid: int
    patients_total: int
    hospitals: dict[str, int]
    budget: int
    paid: int
    refundable: int
    rule: str
    contributions: dict[str, int]


def pay_all(
    world: World,
    study: StudyId,
    patients: Sequence[DemoPatient],
    consenting: Consenting,
    say: Say,
) -> Paid:
    """Claim, settle, cross the windows on the development chain's clock, and refund."""
    say("patients", "claim their rewards against the frozen cohorts")
    _claim_patients(world, study, patients, consenting)
    say("center", "settles")
    shares = settle(world.center, study)
    terms = read_study(world.center.chain, world.center.store, study, world.center.head()).terms
    say("everybody", "waits for the end of the challenge window (the clock is moved on)")
    world.clock.advance_to(terms.challenge_end + 1)
    escrow, client = world.relayer.chain.escrow, world.relayer.chain.client
    for index, (name, node) in enumerate(world.hospitals.items()):
        say(name, "claims its share and gets its bond back")
        _claim_share(world, study, index, shares)
        client.send(escrow.return_bond(study, node.party.address))
    world.clock.advance_to(terms.refund_at + 1)
    account = escrow.account(study, block_identifier=world.center.head())
    refundable = account.funded - account.paid_patients - account.paid_hospitals - account.refunded
    say("center", "gets back what nobody claimed")
    refund(world.center, study)
    return _report(world, study, refundable)


def _claim_share(world: World, study: StudyId, index: int, shares: Mapping[int, int]) -> None:
    """A hospital's share: by the posted root where there is one, else as the contract counts."""
    escrow, client = world.relayer.chain.escrow, world.relayer.chain.client
    if not any(escrow.reward_root(study, block_identifier=world.relayer.head()).root):
        client.send(escrow.claim_hospital(study, index))
    elif shares[index]:
        proof = shares_tree(study, shares).proof(hash_share_leaf(study, index, shares[index]))
        client.send(escrow.claim_hospital_by_root(study, index, Wei(shares[index]), proof))


def _claim_patients(
    world: World, study: StudyId, patients: Sequence[DemoPatient], consenting: Consenting
) -> None:
    chain, store, block = world.relayer.chain, world.relayer.store, world.relayer.head()
    standings = {}
    for cohort in paying_cohorts(chain, store, study, block):
        standings.update({key: value for key, value in cohort.items() if key not in standings})
    deadline = world.clock.now() + 3600
    claims = []
    for place, patient in enumerate(patients, start=RECIPIENTS):
        agreement = consenting.agreements.get(patient.local_key)
        if agreement is None:
            continue
        consent = consent_id(patient.wallet.address_for(agreement), agreement, 0)
        if consent in standings:
            body = claim_message(
                patient.wallet,
                standings[consent],
                agreement=agreement,
                nonce=0,
                recipient=Address(NO_ADDRESS[:-8] + f"{place:08x}"),
                deadline=deadline,
            )
            claims.append(body)
    post_all(store, world.relayer.address, "claim", claims)
    consenting.skipped += relay(world.relayer).refused


def _report(world: World, study: StudyId, refundable: int) -> Paid:
    escrow, block = world.center.chain.escrow, world.center.head()
    account = escrow.account(study, block_identifier=block)
    names = list(world.hospitals)
    found = read_study(world.center.chain, world.center.store, study, block)
    rule, gains = found.spec.reward.rule, dict[int, Fraction]()
    if measured(rule):
        gains = contributions(Measure.of(found.spec), listed_reports(world.center, found, block))
    return Paid(
        patients_paid=len(escrow.patients_paid(study, to_block=block)),
        patients_total=account.paid_patients,
        hospitals=dict.fromkeys(names, 0)
        | {names[e.index]: int(e.amount) for e in escrow.hospitals_paid(study, to_block=block)},
        budget=account.funded,
        paid=account.paid_patients + account.paid_hospitals,
        refundable=refundable,
        rule=rule,
        contributions={names[index]: round(gain) for index, gain in gains.items()},
    )
