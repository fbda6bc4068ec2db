"""`consilium serve` as a process: it starts, answers, sends what is left, and ends when told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api.home import HomeRole
from chain.anvil import Anvil
from tests.api.serving import PASSPHRASE, make_home, revocation
from tests.e2e.kit import Saved, World

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.processes, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 600


@pytest.fixture
def world(finished_study: Saved, tmp_path: Path) -> Iterator[World]:
    with finished_study.start(tmp_path / "world") as found:
        yield found


@dataclass
class Running:
    process: subprocess.Popen[str]
    client: httpx.Client
    log: Path

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(WAIT_S)


def command(home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "api.cli.main", "--home", str(home), "serve", *options]


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)} | more


@contextmanager
def started(home: Path, *options: str, **variables: str) -> Iterator[Running]:
    log = home / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command(home, "--port", "0", *options),
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.endswith("/openapi.json"), log.read_text()
            base = url.removesuffix("/openapi.json")
            with httpx.Client(base_url=base, trust_env=False, timeout=WAIT_S) as client:
                yield Running(process, client, log)
        finally:
            process.kill()
            process.wait(WAIT_S)
            process.stdout.close()  # type: ignore[union-attr]


def hold(port: int) -> socket.socket:
    """A socket at a port that does not listen: who connects is refused."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held


def test_what_is_left_is_sent_by_the_same_process(world: World) -> None:
    home = make_home(world)
    asked = next(item for item in world.patients if item.will == "grants")
    agreement = world.tiers[asked.hospital, asked.will]
    message = world.patient(asked).revoke(agreement, deadline=world.clock.now() + 3600)
    with started(home.path, "--relay", CONSILIUM_PASSPHRASE=PASSPHRASE) as running:
        left = running.client.post("/v1/relay/revocations", json=revocation(message)).json()
        end = time.monotonic() + WAIT_S
        while left["status"] != "done":
            assert time.monotonic() < end, running.log.read_text()
            left = running.client.get(f"/v1/relay/receipts/{left['receipt']}").json()
        assert running.client.get("/v1/ready").status_code == 200
        assert running.end() == 0
        assert world.consent_of(asked).hex() not in running.log.read_text()
    slot = world.center.chain.consents.consent(
        world.consent_of(asked), block_identifier=world.center.head()
    )
    assert slot.revoked == left["block"]


def test_it_reads_without_a_passphrase_and_finds_a_killed_node_again(world: World) -> None:
    home = make_home(world, "auditor", HomeRole.AUDITOR)
    with started(home.path) as running:
        assert running.client.get("/v1/ready").json()["relays"] is False
        assert running.client.get("/v1/studies").status_code == 200
        world.anvil.kill()
        held = hold(world.anvil.port)  # another test's node must not take it meanwhile
        answer = running.client.get("/v1/studies")
        assert (answer.status_code, answer.json()["type"]) == (
            503,
            "/v1/problems/node-unreachable",
        )
        assert running.client.get("/v1/health").status_code == 200
        world.anvil.stop()
        held.close()
        with Anvil(world.folder / "chain.json.gz", port=world.anvil.port):
            end = time.monotonic() + WAIT_S
            while running.client.get("/v1/ready").status_code != 200:
                assert time.monotonic() < end
            assert running.client.get("/v1/studies").status_code == 200
            assert running.end(signal.SIGINT) == 0
