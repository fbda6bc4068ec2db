"""The index holds what the chain holds: after restarts, reorganisations, caps and lies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from chain import toolchain
from chain.anvil import Anvil
from chain.client import Client
from chain.consent_types import consent_id
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.errors import BlockMissing, IndexBroken, IndexStale, LogsDisagree, WrongChain
from chain.index import Index
from chain.indexer import Indexer
from chain.keys import address_of
from chain.node import Node
from chain.rpc import request
from chain.types import BlockNumber
from tests.chain.kit import COINS, Chain, Relay, RoundPath

pytestmark = pytest.mark.engine("anvil")


@pytest.fixture
def own() -> Iterator[Anvil]:
    """A chain of the test's own, which it may turn."""
    with Anvil() as node:
        yield node


@pytest.fixture
def world(own: Anvil, tmp_path: Path) -> Chain:
    client = Client(Node(own.url), os.urandom(32), tmp_path / "operator.sqlite")
    own.fund(client.address, 10 * COINS)
    return Chain(own, Contracts(client, deploy(client, token=True)), tmp_path)


def index_of(chain: Chain, name: str = "index.sqlite") -> Index:
    return Index(chain.home / name, chain.operator.deployment)


def indexer_of(chain: Chain, index: Index, **options: Any) -> Indexer:
    url = options.pop("url", chain.anvil.url)
    return Indexer(Node(url), chain.operator.deployment, index, **options)


def content(index: Index) -> dict[str, list[Any]]:
    with index.begin() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in index.metadata.sorted_tables
        }


def afresh(chain: Chain) -> dict[str, list[Any]]:
    index = index_of(chain, f"fresh-{os.urandom(4).hex()}.sqlite")
    indexer_of(chain, index).catch_up()
    return content(index)


def test_the_index_tells_what_the_contracts_tell(chain: Chain) -> None:
    path = RoundPath(chain)
    index = index_of(chain)
    done = indexer_of(chain, index).catch_up()
    assert done.is_done
    ids = [leaf.id for leaf in path.leaves]
    block = chain.operator.client.block_number()
    (round_,) = [row for row in index.rows("rounds") if row["study"] == path.study]
    assert (round_["round"], round_["frozen"], round_["submitted"]) == (1, 1, 1)
    assert (round_["voided"], round_["finalized"]) == (0, None)
    (study,) = [row for row in index.rows("studies") if row["study"] == path.study]
    assert "0x" + study["center"].hex() == path.center.client.address.lower()
    assert (study["enrolled"], study["rounds"]) == (1, 1)
    consents = {row["id"]: row for row in index.rows("consents") if row["id"] in ids}
    granted = path.hospital.consents.granted(to_block=block, agreement=path.agreement)
    assert {row["granted"] for row in consents.values()} == {granted[0].block}
    assert index.counts()["rounds"] >= 1


def test_who_is_active_at_a_block_is_what_the_contract_says(chain: Chain) -> None:
    path = RoundPath(chain, submitted=False)
    key = path.keys[0]
    client = chain.operator.client
    chain.anvil.fund(address_of(key), COINS)
    patient = Client(Node(chain.anvil.url), key, chain.home / "patient.sqlite")
    patient.send(path.hospital.consents.revoke(path.agreement, 0))
    chain.mine(2)
    index = index_of(chain)
    indexer_of(chain, index).catch_up()
    ids = [*(leaf.id for leaf in path.leaves), consent_id(address_of(key), path.agreement, 1)]
    head = client.block_number()
    answers = set()
    for back in range(12):
        block = BlockNumber(head - back)
        said = chain.operator.consents.active_at(ids, block, block_identifier=head)
        assert index.active_at(ids, block) == said
        answers.add(tuple(said))
    assert len(answers) == 3  # none yet; all three; without the one who withdrew
    with pytest.raises(BlockMissing, match="index further"):
        index.active_at(ids, BlockNumber(head + 1))


def test_a_stopped_index_goes_on_and_is_the_one_made_at_once(chain: Chain) -> None:
    RoundPath(chain)
    indexer_of(chain, index := index_of(chain), at_once=7).step()
    index.close()
    RoundPath(chain)
    again = index_of(chain)
    indexer_of(chain, again, at_once=7).catch_up()
    assert content(again) == afresh(chain)


def test_what_a_reorganisation_took_back_leaves_the_index(world: Chain) -> None:
    path = RoundPath(world, submitted=False)
    index = index_of(world)
    indexer = indexer_of(world, index, at_once=5)
    indexer.catch_up()
    assert index.rows("rounds")
    height = int(request(world.anvil.url, "eth_blockNumber"), 16)
    opened = path.center.rounds.opened(path.study, to_block=BlockNumber(height))[0].block
    request(world.anvil.url, "anvil_reorg", height - opened + 1, [])
    world.mine(3)
    turned = indexer.catch_up()
    assert turned.is_done
    assert index.rows("rounds") == []
    assert index.rows("consents") != []
    assert content(index) == afresh(world)


