"""Mail that somebody left to harm the relayer, and a relayer that has no coins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.rpc import request
from chain.types import NO_ADDRESS
from federated.mail import post
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


def _leave(world: World, *messages: list[Any]) -> None:
    body = {"messages": list(messages)}
    post(world.relayer.store, world.relayer.address, "revocations", body)


def test_mail_that_no_contract_can_take_stands_in_nobodys_way(world: World) -> None:
    _leave(world, _withdrawal(key="0x12"))
    _leave(world, _withdrawal(key=[7]))
    _leave(world, _withdrawal(nonce=-1))
    _leave(world, _withdrawal(r=bytes(33)))
    _leave(world, _withdrawal(nonce=1))  # well formed: the contract skips it
    report = relay(world.relayer)
    assert report.sent == 1
    assert len([text for text in report.refused if "not a message of that kind" in text]) == 4
    again = relay(world.relayer)
    assert (again.sent, again.refused) == (0, [])


def test_mail_too_large_for_any_block_stands_in_nobodys_way(world: World) -> None:
    _leave(world, *(_withdrawal(nonce=nonce) for nonce in range(6000)))
    _leave(world, _withdrawal())
    assert relay(world.relayer).sent == 1
    assert relay(world.relayer).sent == 0


def test_mail_waits_until_the_relayer_has_coins(world: World) -> None:
    _leave(world, _withdrawal())
    request(world.anvil.url, "anvil_setBalance", world.relayer.address, "0x0")
    report = relay(world.relayer)
    assert (report.sent, len(report.refused)) == (0, 1)
    world.anvil.fund(world.relayer.address, kit.COINS)
    assert relay(world.relayer).sent == 1
