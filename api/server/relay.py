"""Relay: whoever has no coins leaves what it signed, and a relayer sends it or hands it on.

Withdrawals go first: they have threads and places of their own, and one of a consent that stands
is never refused for its sender's rate. That of an id which was never granted is: anyone can make
keys without end, and each would cost the relayer gas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from pydantic import Field

from api.server.desk import Desk, Left
from api.server.fates import Fate, fate_of
from api.server.judging import (
    check_admission,
    check_bonus,
    check_cancellation,
    check_claim,
    check_counter,
    check_grant,
    check_revocation,
)
from api.server.messages import (
    AdmissionIn,
    BonusIn,
    CancellationIn,
    ClaimIn,
    CounterOfferIn,
    GrantIn,
    RevocationIn,
)
from api.server.problems import ApiProblem, documented
from api.server.site import TAGGED, Sender, Site, TheSite, ask, immutable, router
from api.server.text import Account, Answer, Given
from api.server.workers import View
from chain.consent_types import GrantMessage
from chain.types import Address, AgreementId
from federated.counter_offers import KIND as COUNTER
from federated.counter_offers import send_offer
from federated.mail import post
from federated.patient import SignedGrant
from storage.cid import Cid
from storage.errors import MalformedCid

routes = router("relay")

Receipt = Annotated[
    str,
    Path(
        pattern="^bafyrei[a-z2-7]{52}$",
        title="Receipt",
        description="What leaving the message gave.",
        examples=["bafyreifqwkmiw256ojf2zws6tzjeonw6bpd5vza4i22ccpcq4hjv2ts7cm"],
    ),
]


class GrantFile(Answer):
    """A grant as `consilium hospital admit` reads it; bytes are plain hexadecimal there."""

    format: Literal["consilium/grant/1"] = Field(title="Format")
    key: Account = Field(title="Key")
    agreement: int = Field(title="Agreement")
    id: str = Field(title="Id", pattern="^[0-9a-f]{64}$")
    nonce: int = Field(title="Nonce")
    deadline: int = Field(title="Deadline")
    r: str = Field(title="r", pattern="^[0-9a-f]{64}$")
    vs: str = Field(title="vs", pattern="^[0-9a-f]{64}$")


_LEAVE = (
    *("read-only", "no-such-agreement", "slow-body", "already-done", "not-now"),
    *("body-too-large", "wrong-content-type", "invalid", "bad-signature", "expired", "refused"),
    *("too-many-requests", "node-unreachable", "store-unreachable", "not-ready"),
)
_LEFT: dict[str, Any] = {"status_code": 202, "responses": documented(*_LEAVE)}


@routes.post("/relay/revocations", summary="Leave a withdrawal", **_LEFT)
async def leave_revocation(site: TheSite, sender: Sender, given: RevocationIn) -> Fate:
    """Free, and sent before anything else; once it is on the chain, no later round uses the data.

    A withdrawal of an id that was not granted yet burns it: nobody can use the grant any more.
    """
    return await ask(site, lambda view: _revoke(site, view, sender, given), urgent=True)


@routes.post("/relay/grants", summary="Leave a consent for the hospital", **_LEFT)
async def leave_grant(site: TheSite, sender: Sender, given: GrantIn) -> Fate:
    """The hospital reads it by its receipt, which the patient shows there, and admits it."""
    site.relays.take(sender)
    return await ask(site, lambda view: _grant(site, view, given))


@routes.post("/relay/admissions", summary="Leave consents that a hospital admits", **_LEFT)
async def leave_admission(site: TheSite, sender: Sender, given: AdmissionIn) -> Fate:
    """A batch of grants with the hospital's signature over their ids."""
    site.relays.take(sender)
    return await ask(site, lambda view: _admission(site, view, given))


@routes.post("/relay/counter-offers", summary="Leave a counter-offer", **_LEFT)
async def leave_counter_offer(site: TheSite, sender: Sender, given: CounterOfferIn) -> Fate:
    """Sealed to the center, which answers by opening a tier or by silence."""
    site.relays.take(sender)
    return await ask(site, lambda view: _counter(site, view, given))


@routes.post("/relay/cancellations", summary="Leave a cancellation", **_LEFT)
async def leave_cancellation(site: TheSite, sender: Sender, given: CancellationIn) -> Fate:
    """A counter-offer taken back: once it is on the chain, no center takes it up any more.

    The chain learns a digest, and nothing of the terms.
    """
    site.relays.take(sender)
    return await ask(site, lambda view: _cancellation(site, view, given))


@routes.post(
    "/relay/claims",
    summary="Leave a claim",
    status_code=202,
    responses=documented(*_LEAVE, "no-such-consent", "unsound-record"),
)
async def leave_claim(site: TheSite, sender: Sender, given: ClaimIn) -> Fate:
    """The price of a consent; the proof that the contract asks for is found here."""
    site.relays.take(sender)
    return await ask(site, lambda view: _claim(site, view, given))


@routes.post("/relay/bonuses", summary="Leave a claim of a bonus", **_LEFT)
async def leave_bonus(site: TheSite, sender: Sender, given: BonusIn) -> Fate:
    """A paid patient's part of voided hospitals' bonds, after the end of claims."""
    site.relays.take(sender)
    return await ask(site, lambda view: _bonus(site, view, given))