def test_a_chain_that_is_shorter_than_the_index_rewinds_it(world: Chain) -> None:
    before = request(world.anvil.url, "evm_snapshot")
    path = RoundPath(world)
    index = index_of(world)
    indexer = indexer_of(world, index)
    indexer.catch_up()
    assert request(world.anvil.url, "evm_revert", before)
    progress = indexer.step()
    assert progress.rewound > 0
    assert path.study not in {row["study"] for row in index.rows("studies")}
    world.mine(60)
    indexer.catch_up()
    assert content(index) == afresh(world)


def test_nothing_is_written_of_a_range_during_which_the_chain_turns(world: Chain) -> None:
    RoundPath(world)
    index = index_of(world)
    with Relay(world.anvil.url) as relay:
        indexer = indexer_of(world, index, url=relay.url)
        indexer.step(BlockNumber(3))
        old = content(index)

        def turn(body: dict[str, Any], ask: Callable[[Any], Any]) -> Any:
            answer = ask(body)
            request(world.anvil.url, "anvil_reorg", 3, [])
            return {"result": answer["result"]}

        relay.instead["eth_getLogs"] = turn
        indexer.step()
        assert content(index) == old
        relay.instead.clear()
        indexer.catch_up()
    assert content(index) == afresh(world)


def test_a_provider_that_caps_ranges_is_asked_for_less(chain: Chain, relay: Relay) -> None:
    RoundPath(chain)
    widths = []

    def capped(body: dict[str, Any], ask: Callable[[Any], Any]) -> Any:
        asked = body["params"][0]
        width = int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1
        if width > 3:
            return {"error": {"code": -32005, "message": "range too large"}}
        widths.append(width)
        return {"result": ask(body)["result"]}

    relay.instead["eth_getLogs"] = capped
    index = index_of(chain)
    indexer_of(chain, index, url=relay.url).catch_up()
    assert max(widths) <= 3
    assert content(index) == afresh(chain)


def lied(change: Callable[[dict[str, Any]], object]) -> Callable[..., Any]:
    def answer(body: dict[str, Any], ask: Callable[[Any], Any]) -> Any:
        logs = ask(body)["result"]
        change(logs[-1])
        return {"result": logs}

    return answer


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "shorter": lambda log: log.update(data="0x"),
    "of a foreign contract": lambda log: log.update(address="0x" + "11" * 20),
    "of an unknown event": lambda log: log.update(topics=["0x" + "22" * 32]),
    "without topics": lambda log: log.update(topics=[]),
    "of two blocks in one": lambda log: log.update(blockHash="0x" + "33" * 32),
    "of a study beyond all count": lambda log: log["topics"].__setitem__(1, "0x" + "ff" * 32),
    "no hexadecimal": lambda log: log.update(data="0x" + "zz" * (len(log["data"]) // 2 - 1)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_log_that_is_a_lie_stops_the_index_with_nothing_written(
    chain: Chain, relay: Relay, lie: str
) -> None:
    RoundPath(chain)
    index = index_of(chain)
    relay.instead["eth_getLogs"] = lied(LIES[lie])
    indexer = indexer_of(chain, index, url=relay.url)
    with pytest.raises(LogsDisagree, match="ask"):
        indexer.catch_up()
    assert not any(content(index).values())


def test_a_node_of_another_chain_is_refused(chain: Chain, own: Anvil) -> None:
    with pytest.raises(WrongChain, match="another chain"):
        indexer_of(chain, index_of(chain), url=own.url)


def test_a_file_of_another_deployment_is_refused(chain: Chain, world: Chain) -> None:
    index_of(chain).close()
    with pytest.raises(IndexStale, match="another deployment"):
        Index(chain.home / "index.sqlite", world.operator.deployment)


def test_a_file_that_is_no_index_is_named(chain: Chain) -> None:
    (chain.home / "index.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(IndexBroken, match=r"index\.sqlite"):
        index_of(chain)


CHILD = """
import sys
from pathlib import Path
from chain.deploy import Deployment
from chain.index import Index
from chain.indexer import Indexer
from chain.node import Node

url, deployment, path = sys.argv[1:]
found = Deployment.from_json(Path(deployment).read_text())
for progress in Indexer(Node(url), found, Index(Path(path), found), at_once=1).follow():
    print(progress.block, flush=True)
"""


@pytest.mark.processes
def test_an_indexer_killed_at_any_block_loses_and_doubles_nothing(chain: Chain) -> None:
    RoundPath(chain)
    deployment = chain.home / "deployment.json"
    deployment.write_text(chain.operator.deployment.to_json())
    path = chain.home / "index.sqlite"
    for lines in (1, 4, 9):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, chain.anvil.url, str(deployment), str(path)],
            stdout=subprocess.PIPE,
            cwd=toolchain.ROOT,
        )
        assert child.stdout is not None
        with child.stdout:
            for _ in range(lines):
                assert child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            child.wait()
    index = index_of(chain)
    indexer_of(chain, index).catch_up()
    assert content(index) == afresh(chain)
