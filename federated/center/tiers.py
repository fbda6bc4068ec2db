"""Agreements: the tiers that a center opens, by itself or at a price that a patient asked for."""

from __future__ import annotations

from dataclasses import dataclass

from chain.agreements import TierOpened
from chain.types import Address, AgreementId, StudyId, Wei
from federated.canonical import digest, encode
from federated.errors import StepError
from federated.offers import SignedOffer, check_offer
from federated.party import Party
from federated.purposes import tier_bitmap
from storage.cid import Codec

_FORMAT = "consilium/terms/1"


@dataclass(frozen=True, slots=True)
class TierWish:
    """What a tier shall be. `purposes` are DUO codes, `not_after` a second, `text` the terms."""

    hospital: Address
    price: Wei
    purposes: tuple[str, ...]
    not_after: int
    max_count: int
    text: str


def open_tier(party: Party, study: StudyId, wish: TierWish, *, step: str) -> AgreementId:
    """Publish the terms in words and open the tier; `step` names it, so that it opens once."""
    words = encode({"format": _FORMAT, "purposes": list(wish.purposes), "text": wish.text})
    party.store.pin(party.store.put_block(Codec.DAG_CBOR, words))
    chain = party.chain
    call = chain.agreements.open_tier(
        study,
        wish.hospital,
        terms=digest(words),
        price=wish.price,
        purposes=tier_bitmap(wish.purposes),
        not_after=wish.not_after,
        max_count=wish.max_count,
    )
    receipt = chain.client.send(call, step=f"tier-{study}-{step}")
    return chain.agreements.in_receipt(TierOpened, receipt)[0].agreement


def accept(party: Party, offer: SignedOffer, *, max_count: int, text: str) -> AgreementId:
    """Open a tier at the price that a patient's counter-offer asks for.

    Raises `StepError` for a counter-offer that is forged, expired, cancelled or above what is
    unreserved. A price that only one patient has identifies that patient: `max_count` should be
    larger than 1.
    """
    chain, block = party.chain, party.head()
    terms = check_offer(chain, offer, now=chain.client.timestamp(), block=block)
    tier = chain.agreements.tier(terms.agreement, block_identifier=block)
    free = chain.escrow.unreserved(tier.study, block_identifier=block)
    if terms.price > free:
        raise StepError(
            f"the counter-offer asks for {terms.price}, and study {tier.study} has {free} "
            "unreserved: fund the study, or decline"
        )
    words = encode({"format": _FORMAT, "purposes": [], "text": text})
    party.store.pin(party.store.put_block(Codec.DAG_CBOR, words))
    call = chain.agreements.open_tier(
        tier.study,
        tier.hospital,
        terms=digest(words),
        price=terms.price,
        purposes=terms.purposes,
        not_after=terms.not_after,
        max_count=max_count,
    )
    receipt = chain.client.send(call, step=f"accept-{terms.salt.hex()}")
    return chain.agreements.in_receipt(TierOpened, receipt)[0].agreement
