"""Mail that somebody left to harm the relayer, and a relayer that has no coins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.consent_types import consent_id
from chain.keys import address_of
from chain.rpc import request
from chain.typed_data import Revoke, compact, sign
from chain.types import NO_ADDRESS, AgreementId
from federated.mail import mail_for, post
from federated.offers import domain_of
from federated.relayer import relay
from tests.e2e import kit
from tests.e2e.kit import World

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
