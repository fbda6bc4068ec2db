"""The operator announces what it wants, and everybody sees it before it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.access import ANYONE_ROLE, DELAY_S, Operator, Scheduled, carry_out
from chain.anvil import Anvil
from chain.client import Client
from chain.clock import Clock
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.errors import TxReverted
from chain.node import Node
from chain.participants import Role
from chain.types import NO_ADDRESS, Address, Call, Receipt
from tests.chain.kit import COINS, Relay, address

pytestmark = pytest.mark.engine("anvil")

STRANGER = address(0x5712A96E2)


@pytest.fixture(scope="module")
def own() -> Iterator[Anvil]:
    """A chain whose clock the tests move on."""
    with Anvil() as node:
        yield node


@pytest.fixture
def client(own: Anvil, tmp_path: Path) -> Client:
    return client_at(own, own.url, tmp_path / "outbox.sqlite")


def client_at(own: Anvil, url: str, outbox: Path) -> Client:
    found = Client(Node(url), os.urandom(32), outbox)
    own.fund(found.address, COINS)
    return found


def admit(chain: Contracts, account: Address = STRANGER) -> Call:
    return chain.participants.admit(account, Role.HOSPITAL, b"\1" * 32)


def operators(chain: Contracts) -> list[Operator]:
    block = chain.client.block_number()
    return chain.access.operators(admit(chain), block_identifier=block)


def role(chain: Contracts) -> Role:
    block = chain.client.block_number()
    return chain.participants.role_of(STRANGER, block_identifier=block)


def under(client: Client, delay_s: int) -> Contracts:
    return Contracts(client, deploy(client, delay_s=delay_s))


def test_two_days_are_the_default_but_for_development(
    own: Anvil, client: Client, tmp_path: Path
) -> None:
    assert operators(Contracts(client, deploy(client))) == [Operator(client.address, 0)]
    with Relay(own.url) as relay:
        relay.instead["web3_clientVersion"] = lambda *_: {"result": "besu/v26.3.0/linux"}
        there = client_at(own, relay.url, tmp_path / "there.sqlite")
        found = deploy(there)
        assert operators(Contracts(there, found)) == [Operator(there.address, DELAY_S)]
        assert deploy(there) == found  # taken up again, nothing is done twice
        wanted = client_at(own, relay.url, tmp_path / "wanted.sqlite")
        assert operators(under(wanted, 0)) == [Operator(wanted.address, 0)]


def test_an_admission_stands_announced_for_the_delay_and_holds_after_it(client: Client) -> None:
    chain = under(client, 3_600)
    with pytest.raises(TxReverted, match="AccessManagerNotScheduled"):
        client.send(admit(chain), step="at-once")
    before = client.timestamp()
    first = carry_out(client, chain.access, admit(chain), step="admit")
    assert isinstance(first, Scheduled)
    assert first.ready_at >= before + 3_600
    assert carry_out(client, chain.access, admit(chain), step="admit") == first
    assert role(chain) is Role.NONE
    Clock(client.node).advance_to(first.ready_at)
    assert isinstance(carry_out(client, chain.access, admit(chain), step="admit"), Receipt)
    assert role(chain) is Role.HOSPITAL


def test_what_was_announced_and_left_for_a_week_is_announced_anew(client: Client) -> None:
    chain = under(client, 3_600)
    first = carry_out(client, chain.access, admit(chain), step="admit")
    assert isinstance(first, Scheduled)
    Clock(client.node).advance_to(first.ready_at + 8 * 86_400)
    again = carry_out(client, chain.access, admit(chain), step="admit")
    assert isinstance(again, Scheduled)
    assert again.ready_at > first.ready_at + 8 * 86_400
    Clock(client.node).advance_to(again.ready_at)
    carry_out(client, chain.access, admit(chain), step="admit")
    assert role(chain) is Role.HOSPITAL


def test_the_delay_is_not_taken_away_at_once(client: Client) -> None:
    chain = under(client, 3_600)
    shorter = chain.access.grant_admin(client.address, 0)
    with pytest.raises(TxReverted, match="AccessManagerNotScheduled"):
        client.send(shorter)
    announced = carry_out(client, chain.access, shorter, step="shorter")
    assert isinstance(announced, Scheduled)
    assert operators(chain) == [Operator(client.address, 3_600)]


def test_the_deployer_hands_over_and_is_nobody_more(
    own: Anvil, client: Client, tmp_path: Path
) -> None:
    other = client_at(own, own.url, tmp_path / "other.sqlite")
    chain = Contracts(client, deploy(client, admin=other.address, delay_s=60))
    assert operators(chain) == [Operator(other.address, 60)]
    with pytest.raises(TxReverted, match="AccessManagedUnauthorized"):
        carry_out(client, chain.access, admit(chain), step="admit")
    theirs = Contracts(other, chain.deployment)
    assert isinstance(carry_out(other, theirs.access, admit(theirs), step="admit"), Scheduled)


def test_a_second_operator_without_a_delay_is_seen(client: Client) -> None:
    """As when a deployer lets somebody in by the back door before it takes its delay."""
    chain = under(client, 0)
    client.send(chain.access.grant_admin(STRANGER, 0))
    client.send(chain.access.grant_admin(client.address, DELAY_S))
    assert operators(chain) == [Operator(client.address, DELAY_S), Operator(STRANGER, 0)]


def test_admission_by_anybody_is_seen(client: Client) -> None:
    chain = under(client, 0)
    selectors = [admit(chain).data[:4]]
    opened = chain.access._call(
        "setTargetFunctionRole", chain.participants.address, selectors, ANYONE_ROLE
    )
    client.send(opened)
    assert operators(chain) == [Operator(NO_ADDRESS, 0)]
