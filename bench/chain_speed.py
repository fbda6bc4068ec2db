"""How fast the chain is reached: consents, the index, trees; each beside what it replaces."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from web3 import Web3

from bench.chain_scene import Scene
from bench.claims import Claim, judged
from chain import artifacts, toolchain
from chain.challenges import Leaf
from chain.consent_types import Reason, Withdrawal
from chain.index import Index
from chain.indexer import Indexer
from chain.merkle import MerkleTree, hash_cohort_leaf
from chain.types import BlockNumber, ConsentId

LEAVES, PROOFS = 1 << 20, 1_000
EVENTS, CONSENTS, ASKED = 200_000, 100_000, 10_000
WITHDRAWN_AT_ONCE = 500
SCRIPT = Path(__file__).with_name("merkle.mjs")


@dataclass(frozen=True)
class Sizes:
    """How much of each is measured."""

    leaves: int = LEAVES
    events: int = EVENTS
    consents: int = CONSENTS


QUICK = Sizes(1 << 12, 4_000, 800)


def run(quick: bool) -> Iterator[Claim]:
    """The claims of speed; a quick run takes a fiftieth of each."""
    sizes = QUICK if quick else Sizes()
    yield merkle(sizes.leaves, judge=not quick)
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name, Scene(Path(name)) as scene:
        yield consents(scene, sizes.consents, judge=not quick)
        index, events = indexed(scene, sizes.events, judge=not quick)
        yield events
        yield active(index, judge=not quick)
        index.close()


def merkle(count: int, *, judge: bool) -> Claim:
    """Leaves of a cohort hashed, their tree, and proofs; the library does the same in Node."""
    values = [(n, os.urandom(32), os.urandom(32)) for n in range(count)]
    started = time.perf_counter()
    hashes = [hash_cohort_leaf(Leaf(n, ConsentId(a), b)) for n, a, b in values]
    tree = MerkleTree(hashes)
    proofs = [tree.proof(item) for item in hashes[:PROOFS]]
    ours = time.perf_counter() - started
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        file = Path(name) / "values"
        file.write_bytes(b"".join(a + b for _, a, b in values))
        command = [str(toolchain.node()), "--max-old-space-size=8192", str(SCRIPT)]
        done = subprocess.run(
            [*command, str(file), str(PROOFS)], capture_output=True, check=True, text=True
        )
    theirs = json.loads(done.stdout)
    if theirs["root"] != "0x" + tree.root.hex() or theirs["proof"] != [
        "0x" + item.hex() for item in proofs[0]
    ]:
        raise RuntimeError("the library makes another tree")
    peer = theirs["seconds"]
    return judged("merkle_1m", ours, peer, "s", peer / ours, ">=", 3.0, judge=judge)


def consents(scene: Scene, count: int, *, judge: bool) -> Claim:
    """Signed consents checked, batched, mined and indexed; then the same transactions, raw."""
    messages = scene.signed(count)
    before = scene.snapshot()
    started = time.perf_counter()
    scene.grant(messages)
    ours = time.perf_counter() - started
    raw = scene.granted_raw()
    scene.restore(before)
    started = time.perf_counter()
    scene.push(raw)
    peer = time.perf_counter() - started
    if not scene.all_active(messages):
        raise RuntimeError("the transactions that were pushed raw did something else")
    return judged("consents_100k", ours, peer, "s", ours / peer, "<=", 1.5, judge=judge)


def indexed(scene: Scene, count: int, *, judge: bool) -> tuple[Index, Claim]:
    """Rows a second of one kind of event, over web3's own decoder on the same range."""
    first = scene.height() + 1
    withdraw(scene, count)
    last = scene.height()
    index = Index(scene.folder / "events.sqlite", scene.deployment)
    indexer = Indexer(scene.node, scene.deployment, index)
    while indexer.step(BlockNumber(first - 1)).block < first - 1:
        pass
    started = time.perf_counter()
    indexer.catch_up()
    ours = count / (time.perf_counter() - started)
    contract = Web3(Web3.HTTPProvider(scene.anvil.url)).eth.contract(
        Web3.to_checksum_address(scene.deployment.address_of("Consents")),
        abi=artifacts.load("Consents").abi,
    )
    started, found = time.perf_counter(), 0
    for start in range(first, last + 1, 20):
        end = min(start + 19, last)
        found += len(contract.events.Revoked().get_logs(from_block=start, to_block=end))
    peer = found / (time.perf_counter() - started)
    if found != count:
        raise RuntimeError(f"web3 finds {found} events of {count}")
    return index, judged("index_events", ours, peer, "rows/s", ours / peer, ">=", 8.0, judge=judge)


def withdraw(scene: Scene, count: int) -> None:
    """As many withdrawals on paper of consents that were never granted: they are burned."""
    calls = []
    for start in range(0, count, WITHDRAWN_AT_ONCE):
        some = [
            Withdrawal(scene.address(n), scene.tier, 0, Reason.PAPER)
            for n in range(start, min(start + WITHDRAWN_AT_ONCE, count))
        ]
        calls.append((scene.hospital.consents.revoke_by_hospital(some), f"withdraw-{start}"))
    scene.hospital.client.send_many(calls)


def active(index: Index, *, judge: bool) -> Claim:
    """Which of 10,000 ids are active at a block: half of them were granted once."""
    tip = index.tip()
    assert tip is not None
    known = [row["id"] for row in index.rows("consents")]
    ids = known[: ASKED // 2]
    ids += [ConsentId(os.urandom(32)) for _ in range(ASKED - len(ids))]
    started = time.perf_counter()
    found = index.active_at(ids, tip.number)
    seconds = time.perf_counter() - started
    if not known or sum(found) != min(len(known), ASKED // 2):
        raise RuntimeError("the index does not know who is active")
    return judged("active_10k", seconds, 1.0, "s", seconds, "<=", 1.0, judge=judge)
