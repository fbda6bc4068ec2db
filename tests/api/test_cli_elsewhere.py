"""A home whose transactions lie in a PostgreSQL, or whose account's key lies in a Web3Signer."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def opened(server: Postgres) -> Iterator[sa.Connection]:
    engine = sa.create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def sent_by(server: Postgres, account: str) -> int:
    with opened(server) as connection:
        query = sa.text("SELECT count(*) FROM transactions WHERE sender = :sender")
        return int(connection.execute(query, {"sender": account}).scalar_one())


def table(desk: Desk, home: str, *, status: int) -> str:
    """What `consilium check` shows, whatever it finds."""
    assert main(["--home", str(desk.folder / home), "--rpc", desk.url, "check"]) == status
    return desk.said().out


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


def test_an_address_where_nothing_answered_binds_no_home(
    desk: Desk, path: RoundPath, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = relayer_of(desk, path)
    place = desk.folder / "relayer" / "outbox.place"
    monkeypatch.setenv(OUTBOX, "postgresql://127.0.0.1:1/typing-error")
    desk.run("relayer", "relay", status=1)
    shown = table(desk, "relayer", status=1)
    assert "start the database" in shown
    assert "coins" not in shown
    assert not place.exists()
    monkeypatch.setenv(OUTBOX, secret_url(postgres))
    table(desk, "relayer", status=0)
    assert not place.exists()
    leave_withdrawal(desk, path, account, 0)
    assert desk.run("relayer", "relay") == "1 messages sent\n"
    assert place.exists()


def test_a_check_makes_no_outbox(desk: Desk, path: RoundPath) -> None:
    """With a file it would bind the home to it."""
    relayer_of(desk, path)
    assert "coins" in table(desk, "relayer", status=0)
    assert not list((desk.folder / "relayer").glob("outbox*"))


def test_a_check_of_a_damaged_file_is_a_row_of_its_table(desk: Desk, path: RoundPath) -> None:
    relayer_of(desk, path)
    (desk.folder / "relayer" / "outbox.sqlite").write_bytes(b"no database" * 100)
    shown = table(desk, "relayer", status=1)
    assert "cannot be read or written" in shown
    assert "deployment" in shown


def test_another_database_of_the_same_name_is_refused(
    desk: Desk, path: RoundPath, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema of its own, as a server of its own behind another port of the query."""
    account = relayer_of(desk, path)
    monkeypatch.setenv(OUTBOX, secret_url(postgres))
    leave_withdrawal(desk, path, account, 0)
    desk.run("relayer", "relay")
    with opened(postgres) as connection:
        connection.execute(sa.text("CREATE SCHEMA other"))
    monkeypatch.setenv(OUTBOX, secret_url(postgres) + "&options=-csearch_path%3Dother")
    for words in (["relay"], ["relay"]):
        said = desk.run("relayer", *words, status=1)
        assert "this is another one there" in said
        assert PASSWORD not in said
    assert "this is another one there" in table(desk, "relayer", status=1)
    monkeypatch.setenv(OUTBOX, secret_url(postgres))
    assert desk.run("relayer", "relay") == "0 messages sent\n"
    place = desk.folder / "relayer" / "outbox.place"
    place.write_text(place.read_text().splitlines()[0] + "\n")  # as older versions left it
    desk.run("relayer", "relay")
    assert len(place.read_text().splitlines()) == 2


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


def test_a_move_that_was_killed_at_its_end_is_begun_again(
    desk: Desk, path: RoundPath, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = relayer_of(desk, path)
    leave_withdrawal(desk, path, account, 0)
    desk.run("relayer", "relay")
    monkeypatch.setenv(OUTBOX, secret_url(postgres))
    file = desk.folder / "relayer" / "outbox.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        desk.run("relayer", "participant", "move-outbox", status=1)
    assert file.exists()
    assert "transactions are in" in desk.run("relayer", "participant", "move-outbox")
    assert not file.exists()
    assert "to be moved" in desk.run("relayer", "participant", "move-outbox", status=1)


def killed(_path: Path, _target: Path) -> None:
    raise OSError("killed")


def test_an_old_copy_of_the_file_overwrites_nothing(
    desk: Desk, path: RoundPath, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = relayer_of(desk, path)
    home = desk.folder / "relayer"
    leave_withdrawal(desk, path, account, 0)
    desk.run("relayer", "relay")
    monkeypatch.setenv(OUTBOX, secret_url(postgres))
    desk.run("relayer", "participant", "move-outbox")
    leave_withdrawal(desk, path, account, 1)
    desk.run("relayer", "relay")
    (home / "outbox.sqlite.moved").rename(home / "outbox.sqlite")  # as from a backup, place and all
    (home / "outbox.place").unlink()
    said = desk.run("relayer", "participant", "move-outbox", status=1)
    assert "is older than what the database holds" in said
    assert said.count("\n") == 1
    assert sent_by(postgres, account) == 2
    (home / "outbox.sqlite").rename(home / "outbox.sqlite.old")
    assert desk.run("relayer", "relay") == "0 messages sent\n"


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
