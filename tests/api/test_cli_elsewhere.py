"""A home whose transactions lie in a PostgreSQL, or whose account's key lies in a Web3Signer."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from eth_keys.datatypes import PrivateKey

from api.cli.main import main
from chain.anvil import Anvil
from chain.client import Client
from chain.consent_types import consent_id
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.keys import address_of
from chain.node import Node
from chain.typed_data import Domain, Revoke, compact, sign
from chain.types import Address
from federated.mail import post
from storage.embedded import EmbeddedStore
from tests.api.desk import Desk
from tests.chain.kit import COINS, Chain, RoundPath
from tests.chain.postgres import Postgres
from tests.chain.test_signer import Server

pytestmark = pytest.mark.engine("anvil", "postgres")

PASSWORD = "hidden-word"
OUTBOX, SIGNER = "CONSILIUM_OUTBOX_URL", "CONSILIUM_SIGNER_URL"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Iterator[RoundPath]:
    """Three patients whose consents stand, on a chain of the test's own."""
    with Anvil() as own:
        client = Client(Node(own.url), os.urandom(32), tmp_path / "deployer.sqlite")
        own.fund(client.address, COINS)
        chain = Chain(own, Contracts(client, deploy(client, token=True)), tmp_path)
        (tmp_path / "deployment.json").write_text(chain.operator.deployment.to_json())
        yield RoundPath(chain, submitted=False)


