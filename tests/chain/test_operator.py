"""The operator announces what it wants, and everybody sees it before it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
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
from chain.types import NO_ADDRESS, Address, BlockNumber, Call, Receipt
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
    roles = chain.access.roles(admit(chain), block_identifier=block)
    found = (chain.access.members(role, block_identifier=block) for role in roles)
    return [operator for members in found for operator in members]


def arrange(chain: Contracts, function: str, *arguments: object) -> None:
    """What the deployer does with the access manager before it takes its delay."""
    chain.client.send(chain.access._call(function, *arguments))


def give_admission_to(chain: Contracts, role_id: int) -> None:
    selectors = [admit(chain).data[:4]]
    arrange(chain, "setTargetFunctionRole", chain.participants.address, selectors, role_id)


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


@pytest.mark.parametrize("admin", [0, 8])
def test_who_can_make_itself_an_operator_at_once_is_seen(
    own: Anvil, client: Client, tmp_path: Path, admin: int
) -> None:
    """The door behind the door: its role admits nobody, and gives the role that does."""
    hidden = client_at(own, own.url, tmp_path / "hidden.sqlite")
    chain = under(client, 0)
    give_admission_to(chain, 7)
    arrange(chain, "grantRole", 7, client.address, DELAY_S)
    if admin:
        arrange(chain, "setRoleAdmin", 7, admin)
    arrange(chain, "grantRole", admin, hidden.address, 0)
    arrange(chain, "grantRole", 0, client.address, DELAY_S)
    seen = operators(chain)
    assert seen[0] == Operator(client.address, DELAY_S, role_id=7)
    assert Operator(hidden.address, 0, role_id=admin) in seen
    assert Operator(client.address, DELAY_S) in seen
    assert len(seen) == 3
    theirs = Contracts(hidden, chain.deployment)
    arrange(theirs, "grantRole", 7, hidden.address, 0)
    hidden.send(admit(theirs))
    assert role(chain) is Role.HOSPITAL


def test_a_ring_of_roles_is_followed_once_around(client: Client) -> None:
    chain = under(client, 0)
    give_admission_to(chain, 7)
    arrange(chain, "setRoleAdmin", 7, 8)
    arrange(chain, "setRoleAdmin", 8, 7)
    block = client.block_number()
    assert chain.access.roles(admit(chain), block_identifier=block) == [7, 8, 0]


def test_what_begins_or_shortens_by_itself_is_seen_before(client: Client) -> None:
    chain = under(client, 0)
    give_admission_to(chain, 7)
    arrange(chain, "grantRole", 7, client.address, DELAY_S)
    arrange(chain, "setGrantDelay", 7, 3_600)
    clock = Clock(client.node)
    clock.advance_to(client.timestamp() + 6 * 86_400)  # such a change takes five days
    arrange(chain, "grantRole", 7, STRANGER, 0)
    arrange(chain, "grantRole", 7, client.address, 60)
    now = client.node.block("latest").timestamp
    mine, strangers, _ = operators(chain)
    assert strangers == Operator(STRANGER, 0, role_id=7, since=strangers.since)
    assert now < (strangers.since or 0) <= now + 3_600
    assert mine == Operator(client.address, DELAY_S, role_id=7, next_delay=mine.next_delay)
    assert mine.next_delay is not None
    assert mine.next_delay[0] == 60
    clock.advance_to(mine.next_delay[1])
    assert operators(chain)[:2] == [
        Operator(client.address, 60, role_id=7),
        Operator(STRANGER, 0, role_id=7),
    ]


def test_a_deployment_that_names_too_late_a_block_hides_nobody(client: Client) -> None:
    chain = under(client, 0)
    client.send(chain.access.grant_admin(STRANGER, 0))
    client.send(chain.access.grant_admin(client.address, DELAY_S))
    block = client.block_number()
    assert chain.access.is_whole(block_identifier=block)
    for born in (block, BlockNumber(block + 1)):
        late = replace(chain.deployment, block=born)
        assert not Contracts(client, late).access.is_whole(block_identifier=block)


def test_admission_by_anybody_is_seen(client: Client) -> None:
    chain = under(client, 0)
    give_admission_to(chain, ANYONE_ROLE)
    anybody = Operator(NO_ADDRESS, 0, role_id=ANYONE_ROLE)
    assert operators(chain) == [anybody, Operator(client.address, 0)]
