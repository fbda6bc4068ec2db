"""Keys: a patient's one-time keys from one recovery phrase, a participant's in a keystore.

A patient keeps one secret, a BIP-39 phrase. The key for an agreement is derived from it by BIP-32
along m/44'/60'/D'/H'/L', every step hardened: D is the first 31 bits of keccak256(chain id as 32
bytes ‖ Consents' address as 20), H and L are the agreement's upper and lower 31 bits. Nothing else
must be kept; keys of different agreements do not link, nor do equal numbers of two deployments;
who has the phrase finds them all again.
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
from chain.keccak import keccak
from chain.typed_data import Domain
from chain.types import Address, AgreementId

_WORDS = 12
_INDEX = (1 << 31) - 1
_LIGHT_SCRYPT_N = 1 << 12
_SCRYPT_N = 1 << 17  # 128 MiB and half a second: what OWASP asks of scrypt at least


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

    def key_for(self, agreement: AgreementId, domain: Domain) -> bytes:
        """The private key (32 bytes) for one agreement; `domain` is that of Consents."""
        return bytes(key_from_seed(self._seed, derivation_path(agreement, domain)))


def derivation_path(agreement: AgreementId, domain: Domain) -> str:
    """The BIP-32 path of the key for one agreement. Raises BadKey."""
    if not 0 < agreement <= _INDEX << 31 | _INDEX:
        raise BadKey(f"agreement {agreement} is out of range: check its number")
    place = keccak(domain.chain_id.to_bytes(32, "big") + bytes.fromhex(domain.contract[2:]))
    steps = (int.from_bytes(place[:4], "big") >> 1, agreement >> 31, agreement & _INDEX)
    return "m/44'/60'/" + "/".join(f"{step}'" for step in steps)


def new_phrase() -> str:
    """A new recovery phrase of 12 words from the operating system's randomness."""
    return generate_mnemonic(_WORDS, Language.ENGLISH)


def address_of(key: bytes) -> Address:
    """The account of a private key."""
    return Address(Account.from_key(key).address)


def save_keystore(path: Path, key: bytes, passphrase: str, *, light: bool = False) -> Address:
    """Write a new Web3 Secret Storage file (version 3, scrypt), mode 600; never overwrites.

    `light` makes guessing the passphrase 32 times cheaper: for keys that guard nothing.
    """
    rounds = _LIGHT_SCRYPT_N if light else _SCRYPT_N
    content: Mapping[str, Any] = Account.encrypt(key, passphrase, kdf="scrypt", iterations=rounds)
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
