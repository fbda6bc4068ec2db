"""Cohorts: each leaf a consent that was active at the snapshot, of this hospital and this study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chain.agreements import Tier
from chain.rounds import Frozen
from chain.types import AgreementId, BlockNumber, ConsentId, RoundNumber
from federated.auditor.verdict import Checks, Place
from federated.cohort import Leaf
from federated.judging import leaves_of
from federated.leaf_list import tree_of
from federated.party import Party
from federated.purposes import covers
from federated.study import Study


@dataclass(slots=True)
class Consents:
    """Tiers of the study, which tier each granted id is of, and the ids in each cohort so far."""

    tiers: Mapping[AgreementId, Tier]
    agreement_of: Mapping[ConsentId, AgreementId]
    cohorts: dict[tuple[int, int], frozenset[bytes]] = field(default_factory=dict)

    @classmethod
    def of_study(cls, party: Party, study: Study, block: BlockNumber) -> Consents:
        """From the chain's events up to a block, every tier read at that block."""
        opened = party.chain.agreements.opened(to_block=block, study=study.number)
        tiers = {
            item.agreement: party.chain.agreements.tier(item.agreement, block_identifier=block)
            for item in opened
        }
        grants = party.chain.consents.granted(to_block=block)
        agreement_of = {consent: event.agreement for event in grants for consent in event.ids}
        return cls(tiers, agreement_of)

    def tier_of(self, consent: bytes) -> Tier | None:
        """The tier of this study under which an id was granted."""
        agreement = self.agreement_of.get(ConsentId(consent))
        return None if agreement is None else self.tiers.get(agreement)

    def remember(self, number: int, cohorts: Mapping[int, frozenset[bytes]]) -> None:
        """Keep a round's cohorts, by hospital, for the payments."""
        for hospital, ids in cohorts.items():
            self.cohorts[number, hospital] = ids


def check_cohorts(
    party: Party,
    study: Study,
    number: RoundNumber,
    block: BlockNumber,
    consents: Consents,
    checks: Checks,
) -> dict[int, frozenset[bytes]]:
    """Check every frozen cohort of a round; returns the ids in each, by hospital."""
    found: dict[int, frozenset[bytes]] = {}
    with checks.guarded("freezes", Place(number)):
        frozen = party.chain.rounds.freezes(study.number, number, to_block=block)
        checks.add("freezes", True, at=Place(number))
        for event in frozen:
            hospital = event.freeze.hospital
            with checks.guarded("cohort", Place(number, hospital)):
                leaves = _check_list(party, study, event, checks)
                _check_consents(party, study, event, leaves, consents, block, checks)
                found[hospital] = frozenset(leaf.consent for leaf in leaves)
    return found


def _check_list(party: Party, study: Study, event: Frozen, checks: Checks) -> tuple[Leaf, ...]:
    freeze = event.freeze
    at = Place(freeze.round, freeze.hospital)
    held = party.chain.client.block_hash(freeze.snapshot)
    checks.add("snapshot", held == freeze.snapshot_hash, "no such block on this chain", at)
    leaves = leaves_of(party.store, event)
    if not checks.add("leaf-list", leaves is not None, "no member has the list", at):
        return ()
    assert leaves is not None
    root = tree_of(leaves).root
    checks.add("root", root == freeze.root, "the list does not give the frozen root", at)
    sound = len(leaves) == freeze.n and 0 < freeze.weight <= min(freeze.n, study.terms.max_weight)
    detail = f"{len(leaves)} leaves, n is {freeze.n}, weight {freeze.weight}"
    checks.add("cohort-size", sound, detail, at)
    return leaves


def _check_consents(
    party: Party,
    study: Study,
    event: Frozen,
    leaves: tuple[Leaf, ...],
    consents: Consents,
    block: BlockNumber,
    checks: Checks,
) -> None:
    freeze = event.freeze
    ids = [ConsentId(leaf.consent) for leaf in leaves]
    flags = party.chain.consents.active_at(ids, freeze.snapshot, block_identifier=block)
    until = party.chain.rounds.deadlines(study.number, freeze.round, block_identifier=block)
    reasons = {}
    for leaf, active in zip(leaves, flags, strict=True):
        reason = _fault(study, event, consents, leaf, active, until.submit_by)
        if reason:
            reasons[leaf.index] = reason
    first = next(iter(reasons.items()), None)
    detail = f"{len(reasons)} leaves; first: leaf {first[0]} {first[1]}" if first else ""
    at = Place(freeze.round, freeze.hospital)
    checks.add("consents", not reasons, detail, at)


def _fault(
    study: Study, event: Frozen, consents: Consents, leaf: Leaf, active: bool, until: int
) -> str:
    """Why a leaf may not stand in the cohort; empty for a sound one."""
    tier = consents.tier_of(leaf.consent)
    if not active:
        return "was not active at the snapshot"
    if tier is None:
        return "is a consent of another study"
    if tier.hospital != event.hospital:
        return "is a consent for another hospital"
    if tier.not_after < until:
        return "expires before submitBy"
    if not covers(tier.purposes, study.terms.purposes):
        return "does not cover the study's purposes"
    return ""
