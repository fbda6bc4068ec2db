"""Four Kaia validators on this machine, each of which may be killed, wiped and started again."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from chain.errors import NodeError
from chain.index import Index
from chain.node import Node
from chain.rpc import request
from chain.types import BlockNumber

VALIDATORS = 4
CHAIN_ID = 31415
NETWORK_ID = 31415
_FIRST_RPC, _FIRST_P2P = 18551, 32323
_ROUND_TIMEOUT_MS = 1000  # how long a proposer that says nothing is waited for, at first
# It bounds a block's computation besides its gas: a batch of 400 signatures is beyond its default.
_COMPUTATION = 100_000_000_000
_FEES = {
    "lowerboundbasefee": 0,
    "upperboundbasefee": 0,
    "gastarget": 30_000_000,
    "maxblockgasusedforbasefee": 60_000_000,
    "basefeedenominator": 20,
}


class Network:
    """A context manager. It must run in a network of its own: Kaia listens on every address."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._make()
        try:
            for number in range(VALIDATORS):
                self.start(number)
            numbers = range(VALIDATORS)
            self.until(lambda: min(map(self.height, numbers)) >= 1, "the first block everywhere")
            for number in range(VALIDATORS):
                request(self.url(number), "governance_vote", "istanbul.timeout", _ROUND_TIMEOUT_MS)
        except BaseException:
            self.stop()
            raise

    def url(self, number: int) -> str:
        """A validator's RPC address."""
        return f"http://127.0.0.1:{_FIRST_RPC + number}"

    def height(self, number: int) -> int:
        """A validator's newest block; -1 where it does not answer."""
        try:
            return int(request(self.url(number), "eth_blockNumber", timeout_s=5), 16)
        except NodeError:
            return -1

    def start(self, number: int) -> None:
        """Starts a validator on what its folder holds."""
        home = self._home(number)
        log = (home / "log").open("ab")
        with log:
            self._running[number] = subprocess.Popen(
                [str(self._programs / "kcn"), *self._options(number)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
            )

    def kill(self, number: int) -> None:
        """As a crash would."""
        process = self._running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def wipe(self, number: int) -> None:
        """Takes a killed validator's chain from it; its key stays."""
        shutil.rmtree(self._home(number) / "data")
        self._fill(number)

    def stop(self) -> None:
        """Ends every validator."""
        for number in list(self._running):
            self.kill(number)

    def until(self, ready: Callable[[], bool], what: str, timeout_s: float = 480) -> None:
        """Returns once `ready`; fails, with the ends of the logs, where that takes too long."""
        end = time.monotonic() + timeout_s
        while not ready():
            if time.monotonic() > end:
                logs = [self._home(n) / "log" for n in range(VALIDATORS)]
                tails = [path.read_text(errors="replace")[-1500:] for path in logs if path.exists()]
                raise AssertionError(f"no {what} in {timeout_s:.0f} s\n" + "\n---\n".join(tails))
            time.sleep(0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _home(self, number: int) -> Path:
        return self._folder / f"validator-{number}"

    def _make(self) -> None:
        made = self._folder / "made"
        names = ("--gen-type", "local", "--cn-num", str(VALIDATORS), "--chainID", str(CHAIN_ID))
        self._run("homi", "setup", *names, "--governance", "--output", str(made))
        genesis = json.loads((made / "scripts" / "genesis.json").read_text())
        genesis["config"]["governance"]["kip71"] = _FEES
        genesis["config"]["unitPrice"] = 0
        (made / "genesis.json").write_text(json.dumps(genesis))
        # Once for all: each takes seconds.
        data = self._folder / "data"
        self._run("kcn", "init", "--datadir", str(data), str(made / "genesis.json"))
        nodes = (made / "scripts" / "static-nodes.json").read_text()
        (data / "static-nodes.json").write_text(nodes.replace("@0.0.0.0:", "@127.0.0.1:"))
        for number in range(VALIDATORS):
            self._home(number).mkdir()
            shutil.copy(made / "keys" / f"nodekey{number + 1}", self._home(number) / "nodekey")
            self._fill(number)

    def _fill(self, number: int) -> None:
        """The chain's first block, and nothing more."""
        shutil.copytree(self._folder / "data", self._home(number) / "data")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments], capture_output=True, cwd=self._folder
        )
        if done.returncode:
            raise AssertionError(f"{program} {arguments[0]}: {done.stderr.decode()[-2000:]}")

    def _options(self, number: int) -> list[str]:
        options: dict[str, Any] = {
            "datadir": self._home(number) / "data",
            "nodekey": self._home(number) / "nodekey",
            "networkid": NETWORK_ID,
            "port": _FIRST_P2P + number,
            "rpcaddr": "127.0.0.1",
            "rpcport": _FIRST_RPC + number,
            "rpcapi": "eth,net,web3,txpool,governance,admin,istanbul,debug",
            "gcmode": "archive",
            "state.block-interval": 1,
            "opcode-computation-cost-limit": _COMPUTATION,
            "db.leveldb.cache-size": 32,
            "verbosity": 2,
            "rewardbase": "0x" + "00" * 20,
        }
        flags = ("--rpc", "--nodiscover", "--ntp.disable", "--ipcdisable")
        return [*(f"--{name}={value}" for name, value in options.items()), *flags]


def has_own_network() -> bool:
    """Whether this process sees loopback alone."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def grows(network: Network, number: int, blocks: int = 2) -> None:
    """Returns once a validator has more blocks than now."""
    wanted = network.height(number) + blocks
    network.until(lambda: network.height(number) >= wanted, f"block {wanted} at {number}")


def agree(network: Network) -> None:
    """Every validator has every other's blocks."""
    network.until(lambda: min(map(network.height, range(VALIDATORS))) >= 0, "answer of all")
    wanted = max(map(network.height, range(VALIDATORS)))
    network.until(
        lambda: min(map(network.height, range(VALIDATORS))) >= wanted, f"block {wanted} everywhere"
    )
    hashes = {Node(network.url(n)).block(BlockNumber(wanted)).hash for n in range(VALIDATORS)}
    assert len(hashes) == 1


def content(index: Index) -> dict[str, list[tuple[object, ...]]]:
    """All rows of an index's events."""
    with index.begin() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in index.metadata.sorted_tables
        }
