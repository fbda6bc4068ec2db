"""Keys: a patient's one-time keys from one recovery phrase, a participant's in a keystore.

A patient keeps one secret. The key for an agreement is derived from it by BIP-32 along
m/44'/60'/712'/A', where A is the agreement's number: nothing else must be kept, keys of different
agreements do not link, and who has the phrase finds them all again. The phrase is BIP-39.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.hdaccount import generate_mnemonic, key_from_seed
from eth_account.hdaccount.mnemonic import Mnemonic
from eth_account.types import Language
from eth_utils.exceptions import ValidationError

from chain.errors import BadKey, BadPhrase, NoPassphrase
from chain.types import Address, AgreementId

_PATH = "m/44'/60'/712'/{}'"
_WORDS = 12
_MAX_INDEX = (1 << 31) - 1


class PatientSecret:
    """The seed of a recovery phrase; derives one-time keys."""

    def __init__(self, phrase: str) -> None:
        """Raises `BadPhrase`."""
        phrase = " ".join(phrase.split()).lower()
        if not Mnemonic(Language.ENGLISH).is_mnemonic_valid(phrase):
            raise BadPhrase(
                "these words are no recovery phrase: check the spelling and the order of all 12"
            )
        self._seed = Mnemonic.to_seed(phrase)

    def __repr__(self) -> str:
        return "PatientSecret(…)"

    def key_for(self, agreement: AgreementId) -> bytes:
        """The private key (32 bytes) for one agreement."""
        if not 0 < agreement <= _MAX_INDEX:
            raise BadKey(f"agreement {agreement} is out of range; check its number")
        return bytes(key_from_seed(self._seed, _PATH.format(agreement)))


def new_phrase() -> str:
    """A new recovery phrase of 12 words from the operating system's randomness."""
    return generate_mnemonic(_WORDS, Language.ENGLISH)


def address_of(key: bytes) -> Address:
    """The account of a private key."""
    return Address(Account.from_key(key).address)


def save_keystore(path: Path, key: bytes, passphrase: str) -> Address:
    """Write a new Web3 Secret Storage file (version 3, scrypt), mode 600; never overwrites."""
    content: Mapping[str, Any] = Account.encrypt(key, passphrase)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise BadKey(
            f"{path}: cannot be written ({exc.strerror}); a key is never replaced"
        ) from exc
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    return address_of(key)


def load_keystore(path: Path, passphrase: str) -> bytes:
    """The private key of a keystore. Raises `BadKey`."""
    try:
        return bytes(Account.decrypt(json.loads(path.read_text("utf-8")), passphrase))
    except OSError as exc:
        raise BadKey(f"{path}: no keystore can be read ({exc.strerror})") from exc
    except (ValueError, KeyError, TypeError, ValidationError) as exc:
        raise BadKey(f"{path}: not a keystore, or not its passphrase") from exc


def passphrase_from(environment: Mapping[str, str], name: str) -> str:
    """The passphrase in the variable `name`, or in the file that `name`_FILE names."""
    if name in environment:
        return environment[name]
    if (path := environment.get(f"{name}_FILE")) is None:
        raise NoPassphrase(f"set {name}, or {name}_FILE to a file that holds the passphrase")
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as exc:
        raise NoPassphrase(f"{name}_FILE: {path} cannot be read ({exc.strerror})") from exc
