"""Counter-offers on their way to a center: sealed to its key, as mail in the store.

What a patient asks is nobody's matter but the center's, so members of the swarm see only that
somebody answered a tier. All sealed offers have one size.
"""

from __future__ import annotations

from chain.types import Address, AgreementId
from federated.canonical import tagged_hash
from federated.errors import StepError
from federated.mail import mail_for, post
from federated.offers import SignedOffer
from federated.party import Party, recipient_at
from storage.cid import Cid
from storage.errors import WrongKey

KIND = "counter-offer"
_SIZE = 1024


def send_offer(party: Party, offer: SignedOffer) -> Cid:
    """Leave a counter-offer, which was checked, for the center of its study.

    Raises `StepError` where the center published no key, and what node and store raise.
    """
    block = party.head()
    agreement = offer.terms.agreement
    tier = party.chain.agreements.tier(agreement, block_identifier=block)
    center = party.chain.studies.center_of(tier.study, block_identifier=block)
    text = offer.to_json().encode().ljust(_SIZE)  # spaces: JSON still
    sealed = recipient_at(party, center, block).wrap(text, _info(party, center, agreement))
    body = {"agreement": agreement, "expiry": offer.terms.expiry, "sealed": sealed}
    return post(party.store, center, KIND, body)


def offers_for(party: Party) -> list[SignedOffer]:
    """The counter-offers left for this center, each once; what does not open is passed over.

    Signatures and terms are the caller's to check (`check_offer`): anyone can leave mail.
    """
    found: dict[bytes, SignedOffer] = {}
    for mail in mail_for(party.store, party.address):
        if mail.kind != KIND:
            continue
        try:
            info = _info(party, party.address, AgreementId(mail.body["agreement"]))
            text = party.identity.unwrap(mail.body["sealed"], info)
            offer = SignedOffer.from_json(text.decode())
        except (WrongKey, StepError, KeyError, TypeError, ValueError):
            continue  # anyone can leave mail: what does not open is no offer to this center
        found.setdefault(offer.terms.salt + offer.signature, offer)
    return list(found.values())


def _info(party: Party, center: Address, agreement: AgreementId) -> bytes:
    """One deployment, one center, one tier: an offer sealed for another does not open."""
    places = (party.chain.agreements.address, center)
    chain_id = party.chain.client.chain_id
    addresses = [bytes.fromhex(place[2:]) for place in places]
    return tagged_hash("consilium/sealed-offer/1", chain_id, *addresses, agreement)
