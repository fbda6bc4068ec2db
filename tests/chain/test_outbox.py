"""The outbox in a file and in PostgreSQL: one effect for each step, whatever dies in between."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from chain import migrations, toolchain
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import MINTABLE
from chain.errors import OutboxBroken, OutboxBusy, OutboxConflict
from chain.node import Node
from chain.outbox import Outbox, State
from chain.types import Address, Wei
from tests.chain.conformance import balance, tokens
from tests.chain.kit import COINS, PATIENCE_S, Chain
from tests.chain.postgres import Postgres

GENESIS = b"\1" * 32
SENDER = Address("0x" + "00" * 19 + "01")

pytestmark = pytest.mark.engine("anvil", "postgres")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if request.param == "file":
        return tmp_path / "outbox.sqlite"
    url: str = request.getfixturevalue("postgres").url
    return url


def party(chain: Chain, place: Path | str, key: bytes | None = None) -> Contracts:
    client = Client(Node(chain.anvil.url), key or os.urandom(32), place)
    chain.anvil.fund(client.address, COINS)
    return Contracts(client, chain.operator.deployment)


def test_a_step_has_one_effect_and_outlives_its_process(chain: Chain, place: Path | str) -> None:
    key = os.urandom(32)
    first = party(chain, place, key)
    call = tokens(first).mint(first.client.address, Wei(7))
    receipt = first.client.send(call, step="mint")
    first.client.outbox.close()
    again = party(chain, place, key)
    assert again.client.send(call, step="mint") == receipt
    with pytest.raises(OutboxConflict):
        again.client.send(tokens(again).mint(again.client.address, Wei(8)), step="mint")
    assert balance(again) == 7
    (entry,) = again.client.outbox.all()
    assert (entry.state, entry.block_hash) == (State.DONE, receipt.block_hash)
    again.client.outbox.close()


def test_two_keys_in_one_place_do_not_meet(chain: Chain, place: Path | str) -> None:
    one, other = party(chain, place), party(chain, place)
    for who in (one, other):
        who.client.send(tokens(who).mint(who.client.address, Wei(7)), step="mint")
        assert len(who.client.outbox.all()) == 1
    with one.client.outbox.lock(), other.client.outbox.lock(timeout_s=1):
        pass
    one.client.outbox.close()
    other.client.outbox.close()


def test_one_key_is_locked_against_another_process(place: Path | str) -> None:
    one, other = (Outbox(place, GENESIS, SENDER) for _ in range(2))
    with one.lock(), pytest.raises(OutboxBusy, match=SENDER), other.lock(timeout_s=0.2):
        pass
    with other.lock(timeout_s=PATIENCE_S):  # PostgreSQL ends a lock once it sees its holder gone
        pass
    one.close()
    other.close()


CHILD = """
import sys
from pathlib import Path
from chain.client import Client
from chain.node import Node
from chain.token import Token
from chain.types import Address, BlockNumber, Wei

url, token, key, place = sys.argv[1:]
place = place if place.startswith("postgresql") else Path(place)
client = Client(Node(url), bytes.fromhex(key), place)
money = Token(client, Address(token), BlockNumber(0))
for number in range(15):
    client.send(money.mint(client.address, Wei(1)), step=f"mint-{number}")
    print(number, flush=True)
"""


@pytest.mark.processes
def test_a_sender_killed_again_and_again_doubles_and_loses_nothing(
    chain: Chain, place: Path | str
) -> None:
    key = os.urandom(32)
    owner = party(chain, place, key)
    token = chain.operator.deployment.address_of(MINTABLE)
    for lines in (1, 2, 4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, chain.anvil.url, token, key.hex(), str(place)],
            stdout=subprocess.PIPE,
            cwd=toolchain.ROOT,
        )
        assert child.stdout is not None
        with child.stdout:
            for _ in range(lines):
                assert child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            child.wait()
    owner.client.resume()
    for number in range(15):
        owner.client.send(tokens(owner).mint(owner.client.address, Wei(1)), step=f"mint-{number}")
    assert balance(owner) == 15
    assert owner.client.node.nonce(owner.client.address, block="latest") == 15
    owner.client.outbox.close()


def test_a_database_that_crashed_is_named_and_goes_on_where_it_was(chain: Chain) -> None:
    with Postgres() as server:
        owner = party(chain, server.url)
        call = tokens(owner).mint(owner.client.address, Wei(7))
        receipt = owner.client.send(call, step="mint")
        server.kill()
        with pytest.raises(OutboxBroken, match="start the database"):
            owner.client.send(call, step="mint")
        server.start()
        assert owner.client.send(call, step="mint") == receipt
        assert balance(owner) == 7
        owner.client.outbox.close()


def test_a_password_is_in_no_message(tmp_path: Path) -> None:
    url = f"postgresql://someone:hidden-word@/nothing?host={tmp_path}"
    with pytest.raises(OutboxBroken) as caught:
        Outbox(url, GENESIS, SENDER)
    assert "hidden-word" not in str(caught.value)
    with pytest.raises(OutboxBroken, match="a file, or a database"):
        Outbox("mysql://someone:hidden-word@host/x", GENESIS, SENDER)


def older(version: str | None) -> str:
    """What made an outbox's file before transactions could be replaced."""
    table = (
        "CREATE TABLE transactions (genesis BLOB NOT NULL, sender VARCHAR NOT NULL, "
        'step VARCHAR NOT NULL, nonce INTEGER NOT NULL, what VARCHAR NOT NULL, "to" VARCHAR, '
        "data BLOB NOT NULL, value VARCHAR NOT NULL, raw BLOB NOT NULL, hash BLOB NOT NULL, "
        "state VARCHAR NOT NULL, reason VARCHAR, block_hash BLOB, "
        "PRIMARY KEY (genesis, sender, step));"
    )
    stamp = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
    return table + (f"{stamp} INSERT INTO alembic_version VALUES ('{version}');" if version else "")


@pytest.mark.parametrize("version", [None, "0001"])
def test_an_older_file_is_brought_up_with_what_it_holds(
    tmp_path: Path, version: str | None
) -> None:
    path = tmp_path / "outbox.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(older(version))
        row = (GENESIS, SENDER, "submit", 3, "Rounds.submit", None, b"", "0", b"r", b"h", "done")
        database.execute(f"INSERT INTO transactions VALUES ({'?,' * 11} NULL, NULL)", row)
    database.close()
    outbox = Outbox(path, GENESIS, SENDER)
    (entry,) = outbox.all()
    assert (entry.step, entry.nonce, entry.earlier) == ("submit", 3, ())
    outbox.close()
    Outbox(path, GENESIS, SENDER).close()


@pytest.mark.parametrize("backend", ["file", "postgres"])
def test_migrations_lead_to_the_schema_that_is_made_at_once(backend: str, tmp_path: Path) -> None:
    with Postgres() as server:
        url = f"sqlite:///{tmp_path / 'old.sqlite'}"
        if backend == "postgres":
            url = server.url.replace("postgresql:", "postgresql+psycopg:")
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            migrations._upgrade(connection, "")
        with engine.begin() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, migrations.metadata) == []
            assert context.get_current_revision() == migrations.HEAD
        engine.dispose()
