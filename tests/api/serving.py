"""A finished study of three hospitals, and the API over its relayer's home."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from api.home import Home, HomeConfig, HomeRole
from api.server.app import create_app
from api.server.logs import make_log
from api.server.serving import config_of
from api.server.settings import Settings, read_settings
from chain.attestations import Level, Verdict
from chain.consent_types import RevokeMessage
from chain.keys import save_keystore
from chain.participants import Role
from chain.types import RoundNumber
from federated.directory import publish_description
from storage.keyfile import save_key
from tests.e2e import kit
from tests.e2e.kit import Saved, World

PASSPHRASE = "a passphrase of this test"
PATIENT: dict[str, Any] = {"request_s": 600, "node_s": 60, "body_s": 600}
"""Settings of a server on a machine that may be slow."""


def build_study(folder: Path) -> Saved:
    """Two finalized rounds, nobody paid yet, an attestation, a participant with a name."""
    world = kit.build_world(folder / "world")
    with world.anvil:
        kit.enrol_all(world, kit.study_spec(world))
        kit.open_tiers(world)
        kit.ask_all(world)
        kit.run_round(world)
        kit.run_round(world)
        _attest(world)
        _name(world)
        saved = kit.save(world, folder / "saved")
        world.forget()
    return saved


def _attest(world: World) -> None:
    chain = world.auditor.chain
    call = chain.attestations.attest(
        world.study, RoundNumber(0), Level.KEYED, Verdict.OK, bytes([7]) * 32
    )
    chain.client.send(call)


def _name(world: World) -> None:
    operator = world.party("operator")
    words = publish_description(operator.store, "relay of this test", Role.AUDITOR)
    call = operator.chain.participants.admit(world.relayer.address, Role.AUDITOR, words)
    operator.chain.client.send(call)


def make_home(world: World, name: str = "relayer", role: HomeRole = HomeRole.RELAYER) -> Home:
    """The home of a party of the kit, as `consilium participant init` makes them."""
    keys, path = world.keys[name], world.folder / name
    (path / "keys").mkdir(exist_ok=True, mode=0o700)
    config = HomeConfig(role, name, world.anvil.url, str(world.folder / "store"))
    (path / "home.json").write_text(json.dumps(asdict(config)))
    (path / "deployment.json").write_text(world.deployment.to_json())
    if not (path / "keys" / "account.json").exists():
        save_keystore(path / "keys" / "account.json", keys.account, PASSPHRASE, light=True)
        (path / "keys" / "address").write_text(keys.address + "\n")
        save_key(path / "keys" / "signing.json", keys.signing, keys.account)
        save_key(path / "keys" / "encryption.json", keys.identity, keys.account)
    return Home.open(path, passphrase="")


class Logged(io.StringIO):
    """What a server logs. A line comes after its answer left: who reads the log waits for it."""

    server: uvicorn.Server

    def getvalue(self) -> str:
        end = time.monotonic() + 120
        while self.server.server_state.tasks:
            assert time.monotonic() < end, "requests are under way"
            time.sleep(0.001)
        return super().getvalue()

    def empty(self) -> None:
        """Forget what was logged so far."""
        self.getvalue()
        self.seek(0)
        self.truncate()


@dataclass(frozen=True, slots=True)
class Served:
    """The API over a world; `log` holds what it logged."""

    world: World
    client: httpx.Client
    log: Logged

    def get(self, path: str, **more: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = self.client.get(path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def lines(self) -> list[dict[str, Any]]:
        """The log, parsed."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextmanager
def serving(
    world: World, home: Home | None = None, settings: Settings | None = None
) -> Iterator[Served]:
    """The application in this process."""
    log = Logged()
    settings = settings or read_settings(read_rate=10**6, relay_rate=10**6, **PATIENT)
    app = create_app(settings, home or make_home(world), log=make_log(log))
    with (
        over_http(app, settings, log) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=600) as client,
    ):
        yield Served(world, client, log)


@contextmanager
def over_http(app: FastAPI, settings: Settings, log: Logged) -> Iterator[str]:
    """The real server in a thread; its address. `log` is the application's."""
    log.server = server = uvicorn.Server(config_of(app, settings))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # now: who asks before the server is up waits for it
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def revocation(message: RevokeMessage) -> dict[str, Any]:
    """A withdrawal as the API takes it."""
    return {
        "key": message.key,
        "agreement": message.agreement,
        "nonce": message.nonce,
        "deadline": message.deadline,
        "r": "0x" + message.r.hex(),
        "vs": "0x" + message.vs.hex(),
    }
