"""Messages left at the API take the effect that they ask for, once, and no other does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from api.cli.main import main
from api.home import PASSPHRASE as PASSPHRASE_VARIABLE
from api.home import HomeRole
from api.server.settings import read_settings
from chain.consent_types import RevokeMessage, consent_id
from chain.keys import PatientSecret, new_phrase
from chain.rpc import request
from chain.typed_data import (
    Admission,
    CancelCounterOffer,
    Claim,
    ClaimBonus,
    CounterOffer,
    Domain,
    Revoke,
    compact,
    hash_ids,
    sign,
)
from chain.types import Address, AgreementId, ConsentId, Wei
from federated.center import accept
from federated.counter_offers import offers_for
from federated.offers import SignedOffer, cancelled_at
from federated.patient import Patient, SignedGrant
from federated.relayer import relay
from storage.cid import Cid
from tests.api.serving import PASSPHRASE, PATIENT, Served, make_home, revocation, serving
from tests.e2e import kit
from tests.e2e.kit import Asked, World

pytestmark = pytest.mark.engine("anvil")

LATER = 3600
TO = Address("0x" + "00" * 19 + "77")


def standing(world: World, hospital: str, place: int) -> Asked:
    found = [a for a in world.patients if (a.hospital, a.will) == (hospital, "grants")]
    return found[place]


def withdrawal(world: World, asked: Asked) -> RevokeMessage:
    agreement = world.tiers[asked.hospital, asked.will]
    return world.patient(asked).revoke(agreement, deadline=world.clock.now() + LATER)


def posted(served: Served, what: str, body: Any, status: int = 202) -> Any:
    answer = served.client.post(f"/v1/relay/{what}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def is_revoked(world: World, asked: Asked) -> bool:
    slot = world.center.chain.consents.consent(
        world.consent_of(asked), block_identifier=world.center.head()
    )
    return bool(slot.revoked)


def stranger(world: World) -> Patient:
    return Patient(PatientSecret(new_phrase()), world.relayer.chain)


def burn(world: World) -> dict[str, Any]:
    """A withdrawal of an id that nobody granted: anyone can make as many as they like."""
    agreement = world.tiers["north", "grants"]
    until = world.clock.now() + LATER
    return revocation(stranger(world).revoke(agreement, deadline=until, unseen=True))


def test_a_withdrawal_takes_effect_and_its_receipt_tells_so(served: Served) -> None:
    world, asked = served.world, standing(served.world, "north", 0)
    body = revocation(withdrawal(world, asked))
    left = posted(served, "revocations", body)
    assert left["status"] == "pending"
    assert posted(served, "revocations", body) == left
    assert not relay(world.relayer).refused
    assert is_revoked(world, asked)
    told = served.get(f"/v1/relay/receipts/{left['receipt']}")
    assert told["status"] == "done"
    assert told["block"] > 0
    assert told["transaction"].startswith("0x")
    assert posted(served, "revocations", body)["status"] == "done"
    usage = served.get(f"/v1/consents/{world.consent_of(asked).hex()}/usage")
    assert usage["revoked"] == told["block"]


def test_a_withdrawal_is_not_sent_twice_by_another_message(served: Served) -> None:
    world, asked = served.world, standing(served.world, "north", 1)
    first = withdrawal(world, asked)
    key = world.patient(asked).key_for(first.agreement)
    posted(served, "revocations", revocation(first))
    relay(world.relayer)
    later = first.deadline + 1
    again = Revoke(world.consent_of(asked), later)
    r, vs = compact(sign(key, again, _domain(world, "Consents")))
    message = replace(first, deadline=later, r=r, vs=vs)
    found = posted(served, "revocations", revocation(message), 409)
    assert found["type"].endswith("already-done")


@pytest.mark.parametrize(
    "domain",
    [
        lambda world: Domain(1, world.deployment.address_of("Consents")),
        lambda world: Domain(world.deployment.chain_id, world.deployment.address_of("Escrow")),
    ],
    ids=["another chain", "another contract"],
)
def test_a_signature_for_elsewhere_is_refused_before_it_is_put_anywhere(
    served: Served, domain: Callable[[World], Domain]
) -> None:
    world, asked = served.world, standing(served.world, "north", 2)
    mine = withdrawal(world, asked)
    key = world.patient(asked).key_for(mine.agreement)
    signed = Revoke(world.consent_of(asked), mine.deadline)
    r, vs = compact(sign(key, signed, domain(world)))
    before = _mail(world)
    found = posted(served, "revocations", revocation(replace(mine, r=r, vs=vs)), 403)
    assert found["type"].endswith("bad-signature")
    assert _mail(world) == before


@pytest.mark.parametrize("field", ["nonce", "agreement", "deadline", "r", "vs", "key"])
def test_one_changed_field_makes_a_withdrawal_nobodys(served: Served, field: str) -> None:
    body = revocation(withdrawal(served.world, standing(served.world, "north", 3)))
    changed = body | {
        field: body[field] + 1
        if isinstance(body[field], int)
        else TO
        if field == "key"
        else body[field][:-1] + ("0" if body[field][-1] != "0" else "1")
    }
    assert posted(served, "revocations", changed, 403)["type"].endswith("bad-signature")


def test_an_expired_withdrawal_is_told_to_be_signed_anew(served: Served) -> None:
    world, asked = served.world, standing(served.world, "north", 4)
    agreement = world.tiers["north", "grants"]
    message = world.patient(asked).revoke(agreement, deadline=world.clock.now() - 1)
    assert posted(served, "revocations", revocation(message), 409)["type"].endswith("expired")


def test_a_grant_reaches_its_hospital_by_the_receipt(served: Served) -> None:
    world, agreement = served.world, served.world.tiers["north", "grants"]
    grant = stranger(world).grant(agreement, deadline=world.clock.now() + LATER)
    left = posted(served, "grants", grant.to_json())
    assert (left["status"], left["kind"]) == ("pending", "grant")
    answer = served.client.get(f"/v1/relay/receipts/{left['receipt']}/grant")
    assert answer.headers["etag"] == f'"{left["receipt"]}"'
    assert SignedGrant.from_json(answer.json()) == grant
    assert posted(served, "admissions", _admission(world, "north", [grant]))["kind"] == "grants"
    assert not relay(world.relayer).refused
    assert served.get(f"/v1/relay/receipts/{left['receipt']}")["status"] == "done"
    assert posted(served, "grants", grant.to_json())["status"] == "done"


def test_a_grant_under_other_terms_or_another_key_is_refused(served: Served) -> None:
    world, agreement = served.world, served.world.tiers["north", "grants"]
    body = stranger(world).grant(agreement, deadline=world.clock.now() + LATER).to_json()
    for change in (
        {"agreement": world.tiers["harbor", "grants"]},
        {"key": TO},
        {"id": "11" * 32},
        {"nonce": 1},
    ):
        assert posted(served, "grants", body | change, 403)["type"].endswith("bad-signature")
    found = posted(served, "grants", body | {"agreement": 1000}, 404)
    assert found["type"].endswith("no-such-agreement")


def test_without_the_hospitals_signature_no_batch_is_taken(served: Served) -> None:
    world = served.world
    grant = stranger(world).grant(
        world.tiers["north", "grants"], deadline=world.clock.now() + LATER
    )
    body = _admission(world, "north", [grant], signer="harbor")
    assert posted(served, "admissions", body, 403)["type"].endswith("bad-signature")


def test_a_batch_that_took_effect_is_not_paid_for_again(served: Served) -> None:
    world = served.world
    grant = stranger(world).grant(
        world.tiers["north", "grants"], deadline=world.clock.now() + LATER
    )
    posted(served, "admissions", _admission(world, "north", [grant]))
    relay(world.relayer)
    other = _admission(world, "north", [grant], extra=60)
    assert posted(served, "admissions", other, 409)["type"].endswith("already-done")


def test_a_claim_needs_no_proof_from_the_patient_and_pays_once(served: Served) -> None:
    world, asked = served.world, standing(served.world, "harbor", 0)
    body = _claim(world, asked)
    left = posted(served, "claims", body)
    assert not relay(world.relayer).refused
    assert served.get(f"/v1/relay/receipts/{left['receipt']}")["status"] == "done"
    token = world.center.chain.token(world.deployment.address_of("DevelopmentToken"))
    assert token.balance_of(TO, block_identifier=world.center.head()) == 2 * kit.TOKEN
    assert served.get(f"/v1/consents/{world.consent_of(asked).hex()}/claim")["paid"] is True
    again = _claim(world, asked, later=60)
    assert posted(served, "claims", again, 409)["type"].endswith("already-done")


def test_a_claim_for_another_recipient_is_refused(served: Served) -> None:
    body = _claim(served.world, standing(served.world, "harbor", 1)) | {
        "recipient": "0x" + "8" * 40
    }
    assert posted(served, "claims", body, 403)["type"].endswith("bad-signature")


def test_a_claim_of_a_consent_in_no_cohort_has_to_wait(served: Served) -> None:
    world = served.world
    asked = next(a for a in world.patients if a.will == "other purpose")
    assert posted(served, "claims", _claim(world, asked), 409)["type"].endswith("not-now")


def test_a_bonus_before_its_time_has_to_wait(served: Served) -> None:
    world, asked = served.world, standing(served.world, "harbor", 2)
    agreement = world.tiers["harbor", "grants"]
    deadline = world.clock.now() + LATER
    key = world.patient(asked).key_for(agreement)
    message = ClaimBonus(world.consent_of(asked), TO, deadline)
    body = {
        "key": world.patient(asked).address_for(agreement),
        "agreement": agreement,
        "recipient": TO,
        "deadline": deadline,
        "signature": "0x" + sign(key, message, _domain(world, "Escrow")).hex(),
    }
    assert posted(served, "bonuses", body, 409)["type"].endswith("not-now")


def test_a_counter_offer_reaches_the_center_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, agreement = served.world, served.world.tiers["north", "grants"]
    tier = world.center.chain.agreements.tier(agreement, block_identifier=world.center.head())
    price = Wei(123_456_789_012_345_678_901)
    terms = CounterOffer(
        AgreementId(agreement),
        price,
        tier.purposes,
        tier.not_after,
        world.clock.now() + LATER,
        bytes([5]) * 32,
    )
    offer = stranger(world).counter(terms)
    body = json.loads(offer.to_json())
    left = posted(served, "counter-offers", body)
    assert posted(served, "counter-offers", body) == left
    assert offers_for(world.center) == [offer]
    assert offers_for(world.relayer) == offers_for(world.auditor) == []
    sealed = world.center.store.get_block(Cid.parse(left["receipt"]))
    for text in (str(price), offer.key[2:].lower()):
        assert text.encode() not in sealed
        assert bytes.fromhex(offer.key[2:]) not in sealed
    opened = accept(world.center, _inbox(world, monkeypatch), max_count=20, text="agreed")
    found = served.get("/v1/studies/1/tiers?limit=50")["items"]
    assert [t["price"] for t in found if t["agreement"] == opened] == [str(price)]
    changed = body | {"terms": body["terms"] | {"price": str(price + 1)}}
    assert posted(served, "counter-offers", changed, 403)["type"].endswith("bad-signature")


def test_a_counter_offer_is_taken_back_and_its_receipt_tells_so(served: Served) -> None:
    world, patient = served.world, stranger(served.world)
    offer = _counter(world, patient)
    body = _cancellation(patient, offer)
    left = posted(served, "cancellations", body)
    assert (left["status"], left["kind"]) == ("pending", "cancellation")
    assert posted(served, "cancellations", body) == left
    assert not relay(world.relayer).refused
    told = served.get(f"/v1/relay/receipts/{left['receipt']}")
    assert told["status"] == "done"
    assert told["transaction"].startswith("0x")
    assert told["block"] == cancelled_at(world.center.chain, offer, world.center.head())
    assert posted(served, "cancellations", body)["status"] == "done"
    late = posted(served, "counter-offers", json.loads(offer.to_json()), 409)
    assert late["type"].endswith("already-done")
    assert offer not in offers_for(world.center)


def test_a_cancellation_is_judged_before_it_costs_anything(served: Served) -> None:
    world, patient = served.world, stranger(served.world)
    offer = _counter(world, patient)
    body, before = _cancellation(patient, offer), _mail(world)
    key = patient.key_for(offer.terms.agreement)
    elsewhere = Domain(1, world.deployment.address_of("Agreements"))
    message = CancelCounterOffer(offer.terms.digest(_domain(world, "Agreements")), LATER)
    for change in (
        {"key": TO},
        {"offer": "11" * 32},
        {"deadline": body["deadline"] + 1},
        {"signature": offer.signature.hex()},
        {"deadline": LATER, "signature": sign(key, message, elsewhere).hex()},
    ):
        found = posted(served, "cancellations", body | change, 403)
        assert found["type"].endswith("bad-signature")
    old = _counter(world, patient, expiry=world.clock.now() - 1)
    found = posted(served, "cancellations", _cancellation(patient, old), 409)
    assert found["type"].endswith("expired")
    assert _mail(world) == before


def test_a_cancelled_offer_is_not_cancelled_again_by_another_message(served: Served) -> None:
    world, patient = served.world, stranger(served.world)
    offer = _counter(world, patient)
    posted(served, "cancellations", _cancellation(patient, offer))
    assert not relay(world.relayer).refused
    domain, until = _domain(world, "Agreements"), offer.terms.expiry + 1
    message = CancelCounterOffer(offer.terms.digest(domain), until)
    signature = sign(patient.key_for(offer.terms.agreement), message, domain)
    again = _cancellation(patient, offer) | {"deadline": until, "signature": signature.hex()}
    assert posted(served, "cancellations", again, 409)["type"].endswith("already-done")


def test_cancellations_are_bounded_for_each_sender(served: Served) -> None:
    world = served.world
    with serving(world, settings=read_settings(relay_rate=1, **PATIENT)) as narrow:
        bodies = [_cancellation(p, _counter(world, p)) for p in map(stranger, [world] * 2)]
        posted(narrow, "cancellations", bodies[0])
        refused = narrow.client.post("/v1/relay/cancellations", json=bodies[1])
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1


def test_a_withdrawal_that_stands_passes_a_sender_who_may_leave_nothing_more(
    served: Served,
) -> None:
    world = served.world
    with serving(world, settings=read_settings(relay_rate=2, **PATIENT)) as narrow:
        *first, last = [burn(world) for _ in range(3)]  # made before: a place comes free in 30 s
        for body in first:
            posted(narrow, "revocations", body)
        refused = narrow.client.post("/v1/relay/revocations", json=last)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        for place in (5, 6, 7):
            asked = standing(world, "north", place)
            posted(narrow, "revocations", revocation(withdrawal(world, asked)))
        assert not relay(world.relayer).refused
        assert all(is_revoked(world, standing(world, "north", place)) for place in (5, 6, 7))


def test_a_message_that_the_contract_skips_is_told_as_refused(served: Served) -> None:
    world, asked = served.world, standing(served.world, "north", 8)
    message = withdrawal(world, asked)
    left = posted(served, "revocations", revocation(message))
    request(world.anvil.url, "evm_increaseTime", hex(LATER + 60))
    request(world.anvil.url, "evm_mine")
    relay(world.relayer)
    told = served.get(f"/v1/relay/receipts/{left['receipt']}")
    assert told["status"] == "refused"
    assert "expired" in told["why"]
    assert not is_revoked(world, asked)


def test_receipts_are_known_after_a_restart(served: Served) -> None:
    world, asked = served.world, standing(served.world, "north", 9)
    body = revocation(withdrawal(world, asked))
    left = posted(served, "revocations", body)
    with serving(world) as later:
        assert later.get(f"/v1/relay/receipts/{left['receipt']}") == left
        assert posted(later, "revocations", body) == left


def test_the_home_of_another_role_relays_nothing(served: Served) -> None:
    world, asked = served.world, standing(served.world, "valley", 0)
    home = make_home(world, "auditor", HomeRole.AUDITOR)
    before = _mail(world)
    with serving(world, home) as reading:
        body = revocation(withdrawal(world, asked))
        assert posted(reading, "revocations", body, 403)["type"].endswith("read-only")
        assert reading.get("/v1/ready")["relays"] is False
        assert reading.get("/v1/studies")["items"]
    assert _mail(world) == before


def test_a_disk_that_takes_nothing_is_one_clear_error(served: Served) -> None:
    world, asked = served.world, standing(served.world, "valley", 3)
    own, aside = world.folder / "relayer" / "api", world.folder / "relayer" / "aside"
    own.rename(aside)
    own.write_text("a file where a folder must be")
    try:
        found = posted(served, "revocations", revocation(withdrawal(world, asked)), 503)
    finally:
        own.unlink()
        aside.rename(own)
    assert found["type"].endswith("not-ready")
    assert str(world.folder) not in json.dumps(found)


def test_the_queue_of_the_relayer_is_measured(served: Served) -> None:
    world, asked = served.world, standing(served.world, "valley", 1)
    relay(world.relayer)
    posted(served, "revocations", revocation(withdrawal(world, asked)))
    assert "consilium_relay_queue 1.0" in served.client.get("/metrics").text
    relay(world.relayer)
    assert "consilium_relay_queue 0.0" in served.client.get("/metrics").text


def test_nothing_that_was_left_shows_in_the_log(served: Served) -> None:
    world, asked = served.world, standing(served.world, "valley", 2)
    body = revocation(withdrawal(world, asked))
    posted(served, "revocations", body)
    text = served.log.getvalue().lower()
    assert "/v1/relay/revocations" in text
    consent = world.consent_of(asked).hex()
    for secret in (consent, body["key"], body["key"][2:], body["r"][2:]):
        assert str(secret).lower() not in text


@pytest.fixture(scope="module", autouse=True)
def _all_is_sent(served: Served) -> Iterator[None]:
    """What the tests left is mail that the relayer takes: nothing waits for ever."""
    yield
    relay(served.world.relayer)
    assert relay(served.world.relayer).sent == 0


def _counter(world: World, patient: Patient, expiry: int | None = None) -> SignedOffer:
    agreement, head = world.tiers["north", "grants"], world.center.head()
    tier = world.center.chain.agreements.tier(agreement, block_identifier=head)
    until = world.clock.now() + LATER if expiry is None else expiry
    asked = (agreement, Wei(7), tier.purposes, tier.not_after, until)
    return patient.counter(CounterOffer(*asked, os.urandom(32)))


def _cancellation(patient: Patient, offer: SignedOffer) -> dict[str, Any]:
    message = patient.cancel(offer)
    given = {"key": message.key, "deadline": message.deadline}
    return given | {"offer": message.offer.hex(), "signature": message.signature.hex()}


def _inbox(world: World, monkeypatch: pytest.MonkeyPatch) -> SignedOffer:
    """What the center's own command writes."""
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    home = make_home(world, "center", HomeRole.CENTER)
    folder = world.folder / "counters"
    assert main(["--home", str(home.path), "offer", "inbox", "--out", str(folder)]) == 0
    (path,) = folder.iterdir()
    return SignedOffer.from_json(path.read_text())


