"""JSON nested deep ends in an error, not in a broken process."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from chain.errors import NodeDown
from chain.node import Node

DEEP = b"[" * 200_000


def test_importing_the_chain_leaves_the_limit_of_recursion_as_it_was() -> None:
    code = "import sys; was = sys.getrecursionlimit(); import chain.client, web3, py_ecc; "
    code += "sys.exit(sys.getrecursionlimit() != was)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_node_that_answers_brackets_in_brackets_is_none() -> None:
    class Hostile(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(DEEP)))
            self.end_headers()
            self.wfile.write(DEEP)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with HTTPServer(("127.0.0.1", 0), Hostile) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(NodeDown, match="no node answers"):
                Node(f"http://127.0.0.1:{server.server_port}").chain_id  # noqa: B018
        finally:
            server.shutdown()
            thread.join()