@pytest.fixture
def desk(
    path: RoundPath,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    monkeypatch.setenv("CONSILIUM_PASSPHRASE", "for a test alone")
    monkeypatch.setenv("CONSILIUM_LIGHT_KDF", "1")
    made = Desk(tmp_path, path.center.client.node.name, capsys)
    EmbeddedStore.create(tmp_path / "store")
    return made


def relayer_of(desk: Desk, path: RoundPath, *words: str) -> str:
    """A relayer's home, with coins; its account."""
    given = ["--deployment", str(desk.folder / "deployment.json"), *words]
    account = desk.init("relayer", "relayer", *given)
    node = path.center.client.node
    node.request("anvil_setBalance", account, hex(COINS))
    return account


def leave_withdrawal(desk: Desk, path: RoundPath, relayer: str, patient: int) -> None:
    """A patient leaves a signed withdrawal to the relayer."""
    key, consents = path.keys[patient], path.hospital.consents
    consent = consent_id(address_of(key), path.agreement)
    domain = Domain(path.hospital.client.chain_id, consents.address)
    deadline = path.not_after
    r, vs = compact(sign(key, Revoke(consent, deadline), domain))
    fields = [address_of(key), path.agreement, 0, deadline, r, vs]
    store = EmbeddedStore(desk.folder / "store")
    post(store, Address(relayer), "revocations", {"messages": [fields]})


def is_active(path: RoundPath, patient: int) -> bool:
    block = path.center.client.block_number()
    consent = consent_id(address_of(path.keys[patient]), path.agreement)
    return path.hospital.consents.active_at([consent], block, block_identifier=block)[0]


def secret_url(server: Postgres) -> str:
    return server.url.replace("consilium@", f"consilium:{PASSWORD}@")


def sent_by(server: Postgres, account: str) -> int:
    engine = sa.create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        query = sa.text("SELECT count(*) FROM transactions WHERE sender = :sender")
        found = connection.execute(query, {"sender": account}).scalar_one()
    engine.dispose()
    return int(found)


def test_a_relayer_sends_from_a_database_and_from_nowhere_else(
    desk: Desk, path: RoundPath, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = desk.folder / "outbox-url"
    secret.write_text(secret_url(postgres) + "\n")
    account = relayer_of(desk, path)
    monkeypatch.setenv(f"{OUTBOX}_FILE", str(secret))
    leave_withdrawal(desk, path, account, 0)
    assert desk.run("relayer", "relay") == "1 messages sent\n"
    assert not is_active(path, 0)
    assert sent_by(postgres, account) == 1
    home = desk.folder / "relayer"
    assert not (home / "outbox.sqlite").exists()
    assert PASSWORD not in (home / "outbox.place").read_text()

    monkeypatch.delenv(f"{OUTBOX}_FILE")
    said = desk.run("relayer", "relay", status=1)
    assert f"set {OUTBOX} or {OUTBOX}_FILE" in said
    assert said.count("\n") == 1
    assert not (home / "outbox.sqlite").exists()

    monkeypatch.setenv(OUTBOX, f"postgresql://someone:{PASSWORD}@127.0.0.1:1/other")
    said = desk.run("relayer", "relay", status=1)
    assert "not from postgresql://127.0.0.1:1/other" in said
    assert PASSWORD not in said


def test_a_database_that_is_away_is_named_without_its_password(
    desk: Desk, path: RoundPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    relayer_of(desk, path)
    monkeypatch.setenv(OUTBOX, f"postgresql://someone:{PASSWORD}@127.0.0.1:1/x?password={PASSWORD}")
    said = desk.run("relayer", "relay", status=1)
    assert "start the database" in said
    assert "127.0.0.1:1" in said
    assert PASSWORD not in said
    monkeypatch.setenv(OUTBOX, f"postgresql://someone:{PASSWORD}/x@127.0.0.1:5432/x")
    assert PASSWORD not in desk.run("relayer", "relay", status=1)


def test_an_outbox_that_was_moved_sends_nothing_a_second_time(
    desk: Desk, path: RoundPath, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = relayer_of(desk, path)
    node = path.center.client.node
    leave_withdrawal(desk, path, account, 0)
    desk.run("relayer", "relay")
    sent = node.nonce(Address(account), block="latest")
    monkeypatch.setenv(OUTBOX, secret_url(postgres))
    assert "move-outbox" in desk.run("relayer", "relay", status=1)

    desk.run("relayer", "participant", "move-outbox")
    home = desk.folder / "relayer"
    for file in (home / "journal").iterdir():
        file.unlink()  # as if it had died before it noted what became of the message
    assert desk.run("relayer", "relay") == "1 messages sent\n"
    assert node.nonce(Address(account), block="latest") == sent
    assert not (home / "outbox.sqlite").exists()
    assert "to be moved" in desk.run("relayer", "participant", "move-outbox", status=1)


@pytest.fixture
def signer(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, bytes]]:
    """A Web3Signer's HTTP contract, and the key that it keeps."""
    key = os.urandom(32)
    server = Server(key, os.urandom(32))
    threading.Thread(target=server.http.serve_forever, daemon=True).start()
    monkeypatch.setenv(SIGNER, server.url)
    yield server, key
    server.http.shutdown()
    server.http.server_close()


def test_a_relayer_sends_with_a_key_that_it_never_has(
    desk: Desk,
    path: RoundPath,
    signer: tuple[Server, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, key = signer
    account = relayer_of(desk, path, "--signer", address_of(key))
    assert account == address_of(key)
    home = desk.folder / "relayer"
    assert json.loads((home / "participant.json").read_text())["address"] == account
    leave_withdrawal(desk, path, account, 0)
    assert desk.run("relayer", "relay") == "1 messages sent\n"
    assert not is_active(path, 0)
    for file in home.rglob("*"):
        assert not file.is_file() or key.hex().encode() not in file.read_bytes()

    leave_withdrawal(desk, path, account, 1)
    server.signs_with = PrivateKey(os.urandom(32))
    assert "signed with another key" in desk.run("relayer", "relay", status=1)
    assert is_active(path, 1)
    monkeypatch.setenv(SIGNER, f"http://someone:{PASSWORD}@127.0.0.1:1/path")
    said = desk.run("relayer", "relay", status=1)
    assert "no Web3Signer answers at http://127.0.0.1:1" in said
    assert PASSWORD not in said
    monkeypatch.delenv(SIGNER)
    said = desk.run("relayer", "relay", status=1)
    assert f"set {SIGNER} or {SIGNER}_FILE" in said
    assert said.count("\n") == 1
    assert main(["--home", str(home), "--rpc", desk.url, "check"]) == 1
    monkeypatch.setenv(SIGNER, server.url)
    assert main(["--home", str(home), "--rpc", desk.url, "check"]) == 0


def test_no_home_is_made_of_an_account_that_the_signer_does_not_keep(
    desk: Desk, path: RoundPath, signer: tuple[Server, bytes]
) -> None:
    init = ["participant", "init", "--role", "relayer", "--name", "x", "--store"]
    given = [str(desk.folder / "store"), "--rpc", desk.url, "--signer", "0x" + "11" * 20]
    deployment = ["--deployment", str(desk.folder / "deployment.json")]
    assert "keeps no key of" in desk.run("x", *init, *given, *deployment, status=1)
    assert not (desk.folder / "x").exists()


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_file_that_gives_no_address_is_named(
    desk: Desk, path: RoundPath, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    relayer_of(desk, path)
    file = desk.folder / "the-secret"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(f"{OUTBOX}_FILE", str(file))
    said = desk.run("relayer", "relay", status=1)
    assert f"{OUTBOX}_FILE: {file}" in said