def _mail(world: World) -> int:
    return sum(1 for path in (world.folder / "store" / "topics").rglob("*") if path.is_file())


def _domain(world: World, contract: str) -> Domain:
    return Domain(world.deployment.chain_id, world.deployment.address_of(contract))


def _claim(world: World, asked: Asked, later: int = 0) -> dict[str, Any]:
    agreement = world.tiers[asked.hospital, asked.will]
    patient, consent = world.patient(asked), world.consent_of(asked)
    deadline = world.clock.now() + LATER + later
    signature = sign(
        patient.key_for(agreement), Claim(consent, TO, deadline), _domain(world, "Escrow")
    )
    return {
        "consent": consent.hex(),
        "key": patient.address_for(agreement),
        "nonce": 0,
        "recipient": TO,
        "deadline": deadline,
        "signature": signature.hex(),
    }


def _admission(
    world: World, hospital: str, grants: list[SignedGrant], *, signer: str = "", extra: int = 0
) -> dict[str, Any]:
    agreement, deadline = grants[0].agreement, world.clock.now() + LATER + extra
    ids = [ConsentId(grant.message.id) for grant in grants]
    assert ids == [consent_id(g.key, agreement, g.message.nonce) for g in grants]
    admission = Admission(agreement, hash_ids(ids), deadline)
    key = world.keys[signer or hospital].account
    messages = [
        {
            "id": m.id.hex(),
            "nonce": m.nonce,
            "deadline": m.deadline,
            "r": m.r.hex(),
            "vs": m.vs.hex(),
        }
        for m in (grant.message for grant in grants)
    ]
    return {
        "agreement": agreement,
        "messages": messages,
        "deadline": deadline,
        "admission": sign(key, admission, _domain(world, "Consents")).hex(),
    }
