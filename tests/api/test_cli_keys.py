"""`consilium participant renew-key`: another signing key, and what becomes of the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.home import Home
from chain.anvil import Anvil
from chain.types import BlockNumber
from federated.party import Held, keys_between
from storage.signing import Signer
from tests.api.desk import Desk
from tests.chain.kit import COINS

pytestmark = pytest.mark.engine("anvil")

PASSPHRASE = "for a test alone"


def test_a_key_is_exchanged_or_revoked_as_its_owner_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONSILIUM_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CONSILIUM_LIGHT_KDF", "1")
    with Anvil() as own:
        desk = Desk(tmp_path, own.url, capsys)
        own.fund(desk.init("operator", "operator"), COINS)
        deployment = tmp_path / "deployment.json"
        desk.run("operator", "chain", "deploy", "--out", str(deployment))
        own.fund(desk.init("north", "hospital", "--deployment", str(deployment)), COINS)
        card = str(tmp_path / "north" / "participant.json")
        desk.run("operator", "participant", "admit", card)
        assert "hold from block" in desk.run("north", "participant", "register")

        home = Home.open(tmp_path / "north", PASSPHRASE)
        party = home.party(own.url)
        account = bytes.fromhex(party.address[2:])
        signers = [Signer(account, home.signing_key().public)]
        for words in ([], ["--revoke"], []):
            said = desk.run("north", "participant", "renew-key", *words)
            assert ("are revoked" in said) == bool(words)
            signers.append(Signer(account, home.signing_key().public))
        assert len(set(signers)) == 4
        first, exchanged, after, newest = signers
        held = keys_between(party.chain, party.address, BlockNumber(1), party.head())
        assert [key.signer for key in held] == [newest, after, exchanged, first]
        assert [key.revoked is None for key in held] == [True, True, False, False]
        assert Held(newest, None) in held
        assert "ok" in desk.run("north", "check")
        party.chain.client.outbox.close()
