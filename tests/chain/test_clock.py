"""Time is the chain's; who waits lets it pass, and moves it on development chains alone."""

from __future__ import annotations

import time

import pytest

from chain.clock import Clock
from chain.errors import BlockMissing, NotDevelopment, TxTimeout
from chain.node import Node
from chain.types import BlockNumber
from tests.chain.kit import PATIENCE_S, Chain, Relay

pytestmark = pytest.mark.engine("anvil")


def test_a_development_chain_is_moved_on(chain: Chain) -> None:
    clock = Clock(Node(chain.anvil.url))
    started, before = time.monotonic(), clock.now()
    clock.advance(1_000)
    after = clock.now()
    assert before + 1_000 <= after <= before + 1_002 + time.monotonic() - started
    clock.advance_to(before + 3_000)
    assert clock.node.block("latest").timestamp >= before + 3_000
    height = clock.node.latest()
    clock.advance_to(before)
    assert clock.node.latest() == height


def test_the_time_of_other_chains_is_not_ours_to_move(chain: Chain, relay: Relay) -> None:
    relay.instead["web3_clientVersion"] = lambda _body, _ask: {"result": "besu/v25.1.0/linux"}
    clock = Clock(Node(relay.url))
    with pytest.raises(NotDevelopment, match="wait"):
        clock.advance(10)
    with pytest.raises(TxTimeout, match="a thing that never comes"):
        clock.wait_for(lambda: None, what="a thing that never comes", timeout_s=1.5)
    assert not {"evm_increaseTime", "evm_mine"} & set(relay.asked)


def test_who_waits_mines_at_most_once_a_second(relay: Relay) -> None:
    clock = Clock(Node(relay.url))
    height = clock.node.latest()
    started = time.monotonic()
    found = clock.wait_for(
        lambda: clock.node.latest() >= height + 2 or None, what="two blocks", timeout_s=PATIENCE_S
    )
    assert found
    assert time.monotonic() - started >= 1.9
    assert relay.asked.count("evm_mine") == 2


def test_who_waits_sees_the_chains_time_come(chain: Chain) -> None:
    clock = Clock(Node(chain.anvil.url))
    goal = clock.node.block("latest").timestamp + 2
    clock.sleep_until(goal, timeout_s=PATIENCE_S)
    assert clock.node.block("latest").timestamp >= goal


def test_a_block_that_does_not_exist_is_named(chain: Chain) -> None:
    node = Node(chain.anvil.url)
    with pytest.raises(BlockMissing, match="has no block 999999"):
        node.block(BlockNumber(999_999))
    with pytest.raises(BlockMissing, match="0x1111"):
        node.block(b"\x11" * 32)
    with pytest.raises(BlockMissing, match=r"Studies.count at block 999999.*old states"):
        chain.operator.studies.count(block_identifier=BlockNumber(999_999))


def test_a_read_may_name_its_block_by_hash(chain: Chain) -> None:
    node = Node(chain.anvil.url)
    block = node.block("latest")
    assert node.block(block.hash) == block
    assert node.balance(chain.operator.client.address, block=block.hash) > 0
