"""Keys from one phrase, and in files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from eth_account import Account

from chain.errors import BadKey, BadPhrase, NoPassphrase
from chain.keys import (
    PatientSecret,
    address_of,
    derivation_path,
    load_keystore,
    new_phrase,
    passphrase_from,
    save_keystore,
)
from chain.typed_data import Domain
from chain.types import AgreementId
from tests.chain.kit import address

PHRASE = "abandon " * 11 + "about"  # BIP-39's own test vector
DOMAIN = Domain(31337, address(0xC0FFEE))
PATH = "m/44'/60'/1704244072'/0'/1'"
ADDRESS = "0x68843A3A3cEaBfa9fa838d3BC7C78210436AB429"


def test_one_phrase_gives_the_same_key_on_every_machine() -> None:
    key = PatientSecret(PHRASE).key_for(AgreementId(1), DOMAIN)
    assert derivation_path(AgreementId(1), DOMAIN) == PATH
    assert address_of(key) == ADDRESS


def test_a_wallet_that_is_given_the_path_finds_the_same_account() -> None:
    Account.enable_unaudited_hdwallet_features()
    agreement = AgreementId(2**40 + 5)
    wallet = Account.from_mnemonic(PHRASE, account_path=derivation_path(agreement, DOMAIN))
    assert address_of(PatientSecret(PHRASE).key_for(agreement, DOMAIN)) == wallet.address


def test_keys_of_agreements_and_of_deployments_do_not_link() -> None:
    secret = PatientSecret(new_phrase())
    places = [
        (AgreementId(1), DOMAIN),
        (AgreementId(2), DOMAIN),
        (AgreementId(2**31 + 1), DOMAIN),
        (AgreementId(1), Domain(1, DOMAIN.contract)),
        (AgreementId(1), Domain(31337, address(2))),
    ]
    assert len({secret.key_for(*place) for place in places}) == len(places)


def test_case_and_spaces_of_a_typed_phrase_do_not_matter() -> None:
    typed = "  " + PHRASE.upper().replace(" ", "  ") + "\n"
    agreement = AgreementId(1)
    assert PatientSecret(typed).key_for(agreement, DOMAIN) == PatientSecret(PHRASE).key_for(
        agreement, DOMAIN
    )


@pytest.mark.parametrize("words", ["", "abandon " * 12, "abandon " * 11 + "zzz"])
def test_words_that_are_no_phrase_are_refused_and_not_shown(words: str) -> None:
    with pytest.raises(BadPhrase) as caught:
        PatientSecret(words)
    assert "abandon" not in str(caught.value)


@pytest.mark.parametrize("number", [0, -1, 2**62])
def test_an_agreement_out_of_range_has_no_key(number: int) -> None:
    with pytest.raises(BadKey, match="out of range"):
        PatientSecret(PHRASE).key_for(AgreementId(number), DOMAIN)


def test_a_secret_does_not_show_itself() -> None:
    secret = PatientSecret(PHRASE)
    assert "abandon" not in repr(secret)
    assert secret._seed.hex() not in repr(secret)


def test_a_keystore_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    path, key = tmp_path / "key.json", b"\7" * 32
    assert save_keystore(path, key, "right") == address_of(key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.hex() not in path.read_text()
    assert load_keystore(path, "right") == key
    with pytest.raises(BadKey, match="not its passphrase"):
        load_keystore(path, "wrong")
    with pytest.raises(BadKey, match="never replaced"):
        save_keystore(path, b"\x08" * 32, "right")


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"version": 3}', "\udcff"])
def test_a_damaged_keystore_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadKey, match=r"key\.json"):
        load_keystore(path, "any")


def test_a_missing_keystore_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match=r"none\.json"):
        load_keystore(tmp_path / "none.json", "any")


def test_a_passphrase_comes_from_the_variable_or_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from a file\n")
    assert passphrase_from({"X": "direct"}, "X") == "direct"
    assert passphrase_from({"X_FILE": str(file)}, "X") == "from a file"
    with pytest.raises(NoPassphrase, match="set X, or X_FILE"):
        passphrase_from({}, "X")
    with pytest.raises(NoPassphrase, match="cannot be read"):
        passphrase_from({"X_FILE": str(tmp_path / "none")}, "X")
