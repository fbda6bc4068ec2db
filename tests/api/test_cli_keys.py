"""`consilium participant renew-key`: another signing key, and what becomes of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.cli.main import main
from api.home import Home
from chain.anvil import Anvil
from chain.client import Client
from chain.errors import TxTimeout
from chain.types import BlockNumber, Call, Receipt
from federated.party import Held, Party, keys_between
from storage.signing import Signer
from tests.api.desk import Desk
from tests.chain.kit import COINS

pytestmark = pytest.mark.engine("anvil")

PASSPHRASE = "for a test alone"


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """With a hospital, north, that was admitted and has published its keys."""
    monkeypatch.setenv("CONSILIUM_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CONSILIUM_LIGHT_KDF", "1")
    with Anvil() as own:
        made = Desk(tmp_path, own.url, capsys)
        own.fund(made.init("operator", "operator"), COINS)
        deployment = tmp_path / "deployment.json"
        made.run("operator", "chain", "deploy", "--out", str(deployment))
        own.fund(made.init("north", "hospital", "--deployment", str(deployment)), COINS)
        card = str(tmp_path / "north" / "participant.json")
        made.run("operator", "participant", "admit", card)
        assert "hold from block" in made.run("north", "participant", "register")
        yield made


@pytest.fixture
def party(desk: Desk) -> Iterator[Party]:
    found = Home.open(desk.folder / "north", PASSPHRASE).party(desk.url)
    yield found
    found.chain.client.outbox.close()


def published(party: Party) -> bytes:
    """The key that others verify with now; zeros for none."""
    head = party.head()
    keys = party.chain.participants.keys_at(party.address, head, block_identifier=head)
    return keys.signing


def own_key(desk: Desk) -> bytes:
    return Home.open(desk.folder / "north", PASSPHRASE).signing_key().public


def test_a_key_is_exchanged_or_revoked_as_its_owner_says(desk: Desk, party: Party) -> None:
    account = bytes.fromhex(party.address[2:])
    signers = [Signer(account, own_key(desk))]
    for words in ([], ["--revoke"], []):
        said = desk.run("north", "participant", "renew-key", *words)
        assert ("are revoked" in said) == bool(words)
        signers.append(Signer(account, own_key(desk)))
    assert len(set(signers)) == 4
    first, exchanged, after, newest = signers
    held = keys_between(party.chain, party.address, BlockNumber(1), party.head())
    assert [key.signer for key in held] == [newest, after, exchanged, first]
    assert [key.revoked is None for key in held] == [True, True, False, False]
    assert Held(newest, None) in held
    assert "ok" in desk.run("north", "check")


def stop_at(monkeypatch: pytest.MonkeyPatch, step: str, *, before: bool) -> None:
    """Whoever takes such a step ends there: before it is sent, or not knowing that it was mined."""
    send = Client.send

    def sent(self: Client, call: Call, *, step: str | None = None) -> Receipt:
        stops = (step or "").startswith(wanted)
        if not (stops and before):
            receipt = send(self, call, step=step)
        if stops:
            raise TxTimeout("in no block yet: try again")
        return receipt

    wanted = step
    monkeypatch.setattr(Client, "send", sent)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", ["revoke-", "keys-"])
@pytest.mark.parametrize("then", [["register"], ["renew-key", "--revoke"]])
def test_an_interrupted_revocation_publishes_no_stolen_key_again(
    desk: Desk, party: Party, step: str, before: bool, then: list[str]
) -> None:
    stolen = own_key(desk)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, step, before=before)
        desk.run("north", "participant", "renew-key", "--revoke", status=1)
    desk.run("north", "participant", *then)
    assert published(party) == own_key(desk) != stolen
    assert "ok" in desk.run("north", "check")
    if (step, before, then) == ("revoke-", True, ["register"]):
        return  # which was told that the stolen key is not revoked
    held = keys_between(party.chain, party.address, BlockNumber(1), party.head())
    assert [key.revoked is None for key in held if key.signer.public_key == stolen] == [False]


def test_a_key_that_was_revoked_is_not_published_again(desk: Desk, party: Party) -> None:
    """As from a backup of the home, or where an older version was interrupted."""
    file = desk.folder / "north" / "keys" / "signing.json"
    stolen = file.read_bytes()
    desk.run("north", "participant", "renew-key", "--revoke")
    newest = published(party)
    file.write_bytes(stolen)
    said = desk.run("north", "participant", "register", status=1)
    assert "was revoked in block" in said
    assert "renew-key" in said
    assert published(party) == newest
    assert "hold from block" in desk.run("north", "participant", "renew-key")
    assert "ok" in desk.run("north", "check")


def test_a_key_that_is_exchanged_and_not_revoked_is_told(desk: Desk, party: Party) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, "revoke-", before=True)
        desk.run("north", "participant", "renew-key", "--revoke", status=1)
    main(["--home", str(desk.folder / "north"), "--rpc", desk.url, "participant", "register"])
    assert "is not revoked" in desk.said().err


def test_keys_that_hold_are_not_sent_again(desk: Desk, party: Party) -> None:
    sent = party.chain.client.node.nonce(party.address, block="latest")
    assert "hold from block" in desk.run("north", "participant", "register")
    assert party.chain.client.node.nonce(party.address, block="latest") == sent
