"""Leaves out of one call to a node: what it sends wrong, late or not at all is asked for alone."""

import io
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from storage import Cid
from storage.errors import CorruptBlock, Unreachable
from storage.kubo import KuboStore
from storage.unixfs import CHUNK_SIZE, import_file
from tests.storage.test_kubo import error, hostile, saying

Write = Callable[[BaseHTTPRequestHandler, bytes], None]


class File:
    """A file of five leaves, the last one short."""

    def __init__(self) -> None:
        self.content = os.urandom(4 * CHUNK_SIZE + 77)
        self.blocks: dict[Cid, bytes] = {}

        def keep(cid: Cid, block: bytes | memoryview) -> None:
            self.blocks[cid] = bytes(block)

        self.root = import_file(io.BytesIO(self.content), keep)
        self.leaves = list(self.blocks)[:-1]


@contextmanager
def node(
    file: File, cat: Write, *, lost: Cid | None = None, find_s: float = 60
) -> Iterator[tuple[KuboStore, list[Cid]]]:
    """A node that sends the file as `cat` does, and every block but one right; which it sent."""
    asked: list[Cid] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        call = urlsplit(handler.path)
        if call.path.endswith("/cat"):
            cat(handler, file.content)
            return
        cid = Cid.parse(parse_qs(call.query)["arg"][0])
        asked.append(cid)
        block = file.blocks[cid]
        saying(200, block[:-1] + bytes([block[-1] ^ 1]) if cid == lost else block)(handler)

    with hostile(answer) as url, KuboStore(url, find_s=find_s) as store:
        yield store, asked


def taken(store: KuboStore, file: File) -> dict[int, bytes]:
    found: dict[int, bytes] = {}

    def take(number: int, leaf: memoryview) -> None:
        assert number not in found
        found[number] = bytes(leaf)

    store.each_leaf(file.root, file.leaves, take)
    return found


def whole(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    saying(200, content)(handler)


def cut(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    saying(200, content[: 2 * CHUNK_SIZE + 5])(handler)


def flipped(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    saying(200, content[:CHUNK_SIZE] + b"\0\0\0\0" + content[CHUNK_SIZE + 4 :])(handler)


def refused(handler: BaseHTTPRequestHandler, _content: bytes) -> None:
    error("no")(handler)


def hung_up(handler: BaseHTTPRequestHandler, _content: bytes) -> None:
    handler.connection.close()


def dripping(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        handler.wfile.write(content[: CHUNK_SIZE + 9])
        for _ in range(600):
            handler.wfile.write(b"x")
            time.sleep(0.1)
    except OSError:
        return


@pytest.mark.parametrize(("cat", "alone"), [(whole, []), (flipped, [1]), (cut, [2, 3, 4])])
def test_a_leaf_that_does_not_come_right_is_asked_for_alone(cat: Write, alone: list[int]) -> None:
    file = File()
    with node(file, cat) as (store, asked):
        found = taken(store, file)
    assert b"".join(found[number] for number in range(5)) == file.content
    assert set(asked) == {file.leaves[number] for number in alone}


def test_a_node_that_drips_is_asked_for_the_leaves_alone() -> None:
    file = File()
    with node(file, dripping, find_s=2) as (store, asked):
        found = taken(store, file)
    assert b"".join(found[number] for number in range(5)) == file.content
    assert set(asked) >= set(file.leaves[1:])


@pytest.mark.parametrize("cat", [refused, hung_up])
def test_a_node_that_sends_no_file_is_asked_for_its_leaves(cat: Write) -> None:
    file = File()
    with node(file, cat) as (store, asked):
        found = taken(store, file)
    assert b"".join(found[number] for number in range(5)) == file.content
    assert set(asked) == set(file.leaves)


@pytest.mark.parametrize("cat", [cut, flipped, refused])
def test_a_leaf_that_is_wrong_in_every_way_is_named_and_not_taken(cat: Write) -> None:
    """Whoever lets one leaf pass unverified decrypts what a member of the swarm chose."""
    file = File()
    wrong = file.leaves[3 if cat is not flipped else 1]
    with (
        node(file, cat, lost=wrong) as (store, _asked),
        pytest.raises(CorruptBlock, match=str(wrong)),
    ):
        taken(store, file)


def test_a_node_that_is_gone_is_named() -> None:
    file = File()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with KuboStore(url) as store, pytest.raises(Unreachable, match=url):
            taken(store, file)


def test_what_takes_a_leaf_may_fail_and_is_heard() -> None:
    file = File()

    def take(number: int, _leaf: memoryview) -> None:
        raise LookupError(number)

    with node(file, whole) as (store, _asked), pytest.raises(LookupError):
        store.each_leaf(file.root, file.leaves, take)
