"""A consent by its id: where it was used, and what it can claim. The id links to nobody.

Ids have 256 bits and cannot be guessed; whoever reads the published lists has them all, with what
is told here. Answers are not cached, and no id reaches a log or a metric.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path

from api.server.answers.consents import (
    ClaimOfConsent,
    FreezeFields,
    Proof,
    UnknownCohort,
    UsageOfConsent,
    UseOfConsent,
)
from api.server.problems import ApiProblem, documented
from api.server.site import Limited, TheSite, ask, router
from api.server.text import DigestIn, raw, shown
from api.server.workers import View
from chain.agreements import Tier
from chain.consent_types import Consent
from chain.round_events import Frozen
from chain.round_types import Freeze, Round
from chain.types import ConsentId, RoundNumber
from federated.claims import Standing

routes = router("consents")

Id = Annotated[DigestIn, Path(title="Consent", description="The consent's id.")]


_ANSWERS = documented(
    "no-such-consent", "invalid", "too-many-requests", "unsound-record", "node-unreachable"
)


@routes.get(
    "/consents/{consent}/usage",
    summary="Show where a consent was used",
    dependencies=[Limited],
    responses=_ANSWERS,
)
async def show_usage(site: TheSite, consent: Id) -> UsageOfConsent:
    """Rounds, hospitals and models, each with the proof under the frozen root."""
    return await ask(site, lambda view: _usage(view, ConsentId(raw(consent))))


@routes.get(
    "/consents/{consent}/claim",
    summary="Show what a consent can claim",
    dependencies=[Limited],
    responses=_ANSWERS,
)
async def show_claim(site: TheSite, consent: Id) -> ClaimOfConsent:
    """The price, and the proof that makes it due."""
    return await ask(site, lambda view: _claim(view, ConsentId(raw(consent))))


def slot_of(view: View, consent: ConsentId) -> tuple[Consent, Tier]:
    """The consent on the chain and its tier. Raises `ApiProblem`."""
    slot = view.chain.consents.consent(consent, block_identifier=view.block)
    if not slot.granted and not slot.revoked:
        raise ApiProblem(
            "no-such-consent",
            "no consent with this id was granted or withdrawn: check it, or wait until the "
            "hospital has admitted it",
        )
    return slot, view.chain.agreements.tier(slot.agreement, block_identifier=view.block)


def standing_of(view: View, consent: ConsentId, tier: Tier) -> Standing | None:
    """Where a consent stands in a cohort that pays, in the newest such round."""
    rounds = view.chain.rounds
    for number in range(rounds.count(tier.study, block_identifier=view.block), 0, -1):
        place = RoundNumber(number)
        if not rounds.pays(tier.study, place, block_identifier=view.block):
            continue
        submitted = rounds.round(tier.study, place, block_identifier=view.block).submitted
        for event in rounds.freezes(tier.study, place, to_block=view.block):
            cohort = view.cohorts.of(view.store, event)
            found = cohort.find(consent) if cohort else None
            if found and submitted >> event.freeze.hospital & 1:
                return Standing(event.freeze, *found)
    return None


def _usage(view: View, consent: ConsentId) -> UsageOfConsent:
    slot, tier = slot_of(view, consent)
    uses: list[UseOfConsent] = []
    unknown: list[UnknownCohort] = []
    for number in range(1, view.chain.rounds.count(tier.study, block_identifier=view.block) + 1):
        place = RoundNumber(number)
        round_ = view.chain.rounds.round(tier.study, place, block_identifier=view.block)
        for event in view.chain.rounds.freezes(tier.study, place, to_block=view.block):
            cohort = view.cohorts.of(view.store, event)
            if cohort is None:
                unknown.append(UnknownCohort(round=number, hospital=event.hospital))
            elif found := cohort.find(consent):
                uses.append(_use(event, round_, Standing(event.freeze, *found)))
    return UsageOfConsent(
        consent=shown(consent),
        block=view.block,
        study=tier.study,
        agreement=slot.agreement,
        granted=slot.granted,
        revoked=slot.revoked or None,
        uses=uses,
        unknown=unknown,
    )


def _use(event: Frozen, round_: Round, standing: Standing) -> UseOfConsent:
    index = event.freeze.hospital
    included = round_.finalized and round_.included >> index & 1
    return UseOfConsent(
        round=event.freeze.round,
        hospital=event.hospital,
        trained=bool(round_.submitted >> index & 1),
        voided=bool(round_.voided >> index & 1),
        model=shown(round_.state) if included else None,
        proof=_proof(standing),
    )


def _claim(view: View, consent: ConsentId) -> ClaimOfConsent:
    slot, tier = slot_of(view, consent)
    terms = view.chain.studies.terms(tier.study, block_identifier=view.block)
    standing = standing_of(view, consent, tier)
    return ClaimOfConsent(
        consent=shown(consent),
        block=view.block,
        study=tier.study,
        agreement=slot.agreement,
        price=str(tier.price),
        token=terms.token,
        paid=slot.paid,
        claim_end=terms.claim_end,
        standing=_proof(standing) if standing else None,
    )


def _proof(standing: Standing) -> Proof:
    freeze, leaf = standing.freeze, standing.leaf
    return Proof(
        freeze=_fields(freeze),
        index=leaf.index,
        record=shown(leaf.record),
        proof=[shown(item) for item in standing.proof],
    )


def _fields(freeze: Freeze) -> FreezeFields:
    values: dict[str, Any] = {name: getattr(freeze, name) for name in Freeze.__dataclass_fields__}
    return FreezeFields.model_validate(
        {key: shown(v) if isinstance(v, bytes) else v for key, v in values.items()}
    )
