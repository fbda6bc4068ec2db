"""Engines that the conformance suite runs on, besides anvil."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

from chain import toolchain
from chain.client import Client, fund
from chain.node import Node
from chain.rpc import request
from chain.types import Address, Wei

_STARTED = re.compile(rb"JSON-RPC server at (http://127\.0\.0\.1:\d+)/")


class HardhatNode:
    """`hardhat node` on a free port; a context manager."""

    def __init__(self) -> None:
        command = [str(toolchain.node()), "node_modules/hardhat/dist/src/cli.js", "node"]
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--hostname", "127.0.0.1"],
            cwd=toolchain.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true", "NO_COLOR": "1"},
        )
        self.url = self._announced()
        # It prints a line for each call: a full pipe would block it.
        self._reader = threading.Thread(target=deque, args=(self._process.stdout, 0), daemon=True)
        self._reader.start()

    def fund(self, address: str, wei: int) -> None:
        """Sets an account's coins."""
        request(self.url, "hardhat_setBalance", address, hex(wei))

    def stop(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _announced(self) -> str:
        assert self._process.stdout is not None
        seen = b""
        while (found := _STARTED.search(seen)) is None:
            if not (line := self._process.stdout.readline()):
                raise AssertionError(f"hardhat node ended: {seen.decode(errors='replace')}")
            seen += line
        return found[1].decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class GivenNode:
    """A node at an address that somebody gave; coins come from the account of a key, if one is.

    Without a key gas must cost nothing there.
    """

    def __init__(self, url: str, key: bytes | None, home: Path) -> None:
        self.url = url
        self._bank = Client(Node(url), key, home / "bank.sqlite") if key else None

    def fund(self, address: str, wei: int) -> None:
        """A hundredth of a coin, whatever is asked: enough for the suite's gas."""
        if self._bank is not None:
            fund(self._bank, Address(address), Wei(min(wei, 10**16)))
