"""Mail that somebody left to harm the relayer or to keep it busy, and a relayer without coins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain.client import Client
from chain.consent_types import consent_id
from chain.keys import PatientSecret, address_of, new_phrase
from chain.rpc import request
from chain.typed_data import Revoke, compact, sign
from chain.types import NO_ADDRESS, AgreementId
from federated.claims import Standing, claim_message, paying_cohorts
from federated.mail import mail_for, post
from federated.offers import domain_of
from federated.patient import Patient
from federated.relayer import relay
from storage.cid import Cid
from tests.e2e import kit
from tests.e2e.kit import Asked, World

pytestmark = pytest.mark.engine("anvil")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Parties and contracts, no study."""
    built = kit.build_world(tmp_path / "world")
    with built.anvil:
        yield built
        built.forget()


def _withdrawal(*, key: Any = NO_ADDRESS, nonce: Any = 0, r: bytes = bytes(32)) -> list[Any]:
    return [key, 1, nonce, 1 << 40, r, bytes(32)]


def _signed(world: World, nonce: int = 0) -> list[Any]:
    """By a key that never granted: so far sound."""
    key, deadline = os.urandom(32), 1 << 40
    name = consent_id(address_of(key), AgreementId(1), nonce)
    domain = domain_of(world.relayer.chain, world.relayer.chain.consents.address)
    r, vs = compact(sign(key, Revoke(name, deadline), domain))
    return [address_of(key), 1, nonce, deadline, r, vs]


def _leave(world: World, *messages: list[Any]) -> None:
    body = {"messages": list(messages)}
    post(world.relayer.store, world.relayer.address, "revocations", body)


def test_mail_that_no_contract_can_take_stands_in_nobodys_way(world: World) -> None:
    _leave(world, _withdrawal(key="0x12"))
    _leave(world, _withdrawal(key=[7]))
    _leave(world, _withdrawal(nonce=-1))
    _leave(world, _withdrawal(r=bytes(33)))
    _leave(world, _signed(world, nonce=1))  # well formed: the contract skips it
    report = relay(world.relayer)
    assert report.sent == 1
    assert len([text for text in report.refused if "not a message of that kind" in text]) == 4
    again = relay(world.relayer)
    assert (again.sent, again.refused) == (0, [])


def test_mail_too_large_for_any_block_stands_in_nobodys_way(world: World) -> None:
    _leave(world, _signed(world), *(_withdrawal(nonce=nonce) for nonce in range(6000)))
    _leave(world, _signed(world))
    assert relay(world.relayer).sent == 1
    assert relay(world.relayer).sent == 0


def test_mail_waits_until_the_relayer_has_coins(world: World) -> None:
    _leave(world, _signed(world))
    request(world.anvil.url, "anvil_setBalance", world.relayer.address, "0x0")
    report = relay(world.relayer)
    assert (report.sent, len(report.refused)) == (0, 1)
    world.anvil.fund(world.relayer.address, kit.COINS)
    assert relay(world.relayer).sent == 1


def test_signatures_of_nobody_cost_the_relayer_nothing(world: World) -> None:
    coins = world.relayer.chain.client.node.balance(world.relayer.address, block="latest")
    _leave(world, _withdrawal(), _withdrawal(nonce=3))
    old = _signed(world)
    _leave(world, [*old[:3], 1, *old[4:]])
    report = relay(world.relayer)
    assert report.sent == 0
    assert ["bad signature" in text for text in report.refused].count(True) == 1
    assert ["expired" in text for text in report.refused].count(True) == 1
    assert world.relayer.chain.client.node.balance(world.relayer.address, block="latest") == coins


def test_copies_of_batches_that_were_sent_cost_the_relayer_nothing(granted: World) -> None:
    relayer = granted.relayer
    kit.revoke(granted, granted.patients[0])
    relay(relayer)
    coins = relayer.chain.client.node.balance(relayer.address, block="latest")
    for mail in list(mail_for(relayer.store, relayer.address)):
        post(relayer.store, relayer.address, mail.kind, {**mail.body, "again": 1})
    report = relay(relayer)
    assert report.sent == 0
    assert report.refused
    assert all("already used" in text for text in report.refused)
    assert relayer.chain.client.node.balance(relayer.address, block="latest") == coins


