"""Connections to a node are kept, and what one answer left never becomes part of another."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from storage.kubo_http import Connections

Answer = Callable[[BaseHTTPRequestHandler], None]
LONG_S = 120.0  # for what takes milliseconds: a hang is to end


class Served:
    """A server that keeps connections, which of them each call came over, when one is closed."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[object] = []
        self.ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.calls.append(self.client_address)
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def shutdown_request(self, request: Any) -> None:
                super().shutdown_request(request)
                outer.ended.set()

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[Served, Connections]]:
    served = Served(answer)
    thread = threading.Thread(target=served.server.serve_forever)
    thread.start()
    connections = Connections("127.0.0.1", served.server.server_port)
    try:
        yield served, connections
    finally:
        connections.close()
        served.server.shutdown()
        thread.join()
        served.server.server_close()


def chunked(pieces: list[bytes]) -> Answer:
    """As Kubo answers."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in [*pieces, b""]:
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    return answer


def ask(connections: Connections, limit: int = 1 << 20) -> bytes:
    return connections.post("/x", limit=limit, timeout_s=LONG_S).body


def test_calls_share_a_connection_and_threads_do_not() -> None:
    together = threading.Barrier(3)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if len(served.calls) > 2:
            together.wait(LONG_S)
        chunked([b"abc", b"de"])(handler)

    with serving(answer) as (served, connections):
        assert [ask(connections), ask(connections)] == [b"abcde", b"abcde"]
        assert len(set(served.calls)) == 1
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(ask, [connections] * 3)) == [b"abcde"] * 3
        assert len(set(served.calls)) == 3


def test_what_is_left_of_a_cut_answer_is_no_part_of_the_next() -> None:
    with serving(chunked([b"x" * 4096] * 9)) as (served, connections):
        assert ask(connections, limit=5000) == b"x" * 5001
        assert ask(connections) == b"x" * 4096 * 9
        assert len(set(served.calls)) == 2


def test_a_connection_that_the_node_has_ended_is_not_used_again() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        chunked([b"last"])(handler)
        handler.close_connection = True

    with serving(answer) as (served, connections):
        for count in (1, 2, 3):
            assert ask(connections) == b"last"
            assert served.ended.wait(LONG_S)
            served.ended.clear()
            assert len(set(served.calls)) == count


def test_an_answer_shorter_than_it_states_is_no_answer() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"only")
        handler.close_connection = True

    with serving(answer) as (_, connections), pytest.raises(IncompleteRead):
        ask(connections)


def test_why_a_node_refuses_is_heard_though_it_does_not_read_to_the_end() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(1 << 16)
        handler.send_response(500)
        handler.send_header("Content-Length", "4")
        handler.end_headers()
        handler.wfile.write(b"full")
        handler.wfile.flush()
        sent.wait(LONG_S)
        handler.close_connection = True

    sent, size = threading.Event(), 1 << 26

    def content() -> Iterator[bytes]:
        yield bytes(1 << 16)
        sent.set()
        for _ in range(size // (1 << 16) - 1):
            yield bytes(1 << 16)

    with serving(answer) as (_, connections):
        headers = {"Content-Length": str(size)}
        found = connections.post(
            "/x", limit=100, timeout_s=LONG_S, content=content(), headers=headers
        )
        assert (found.status, found.body) == (500, b"full")
