"""Counter-offers: what a patient asks of a tier, signed with the one-time key for it.

They travel as files or through the API, never on-chain: a price that was only asked for is nobody's
matter but the patient's and the center's. A cancellation stands there, and names a digest.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from chain.contracts import Contracts
from chain.errors import BadSignature
from chain.keys import address_of
from chain.typed_data import CancelCounterOffer, CounterOffer, Domain, recover, sign
from chain.types import Address, AgreementId, BlockNumber, Call, Wei
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
            _require_fit(offer)
            known = tree["format"] == _FORMAT
            signed = cls(offer, Address(str(tree["key"])), bytes.fromhex(tree["signature"]))
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise StepError("not a counter-offer: ask the patient to send the file again") from exc
        if not known:
            raise StepError(f"not a counter-offer: the format is not {_FORMAT}")
        return signed


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A key's word that a counter-offer holds no more; `offer` is its digest."""

    key: Address
    offer: bytes
    deadline: int
    signature: bytes

    def body(self) -> dict[str, Any]:
        """As mail to a relayer."""
        return asdict(self)

    def call(self, chain: Contracts) -> Call:
        """The transaction, which anyone may send."""
        return chain.agreements.cancel_counter_offer(
            self.key, self.offer, self.deadline, self.signature
        )


def domain_of(chain: Contracts, contract: Address) -> Domain:
    """The EIP-712 domain of one of the contracts."""
    return Domain(chain.client.chain_id, contract)


def sign_offer(chain: Contracts, terms: CounterOffer, key: bytes) -> SignedOffer:
    """Sign a counter-offer with the one-time key of the tier that it answers."""
    domain = domain_of(chain, chain.agreements.address)
    return SignedOffer(terms, address_of(key), sign(key, terms, domain))


def check_offer(
    chain: Contracts, offer: SignedOffer, *, now: int, block: BlockNumber
) -> CounterOffer:
    """The terms, if the key signed them for this chain, and they are neither expired nor cancelled.

    `now` is in seconds, `block` the one after which it must not be cancelled. Raises `StepError`.
    """
    domain = domain_of(chain, chain.agreements.address)
    what = f"the counter-offer to agreement {offer.terms.agreement}"
    try:
        genuine = recover(offer.signature, offer.terms, domain) == offer.key
    except BadSignature:
        genuine = False
    if not genuine:
        raise StepError(f"{what} is not signed by its key for this chain: decline it")
    if offer.terms.expiry < now:
        raise StepError(f"{what} expired: only a new one counts")
    if cancelled := cancelled_at(chain, offer, block):
        raise StepError(f"{what} was cancelled in block {cancelled}: only a new one counts")
    return offer.terms


def cancelled_at(chain: Contracts, offer: SignedOffer, block: BlockNumber) -> BlockNumber:
    """The block in which its key cancelled a counter-offer, as of `block`; 0 where it did not."""
    digest = offer.terms.digest(domain_of(chain, chain.agreements.address))
    return chain.agreements.cancelled_at(offer.key, digest, block_identifier=block)


def sign_cancellation(chain: Contracts, terms: CounterOffer, key: bytes) -> Cancellation:
    """Sign that a counter-offer holds no more.

    Good until the offer expires by itself: there is one such message, however often it is signed.
    """
    domain = domain_of(chain, chain.agreements.address)
    message = CancelCounterOffer(terms.digest(domain), terms.expiry)
    signature = sign(key, message, domain)
    return Cancellation(address_of(key), message.offer, message.deadline, signature)


def _require_fit(offer: CounterOffer) -> None:
    """A number that no contract holds, or a salt that is padded to another's, is nobody's offer."""
    words = (offer.agreement, offer.price, offer.purposes)
    fit = all(0 <= word < 1 << 256 for word in words)
    fit &= all(0 <= second < 1 << 64 for second in (offer.not_after, offer.expiry))
    if not fit or len(offer.salt) != 32:
        raise ValueError("a field does not fit its type")