# ------------------------------------------------------------------ claims that do not pay yet


def _someone_paid(world: World) -> tuple[Asked, Standing]:
    """A patient whose consent stands in the round that pays, and where."""
    chain, store = world.relayer.chain, world.relayer.store
    cohorts = paying_cohorts(chain, store, world.study, world.relayer.head())
    standings = {name: found for cohort in cohorts for name, found in cohort.items()}
    asked = next(one for one in world.patients if world.consent_of(one) in standings)
    return asked, standings[world.consent_of(asked)]


def _claim(world: World, asked: Asked, patient: Patient, standing: Standing) -> dict[str, Any]:
    return claim_message(
        patient,
        standing,
        agreement=world.tiers[asked.hospital, asked.will],
        nonce=0,
        recipient=world.center.address,
        deadline=world.clock.now() + 86_400,
    )


def _leave_copies(world: World, asked: Asked, standing: Standing, count: int) -> None:
    """Of a claim of this very leaf, by keys of nobody, in the round that does not pay yet."""
    later = replace(standing, freeze=kit.freeze_of(world, 2, asked.hospital))
    for _ in range(count):
        nobody = Patient(PatientSecret(new_phrase()), world.relayer.chain)
        body = _claim(world, asked, nobody, later)
        post(world.relayer.store, world.relayer.address, "claim", body)


@dataclass
class Watched:
    """How often the relayer sends, with what it is to find in its mail after the first time."""

    client: Client
    meanwhile: Callable[[], None] = lambda: None
    sent: int = 0

    def send_many(self, calls: Any) -> Any:
        results = Client.send_many(self.client, calls)
        self.sent += 1
        if self.sent == 1:
            self.meanwhile()
        return results


def _watch(world: World, patch: pytest.MonkeyPatch, **meanwhile: Callable[[], None]) -> Watched:
    watched = Watched(world.relayer.chain.client, **meanwhile)
    patch.setattr(world.relayer.chain.client, "send_many", watched.send_many)
    return watched


def test_copies_of_a_claim_that_may_pay_later_have_no_turn_each_and_hide_no_genuine_one(
    submitted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, standing = _someone_paid(submitted)
    genuine = _claim(submitted, asked, submitted.patient(asked), standing)
    cid = post(submitted.relayer.store, submitted.relayer.address, "claim", genuine)
    _leave_copies(submitted, asked, standing, 30)
    while (left := _left(submitted))[0] == cid:  # it is to stand behind others
        _leave_copies(submitted, asked, standing, 1)
    watched, junk = _watch(submitted, monkeypatch), len(left) - 1
    report = relay(submitted.relayer)
    assert (report.sent, len(report.refused)) == (1, junk)
    assert all("RoundDoesNotPay" in text for text in report.refused)
    assert watched.sent == 2
    again = relay(submitted.relayer)
    assert (again.sent, len(again.refused)) == (0, junk), "the round may still come to pay"
    assert watched.sent == 3


def _left(world: World) -> list[Cid]:
    found = mail_for(world.relayer.store, world.relayer.address)
    return [mail.cid for mail in found if mail.kind == "claim"]


def test_a_withdrawal_that_comes_during_a_pass_goes_before_what_still_waits(
    submitted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, standing = _someone_paid(submitted)
    _leave_copies(submitted, asked, standing, 3)
    leaving = next(one for one in submitted.patients if one != asked and one.will == "grants")
    watched = _watch(submitted, monkeypatch, meanwhile=lambda: _withdraw(submitted, leaving))
    report = relay(submitted.relayer)
    assert (report.sent, len(report.refused)) == (1, 3)
    assert watched.sent == 2
    slot = submitted.relayer.chain.consents.consent(
        submitted.consent_of(leaving), block_identifier=submitted.relayer.head()
    )
    assert slot.revoked


def _withdraw(world: World, asked: Asked) -> None:
    agreement = world.tiers[asked.hospital, asked.will]
    signed = world.patient(asked).revoke(agreement, deadline=world.clock.now() + 3600)
    _leave(world, [signed.key, agreement, signed.nonce, signed.deadline, signed.r, signed.vs])