_ONE = ("read-only", "no-such-receipt", "invalid", "not-in-store")


@routes.get(
    "/relay/receipts/{receipt}",
    summary="Show what became of a message",
    responses=documented(*_ONE, "node-unreachable", "store-unreachable"),
)
async def show_fate(site: TheSite, receipt: Receipt) -> Fate:
    """As far as chain and relayer tell."""
    return await ask(site, lambda view: _fate(site, view, _cid(receipt)))


@routes.get(
    "/relay/receipts/{receipt}/grant",
    summary="Read a consent that waits for its hospital",
    responses=TAGGED | documented(*_ONE, "node-unreachable", "store-unreachable"),
    response_model=GrantFile,
)
async def show_grant(site: TheSite, request: Request, receipt: Receipt) -> Response:
    """The file that `consilium hospital admit` takes. It never changes."""
    found = await ask(site, lambda view: _grant_file(site, view, _cid(receipt)))
    return immutable(
        request,
        receipt,
        lambda: Response(found.model_dump_json(), media_type="application/json"),
    )


def _revoke(site: Site, view: View, sender: str, given: RevocationIn) -> Fate:
    message = given.message()

    def deliver(desk: Desk) -> Cid:
        if not check_revocation(view, message):
            site.relays.take(sender)
        fields = (message.key, message.agreement, message.nonce, message.deadline)
        body = {"messages": [[*fields, message.r, message.vs]]}
        return post(view.store, desk.relayer, "revocations", body)

    return _leave(site, view, "revocations", given, given.deadline, deliver)


def _grant(site: Site, view: View, given: GrantIn) -> Fate:
    grant = given.grant()

    def deliver(_: Desk) -> Cid:
        hospital = check_grant(view, grant).hospital
        fields = {name: getattr(grant.message, name) for name in GrantMessage.__dataclass_fields__}
        body = {"key": grant.key, "agreement": grant.agreement} | fields
        return post(view.store, hospital, "grant", body)

    return _leave(site, view, "grant", given, given.deadline, deliver)


def _admission(site: Site, view: View, given: AdmissionIn) -> Fate:
    def deliver(desk: Desk) -> Cid:
        return post(view.store, desk.relayer, "grants", check_admission(view, given))

    return _leave(site, view, "grants", given, given.deadline, deliver)


def _counter(site: Site, view: View, given: CounterOfferIn) -> Fate:
    def deliver(_: Desk) -> Cid:
        offer = given.offer()
        check_counter(view, offer)
        return send_offer(view.party, offer)

    return _leave(site, view, COUNTER, given, given.terms.expiry, deliver)


def _cancellation(site: Site, view: View, given: CancellationIn) -> Fate:
    def deliver(desk: Desk) -> Cid:
        body = check_cancellation(view, given.cancellation())
        return post(view.store, desk.relayer, "cancellation", body)

    return _leave(site, view, "cancellation", given, given.deadline, deliver)


def _claim(site: Site, view: View, given: ClaimIn) -> Fate:
    def deliver(desk: Desk) -> Cid:
        return post(view.store, desk.relayer, "claim", check_claim(view, desk.relayer, given))

    return _leave(site, view, "claim", given, given.deadline, deliver)


def _bonus(site: Site, view: View, given: BonusIn) -> Fate:
    def deliver(desk: Desk) -> Cid:
        return post(view.store, desk.relayer, "bonus", check_bonus(view, desk.relayer, given))

    return _leave(site, view, "bonus", given, given.deadline, deliver)


def _leave(
    site: Site, view: View, kind: str, given: Given, deadline: int, deliver: Callable[[Desk], Cid]
) -> Fate:
    """The fate of a message that is checked and delivered unless it was."""
    desk = site.at_desk()
    cid = desk.leave(kind, given.model_dump_json(), deadline, lambda: deliver(desk))
    return _fate(site, view, cid)


def _fate(site: Site, view: View, receipt: Cid) -> Fate:
    return fate_of(site.at_desk(), view, _find(site, view, receipt))


def _find(site: Site, view: View, receipt: Cid) -> Left:
    found = site.at_desk().find(view.store, receipt)
    if found is None:
        raise ApiProblem(
            "no-such-receipt", "nothing was left here under it: ask the API that gave it"
        )
    return found


def _grant_file(site: Site, view: View, receipt: Cid) -> GrantFile:
    mail = _find(site, view, receipt).mail
    if mail.kind != "grant":
        raise ApiProblem("no-such-receipt", "it is no consent that waits for a hospital")
    body = mail.body
    message = GrantMessage(*(body[name] for name in GrantMessage.__dataclass_fields__))
    grant = SignedGrant(Address(body["key"]), AgreementId(body["agreement"]), message)
    return GrantFile.model_validate(grant.to_json())


def _cid(text: str) -> Cid:
    try:
        return Cid.parse(text)
    except MalformedCid as exc:
        raise ApiProblem("no-such-receipt", "it is no CID: copy the receipt again") from exc
