"""Counter-offers: what a patient asks of a tier, signed with the one-time key for it.

They travel as files or through the API, never on-chain: a price that was only asked for is nobody's
matter but the patient's and the center's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from chain.contracts import Contracts
from chain.errors import BadSignature
from chain.keys import address_of
from chain.typed_data import CounterOffer, Domain, recover, sign
from chain.types import Address, AgreementId, Wei
from federated.errors import StepError

_FORMAT = "consilium/counter-offer/1"


@dataclass(frozen=True, slots=True)
class SignedOffer:
    """A counter-offer, the address of the key that signed it, and the signature (65 bytes)."""

    terms: CounterOffer
    key: Address
    signature: bytes

    def to_json(self) -> str:
        """Text to send to the center."""
        terms = {
            "agreement": self.terms.agreement,
            "price": str(self.terms.price),
            "purposes": str(self.terms.purposes),
            "not_after": self.terms.not_after,
            "expiry": self.terms.expiry,
            "salt": self.terms.salt.hex(),
        }
        content = {"format": _FORMAT, "terms": terms, "key": self.key}
        return json.dumps(content | {"signature": self.signature.hex()}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> SignedOffer:
        """The inverse. Raises `StepError`."""
        try:
            tree = json.loads(text)
            terms = tree["terms"]
            offer = CounterOffer(
                agreement=AgreementId(int(terms["agreement"])),
                price=Wei(int(terms["price"])),
                purposes=int(terms["purposes"]),
                not_after=int(terms["not_after"]),
                expiry=int(terms["expiry"]),
                salt=bytes.fromhex(terms["salt"]),
            )
            known = tree["format"] == _FORMAT
            signed = cls(offer, Address(str(tree["key"])), bytes.fromhex(tree["signature"]))
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise StepError("not a counter-offer: ask the patient to send the file again") from exc
        if not known:
            raise StepError(f"not a counter-offer: the format is not {_FORMAT}")
        return signed


def domain_of(chain: Contracts, contract: Address) -> Domain:
    """The EIP-712 domain of one of the contracts."""
    return Domain(chain.client.chain_id, contract)


def sign_offer(chain: Contracts, terms: CounterOffer, key: bytes) -> SignedOffer:
    """Sign a counter-offer with the one-time key of the tier that it answers."""
    domain = domain_of(chain, chain.agreements.address)
    return SignedOffer(terms, address_of(key), sign(key, terms, domain))


def check_offer(chain: Contracts, offer: SignedOffer, *, now: int) -> CounterOffer:
    """The terms, if the key signed them for this chain and they have not expired."""
    domain = domain_of(chain, chain.agreements.address)
    try:
        genuine = recover(offer.signature, offer.terms, domain) == offer.key
    except BadSignature:
        genuine = False
    if not genuine:
        raise StepError(
            f"the counter-offer to agreement {offer.terms.agreement} is not signed by its key for "
            "this chain: decline it"
        )
    if offer.terms.expiry < now:
        raise StepError(
            f"the counter-offer to agreement {offer.terms.agreement} expired: ask for a new one"
        )
    return offer.terms
