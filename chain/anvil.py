"""Runs anvil as a child process: the chain of a machine on which nobody installed one."""

from __future__ import annotations

import gzip
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from chain import toolchain
from chain.errors import NodeFailed
from chain.rpc import request

CHAIN_ID = 31337
_STOP_S = 60
_LOOPBACK = "127.0.0.1"
_ANYWHERE = "0.0.0.0"  # noqa: S104 - where a network of its own shields it


class Anvil:
    """A running anvil; a context manager. It dies with the process that started it.

    `state` is a file from which the chain goes on, and to which a keeper saves it every second
    or so: `kill -9` loses what came later, which the outboxes send again.

    It obeys whoever reaches it, so it listens on loopback alone, unless `expose`, and
    pages of other origins get no leave (CORS). Port 0 is any free one.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        chain_id: int = CHAIN_ID,
        timeout_s: float = 120,
        port: int = 0,
        expose: bool = False,
    ) -> None:
        self.state = state
        self.chain_id = chain_id
        self._listen = ("--host", _ANYWHERE if expose else _LOOPBACK, "--port", str(port))
        self.folder = Path(tempfile.mkdtemp(prefix="anvil-"))
        self._lock = _lock(state) if state else None
        try:
            goes_on = state is not None and state.exists()
            self._keeper = self._start(goes_on)
            self.pid, self.port = self._announced(timeout_s)
            self.url = f"http://{_LOOPBACK}:{self.port}"
            if goes_on:
                self._catch_up()
        except BaseException:
            self.stop()
            raise

    @property
    def keeper_pid(self) -> int:
        """The process that saves anvil's state and ends it."""
        return self._keeper.pid

    def stop(self) -> None:
        """Saves the state and ends anvil."""
        if (keeper := getattr(self, "_keeper", None)) is not None:
            keeper.terminate()
            try:
                keeper.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
            keeper.stdout.close()
        if self._lock is not None:
            self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """Ends anvil as a crash would, without saving."""
        os.kill(self.pid, signal.SIGKILL)
        self._keeper.wait(_STOP_S)

    def fund(self, address: str, wei: int) -> None:
        """Sets an account's coins, and mines, so that the state is saved with them."""
        request(self.url, "anvil_setBalance", address, hex(wei))
        request(self.url, "evm_mine")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, goes_on: bool) -> subprocess.Popen[bytes]:
        command = [str(toolchain.anvil()), *self._listen, "--no-cors", "--accounts", "0"]
        command += ["--chain-id", str(self.chain_id), "--preserve-historical-states"]
        command += ["--cache-path", str(self.folder), "--no-request-size-limit"]
        if goes_on:
            command += ["--load-state", str(self._unpacked())]
        state = str(self.state.resolve()) if self.state else "-"
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "chain.keeper"),
                *(str(os.getpid()), state, str(self.folder)),
                *command,
            ],
            cwd=toolchain.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches this process, which then saves and stops
        )

    def _unpacked(self) -> Path:
        assert self.state is not None
        target = self.folder / "state.json"
        try:
            with gzip.open(self.state) as file:
                state = json.load(file)
            state["blocks"] = _one_genesis(state["blocks"])
        except (OSError, EOFError, ValueError, KeyError) as exc:
            raise NodeFailed(f"{self.state} is no saved chain: restore it from a copy") from exc
        target.write_text(json.dumps(state), "utf-8")
        return target

    def _announced(self, timeout_s: float) -> tuple[int, int]:
        assert self._keeper.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._keeper.stdout, selectors.EVENT_READ)
            line = self._keeper.stdout.readline() if selector.select(timeout_s) else b""
        if not line:
            raise NodeFailed(f"anvil did not start within {timeout_s:.0f} s; its output is above")
        answer = json.loads(line)
        return answer["pid"], answer["port"]

    def _catch_up(self) -> None:
        """A loaded chain's clock may be ahead; BLOCKHASH of blocks before the load is wrong."""
        latest = request(self.url, "eth_getBlockByNumber", "latest", False)
        now = max(int(time.time()), int(latest["timestamp"], 16) + 1)
        request(self.url, "evm_setNextBlockTimestamp", now)
        request(self.url, "evm_mine")


def _one_genesis(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks without the genesis that each restarted anvil made and saved beside the first.

    Which of them it answers with is chance, and a chain is known by its genesis. The first is the
    oldest.
    """
    born = [_header(block, "timestamp") for block in blocks if not _header(block, "number")]
    first = min(born, default=0)
    return [
        block
        for block in blocks
        if _header(block, "number") or _header(block, "timestamp") == first
    ]


def _header(block: dict[str, Any], field: str) -> int:
    return int(block["header"][field], 16)


def _lock(state: Path) -> FileLock:
    state.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{state}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise NodeFailed(
            f"another process runs a chain on {state}: use its address, or another folder"
        ) from exc
    return lock
