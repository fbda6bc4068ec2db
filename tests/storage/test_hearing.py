"""What a node tells of whom it asked, over members that are slow, new, many or malicious."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from filelock import FileLock

from storage import raw_cid
from storage.cid import Cid
from storage.errors import MissingBlock, TooSlow, Unanswered
from storage.feed_reading import MAX_LISTED, MAX_SHARE, Told, to_relay
from storage.feeds import Feeds, _lock_of
from storage.kubo import KuboStore
from storage.kubo_members import Answers
from tests.storage.kit import SLOW_S
from tests.storage.test_kubo import hostile, saying

TOPIC = b"\x07" * 32
OWN, HARBOR, HILL = "own", "harbor", "hill"
Reply = Callable[[str], Any]
"""What a command answers to its argument: JSON, or None for what the node does not have."""


class Node:
    """A node of a swarm that says what a test wants; by default that it is alone."""

    def __init__(self, **replies: Reply) -> None:
        self.calls: list[tuple[str, str]] = []
        self._replies: dict[str, Reply] = {
            "id": lambda _: {"ID": OWN},
            "files/flush": lambda _: {"Cid": "root"},
            "files/stat": lambda _: {"Hash": "root"},
            "files/ls": lambda _: {"Entries": []},
            "swarm/peers": lambda _: {"Peers": []},
            "swarm/peering/ls": lambda _: {"Peers": []},
            "ping": lambda _: {"Success": True, "Time": 1000},
            **{name.replace("_", "/"): reply for name, reply in replies.items()},
        }

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        command = parts.path.removeprefix("/api/v0/")
        argument = parse_qs(parts.query).get("arg", [""])[0]
        self.calls.append((command, argument))
        answer = self._replies.get(command, lambda _: {})(argument)
        gone = {"Message": "could not resolve name", "Code": 0, "Type": "error"}
        body = json.dumps(gone if answer is None else answer, separators=(",", ":")).encode()
        saying(500 if answer is None else 200, body)(handler)


def connected(*peers: str) -> dict[str, Any]:
    return {"Peers": [{"Peer": peer, "Addr": "/ip4/127.0.0.1/tcp/1"} for peer in peers]}


def listing(*names: str) -> dict[str, Any]:
    links = [{"Name": name, "Hash": "x", "Size": 0, "Type": 0, "Target": ""} for name in names]
    return {"Objects": [{"Hash": "x", "Links": links}]}


def some(count: int) -> frozenset[Cid]:
    return frozenset(raw_cid(os.urandom(32)) for _ in range(count))


@contextmanager
def store_of(node: Node, find_s: float = SLOW_S) -> Iterator[KuboStore]:
    with hostile(node) as url, KuboStore(url, find_s=find_s) as store:
        yield store


def test_who_was_connected_after_the_question_is_not_said_to_have_told() -> None:
    """A member dials in while others are asked: it answers a ping, and was asked for nothing."""
    before = iter([connected()])
    node = Node(
        swarm_peers=lambda _: next(before, connected(HARBOR)),
        swarm_peering_ls=lambda _: {"Peers": [{"ID": HARBOR}]},
    )
    with store_of(node) as store, pytest.raises(Unanswered, match=f"{HARBOR} did not tell"):
        store.hear(TOPIC)


def test_who_drops_out_while_members_are_counted_is_silent() -> None:
    before = iter([connected(HARBOR)])
    node = Node(
        swarm_peers=lambda _: next(before, connected()),
        swarm_peering_ls=lambda _: {"Peers": [{"ID": HARBOR}]},
        block_get=lambda _: None,
        block_stat=lambda _: None,
        ping=lambda _: None,
    )
    with store_of(node) as store, pytest.raises(Unanswered, match=HARBOR):
        store.get_block(raw_cid(bytes(32)))


def test_a_member_without_a_feed_takes_no_time_of_another() -> None:
    """Each is asked at once: harbor answers nothing until all that hill has was read."""
    read, asked = threading.Event(), list[str]()

    def resolve(name: str) -> object:
        peer = name.removeprefix("/ipns/")
        asked.append(peer)
        if peer == HARBOR:
            read.wait(SLOW_S)
        ready = peer == HARBOR or asked.count(HILL) > 3
        return {"Path": f"/ipfs/{peer}"} if ready else None

    def ls(path: str) -> object:
        if path.startswith(f"/ipfs/{HILL}/") and path.endswith("/heard"):
            read.set()
        return listing()

    node = Node(swarm_peers=lambda _: connected(HARBOR, HILL), name_resolve=resolve, ls=ls)
    with store_of(node, find_s=60) as store:
        store.hear(TOPIC)
    assert asked.count(HILL) > 3


def test_a_member_that_lists_more_than_is_read_is_named_and_has_not_told() -> None:
    names = sorted(map(str, some(MAX_LISTED + 1)))
    node = Node(
        swarm_peers=lambda _: connected(HARBOR),
        name_resolve=lambda _: {"Path": "/ipfs/root"},
        ls=lambda path: None if path.endswith("/heard") else listing(*names),
    )
    with store_of(node) as store:
        assert set(map(str, store.announced(TOPIC))) == set(names[:MAX_LISTED])
        with pytest.raises(Unanswered, match=f"{HARBOR} announced more than the {MAX_LISTED}"):
            store.hear(TOPIC)


@pytest.mark.parametrize("silent", ["", "/heard"], ids=["its own", "what it heard"])
def test_who_tells_a_part_has_not_told(silent: str) -> None:
    (word,) = some(1)
    node = Node(
        swarm_peers=lambda _: connected(HARBOR),
        name_resolve=lambda _: {"Path": "/ipfs/root"},
        ls=lambda path: {} if path.endswith(TOPIC.hex() + silent) else listing(str(word)),
    )
    with store_of(node) as store:
        assert store.announced(TOPIC) == ([word] if silent else [])
        with pytest.raises(Unanswered, match=f"{HARBOR} did not tell"):
            store.hear(TOPIC)


def test_of_a_listing_without_end_a_bounded_part_is_read() -> None:
    names = ["x" * 1000, *sorted(map(str, some(10))), *["y" * 1000] * 10 * MAX_LISTED]
    node = Node(
        swarm_peers=lambda _: connected(HARBOR),
        name_resolve=lambda _: {"Path": "/ipfs/root"},
        ls=lambda path: None if path.endswith("/heard") else listing(*names),
    )
    with store_of(node) as store:
        assert set(map(str, store.announced(TOPIC))) == set(names[1:11])
        with pytest.raises(Unanswered, match=f"{HARBOR} announced more"):
            store.hear(TOPIC)


def test_junk_and_other_junk_fill_the_share_of_who_lists_them_and_no_other() -> None:
    kept: set[str] = set()
    for _ in range(3):
        kept.update(to_relay({HILL: Told(own=some(MAX_LISTED), heard=some(MAX_LISTED))}, [], kept))
    assert len(kept) == 2 * MAX_SHARE
    (word,) = some(1)
    fresh = to_relay({HARBOR: Told(own=frozenset([word]), heard=some(MAX_LISTED))}, [], kept)
    assert fresh[0] == f"{HARBOR}.{word}"
    assert len(fresh) == 1 + MAX_SHARE


def test_however_many_tell_no_more_is_passed_on_than_is_read() -> None:
    told = {str(number): Told(own=some(MAX_SHARE)) for number in range(20)}
    kept = to_relay(told, [], [])
    assert len(kept) == MAX_LISTED
    assert to_relay(told, [], kept) == []


def test_what_is_known_already_is_not_passed_on_twice() -> None:
    both = some(2)
    told = {HARBOR: Told(own=both), HILL: Told(heard=both)}
    first, second = sorted(both)
    assert to_relay(told, [first], []) == [f"{HARBOR}.{second}"]
    assert to_relay(told, [first], [f"{HILL}.{second}"]) == []


def test_a_process_that_is_halted_while_it_announces_is_told_of_and_stops_no_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.feeds.ASK_S", 0.2)
    (word,) = some(1)
    node = Node(
        swarm_peers=lambda _: connected(HARBOR),
        name_resolve=lambda _: {"Path": "/ipfs/root"},
        ls=lambda path: None if path.endswith("/heard") else listing(str(word)),
    )
    with store_of(node) as store, FileLock(_lock_of(store.url)):
        feeds = Feeds(store.rpc, store.control, lock_s=0.2)
        with pytest.raises(TooSlow, match=f"{store.url} .*Ctrl-Z"):
            feeds.announce(TOPIC, [word])
        with ThreadPoolExecutor(1) as pool:  # the lock is this thread's
            assert pool.submit(store.announced, TOPIC).result(SLOW_S) == [word]


def test_of_blocks_that_are_missed_at_once_each_member_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    width, joined = 8, threading.Semaphore(0)

    class Seen(Future[Answers]):
        def result(self, timeout: float | None = None) -> Answers:
            joined.release()
            return super().result(timeout)

    def ping(_: str) -> object:
        assert all(joined.acquire(timeout=SLOW_S) for _ in range(width - 1))
        return {"Success": True, "Time": 1000}

    monkeypatch.setattr("storage.kubo_members.Future", Seen)
    node = Node(
        swarm_peers=lambda _: connected(HARBOR),
        block_get=lambda _: None,
        block_stat=lambda _: None,
        ping=ping,
    )
    with store_of(node) as store, ThreadPoolExecutor(width) as pool:
        for get in [pool.submit(store.get_block, cid) for cid in some(width)]:
            with pytest.raises(MissingBlock, match="though all answer"):
                get.result(SLOW_S)
    assert [command for command, _ in node.calls].count("ping") == 1
