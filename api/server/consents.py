"""A consent by its id: where it was used, and what it can claim. The id links to nobody.

Ids have 256 bits and cannot be guessed; whoever reads the published lists has them all, with what
is told here. Answers are not cached, and no id reaches a log or a metric.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field

from api.server.problems import ApiProblem, documented
from api.server.site import Limited, TheSite, ask, router
from api.server.text import Account, Answer, BlockNo, Digest, DigestIn, Seconds, Wei, raw, shown
from api.server.workers import View
from chain.agreements import Tier
from chain.consents import Consent
from chain.rounds import Freeze, Frozen, Round
from chain.types import ConsentId, RoundNumber
from federated.claims import Standing

routes = router("consents")

Id = Annotated[DigestIn, Path(title="Consent", description="The consent's id.")]


class FreezeFields(Answer):
    """What a hospital froze, field by field: a claim and a challenge pass it to the contract."""

    study: int = Field(title="Study")
    round: int = Field(title="Round")
    hospital: int = Field(title="Hospital", description="Its index.")
    snapshot: BlockNo = Field(title="Snapshot")
    snapshot_hash: Digest = Field(title="Snapshot's hash")
    root: Digest = Field(title="Root")
    n: int = Field(title="Consents")
    weight: int = Field(title="Weight")
    leaf_list: Digest = Field(title="List of leaves")
    round_keys: Digest = Field(title="Round keys")


class Proof(Answer):
    """The leaf of a consent and its proof under the frozen root: checked by anyone, offline."""

    freeze: FreezeFields = Field(title="Freeze")
    index: int = Field(title="Index", description="Of the leaf in the cohort, from 0.")
    record: Digest = Field(title="Record", description="Salted digest; tells nothing.")
    proof: list[Digest] = Field(title="Proof", description="Hashes from the leaf to the root.")


class UseOfConsent(Answer):
    """One consent in one frozen cohort."""

    round: int = Field(title="Round", examples=[1])
    hospital: Account = Field(title="Hospital")
    trained: bool = Field(title="Trained", description="An update of this cohort was submitted.")
    voided: bool = Field(title="Voided", description="That update was proven false.")
    model: Digest | None = Field(
        title="Model", description="State that the update went into; null: into none."
    )
    proof: Proof = Field(title="Proof")


class UnknownCohort(Answer):
    """A cohort of which nobody has a list that gives its root: nothing can be said."""

    round: int = Field(title="Round")
    hospital: Account = Field(title="Hospital")


class UsageOfConsent(Answer):
    """Where a consent was used."""

    consent: Digest = Field(title="Consent")
    block: BlockNo = Field(title="Block", description="The block at whose end all this held.")
    study: int = Field(title="Study", examples=[1])
    agreement: int = Field(title="Agreement", examples=[1])
    granted: BlockNo = Field(title="Granted", description="Block; 0: burned, never granted.")
    revoked: BlockNo | None = Field(title="Revoked", description="Block; null: it stands.")
    uses: list[UseOfConsent] = Field(title="Uses", description="By round.")
    unknown: list[UnknownCohort] = Field(title="Unknown", description="Ask these hospitals.")


class ClaimOfConsent(Answer):
    """What a consent can claim. To claim, sign `Claim` and send it to /v1/relay/claims."""

    consent: Digest = Field(title="Consent")
    block: BlockNo = Field(title="Block", description="The block at whose end all this held.")
    study: int = Field(title="Study", examples=[1])
    agreement: int = Field(title="Agreement", examples=[1])
    price: Wei = Field(title="Price", description="Of the tier, smallest units.")
    token: Account = Field(title="Token", description="The ERC-20 contract that it pays in.")
    paid: bool = Field(
        title="Paid",
        description="For a key's first consent (nonce 0), which holds the mark for later ones too.",
    )
    claim_end: Seconds = Field(title="End of claims", description="After it nothing is paid.")
    standing: Proof | None = Field(
        title="Standing", description="Its place in the newest cohort that pays; null: none yet."
    )


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
