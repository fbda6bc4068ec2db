"""Cohorts: each leaf a consent that was active at the snapshot, of this hospital and this study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chain.agreements import Tier
from chain.errors import LogsDisagree
from chain.round_events import Frozen
from chain.types import Address, AgreementId, BlockNumber, ConsentId
from federated.auditor.facts import Facts
from federated.auditor.verdict import Checks, Place
from federated.cohort import Leaf
from federated.errors import CohortError
from federated.exclusion import ExclusionCode
from federated.leaf_list import read_leaves, tree_of
from federated.party import Party
from federated.purposes import covers
from federated.study import Study
from storage.errors import MalformedBlock, MissingBlock, Unanswered


@dataclass(slots=True)
class Consents:
    """Tiers of the study, which tier each granted id is of, and the sound ids of each cohort.

    `unlisted` are hospitals whose list an auditor missed: the contract alone saw those leaves.
    `unanswered` are cohorts, by round and hospital, of which a member may have the list that does
    not answer, or nobody can tell now whether an auditor missed it.
    """

    tiers: Mapping[AgreementId, Tier]
    agreement_of: Mapping[ConsentId, AgreementId]
    cohorts: dict[tuple[int, int], frozenset[bytes]] = field(default_factory=dict)
    unlisted: set[Address] = field(default_factory=set)
    unanswered: set[tuple[int, int]] = field(default_factory=set)

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

    def tier_of(self, party: Party, consent: ConsentId, block: BlockNumber) -> Tier | None:
        """The tier of this study under which an id was granted.

        Raises `LogsDisagree` where the slot knows what the node's logs do not show.
        """
        agreement = self.agreement_of.get(consent)
        if agreement is None:
            slot = party.chain.consents.consent(consent, block_identifier=block)
            if slot.granted:
                raise LogsDisagree(
                    f"consent {consent.hex()[:16]}… is granted in Consents and in none of the "
                    "node's logs: it lies or is out of step; ask another"
                )
            return None
        return self.tiers.get(agreement)


def check_cohorts(
    party: Party, study: Study, facts: Facts, consents: Consents, checks: Checks
) -> None:
    """Check every frozen cohort of a round, and remember its sound consents for the payments."""
    for hospital, event in facts.frozen.items():
        at = Place(facts.number, hospital)
        found = Checks()
        with found.guarded("cohort", at):
            leaves = _check_list(party, study, facts, event, found)
            if facts.code_of(hospital) is ExclusionCode.LIST_MISSING:
                consents.unlisted.add(event.hospital)
            if leaves:
                sound = _check_consents(party, study, facts, event, leaves, consents, found)
                consents.cohorts[facts.number, hospital] = sound
            elif facts.code_unknown(hospital):
                consents.unanswered.add((facts.number, hospital))
        if any(check.unanswered for check in found.found):
            consents.unanswered.add((facts.number, hospital))
        if hospital in facts.voids:
            _check_void(party, study, facts, hospital, checks)
        else:
            checks.found += found.found


def _check_void(party: Party, study: Study, facts: Facts, hospital: int, checks: Checks) -> None:
    """A cohort proven false does no harm where its update stayed out of the model."""
    ground = party.chain.challenges.ground_voided(
        study.number, facts.number, hospital, block_identifier=facts.block
    )
    inside = bool(facts.round.included >> hospital & 1)
    detail = f"proven false ({ground.name.lower()}) after it was included: the round is flagged"
    checks.add("voided", not inside, detail, Place(facts.number, hospital))


def _check_list(
    party: Party, study: Study, facts: Facts, event: Frozen, checks: Checks
) -> tuple[Leaf, ...]:
    freeze = event.freeze
    at = Place(freeze.round, freeze.hospital)
    held = party.chain.client.block_hash(freeze.snapshot)
    checks.add("snapshot", held == freeze.snapshot_hash, "no such block on this chain", at)
    try:
        leaves = read_leaves(party.store, freeze.leaf_list, most=freeze.n)
    except (MissingBlock, MalformedBlock, CohortError) as exc:
        _check_unlisted(facts, freeze.hospital, exc, checks, at)
        return ()
    checks.add("leaf-list", True, at=at)
    root = tree_of(leaves).root
    checks.add("root", root == freeze.root, "the list does not give the frozen root", at)
    sound = len(leaves) == freeze.n and 0 < freeze.weight <= min(freeze.n, study.terms.max_weight)
    detail = f"{len(leaves)} leaves, n is {freeze.n}, weight {freeze.weight}"
    checks.add("cohort-size", sound, detail, at)
    return leaves


def _check_unlisted(facts: Facts, hospital: int, why: Exception, checks: Checks, at: Place) -> None:
    if facts.code_of(hospital) is ExclusionCode.LIST_MISSING:
        checks.add("leaf-list", True, at=at)
    elif facts.code_unknown(hospital):
        checks.note("leaf-list", "no member has the list; nor the word why it was left out", at)
    elif isinstance(why, Unanswered):
        checks.cannot("leaf-list", str(why), at)
    else:
        checks.add("leaf-list", False, "no member has the list", at)


def _check_consents(
    party: Party,
    study: Study,
    facts: Facts,
    event: Frozen,
    leaves: tuple[Leaf, ...],
    consents: Consents,
    checks: Checks,
) -> frozenset[bytes]:
    """Judge every leaf as a challenge would; the ids of the sound ones."""
    freeze = event.freeze
    ids = [ConsentId(leaf.consent) for leaf in leaves]
    flags = party.chain.consents.active_at(ids, freeze.snapshot, block_identifier=facts.block)
    reasons = {}
    for consent, active in zip(ids, flags, strict=True):
        tier = consents.tier_of(party, consent, facts.block)
        if reason := _fault(study, event, tier, active, facts.round.submit_by):
            reasons[consent] = reason
    first = next(iter(reasons), None)
    detail = f"{len(reasons)} leaves; first: leaf {ids.index(first)} " if first else ""
    at = Place(freeze.round, freeze.hospital)
    checks.add("consents", not reasons, detail + reasons.get(first or ConsentId(b""), ""), at)
    return frozenset(ids) - reasons.keys()


def _fault(study: Study, event: Frozen, tier: Tier | None, active: bool, until: int) -> str:
    """Why a leaf may not stand in the cohort; empty for a sound one."""
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
