"""Keeps one anvil: saves its state, and ends it when the process that asked for it is gone.

Run as `python -m chain.keeper PARENT STATE FOLDER ANVIL ARGUMENTS…`; STATE is a path, or `-` for
none; FOLDER is removed at the end.
anvil's own `--state` truncates the file and then writes it, so that a kill in between loses the
chain; and it dumps all history every interval, changed or not. Here a dump is taken only after
new blocks, written beside and renamed, at most a twentieth of the time.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from chain.errors import NodeError
from chain.rpc import request

INTERVAL_S = 1.0
_TICK_S = 0.2
_LISTENING = re.compile(rb"Listening on [\d.]+:(\d+)\s")
_PR_SET_PDEATHSIG = 1


class Keeper:
    """One anvil and the file of its state."""

    def __init__(self, state: Path | None, command: Sequence[str]) -> None:
        self.state = state
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            preexec_fn=_die_with_parent,
        )
        self.port = 0
        self._saved_block = -1
        self._next_save = 0.0
        self._reader = threading.Thread(target=self._drain, daemon=True)

    def announce(self) -> bool:
        """Waits for the port and prints it with anvil's pid; False when anvil ended first."""
        assert self.process.stdout is not None
        seen = b""
        while (found := _LISTENING.search(seen)) is None:
            if not (piece := self.process.stdout.read(65536)):
                sys.stderr.write(seen.decode(errors="replace"))
                return False
            seen += piece
        self.port = int(found[1])
        # A full pipe would block anvil: read on, and forget.
        self._reader.start()
        print(json.dumps({"pid": self.process.pid, "port": self.port}), flush=True)  # noqa: T201
        return True

    def save_if_due(self) -> None:
        """Saves after new blocks, so seldom that it takes a twentieth of the time at most."""
        if time.monotonic() < self._next_save:
            return
        started = time.monotonic()
        self.save()
        took = time.monotonic() - started
        self._next_save = started + max(INTERVAL_S, 20 * took)

    def save(self) -> None:
        """Writes the state with its history, gzipped, by rename; nothing where no block is new."""
        if self.state is None:
            return
        url = f"http://127.0.0.1:{self.port}"
        try:
            block = int(request(url, "eth_blockNumber"), 16)
            if block == self._saved_block:
                return
            dump = bytes.fromhex(request(url, "anvil_dumpState", True, timeout_s=600)[2:])
        except NodeError:
            return  # It has ended: the last state saved stands.
        try:
            _replace(self.state, dump)
        except OSError as exc:
            # The chain lives on and the next try may find space; outboxes send again what is lost.
            sys.stderr.write(f"{self.state}: block {block} is not saved: {exc.strerror}\n")
            return
        self._saved_block = block

    def stop(self) -> None:
        """Saves and ends anvil."""
        self.save()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self._reader.is_alive():
            self._reader.join(5)

    def _drain(self) -> None:
        assert self.process.stdout is not None
        while self.process.stdout.read(65536):
            pass


def main(arguments: Sequence[str]) -> int:
    """Runs until anvil ends, the parent is gone, or SIGTERM comes."""
    parent, state, folder, *command = arguments
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    keeper = Keeper(None if state == "-" else Path(state), command)
    try:
        if not keeper.announce():
            return 1
        while keeper.process.poll() is None and os.getppid() == int(parent):
            keeper.save_if_due()
            if stopping.wait(_TICK_S):
                break
    finally:
        keeper.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _die_with_parent() -> None:
    # Linux: the kernel ends anvil also when this keeper is killed by -9.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
