"""A participant's home: one folder with its keys, its outbox, its journal, and what it keeps.

    home.json        role, name, node, store
    deployment.json  where the contracts are
    keys/            account.json (keystore v3), signing.json, encryption.json
    journal/         durable steps
    outbox.sqlite    signed transactions; outbox.place names the database where they are elsewhere
    records.sqlite, consents.sqlite, policy.toml    a hospital's alone
    personal/        a hospital's alone: its own models of studies, sealed to itself
    phrase.txt       a patient's alone: the recovery phrase

One passphrase, from CONSILIUM_PASSPHRASE or CONSILIUM_PASSPHRASE_FILE, protects the account's key,
and that key the others. Where a Web3Signer keeps the account's key, account.json holds another one,
which protects the others and signs nothing.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from api.errors import HomeError
from api.files import write_private
from api.outbox import keep_place, outbox_of
from api.settings import signer_of
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment
from chain.errors import NoPassphrase
from chain.keys import PatientSecret, load_keystore, new_phrase, passphrase_from, save_keystore
from chain.node import Node
from chain.signer import Web3Signer
from chain.types import Address
from federated.hospital import HospitalNode
from federated.journal import Journal
from federated.party import Party
from federated.patient import Patient
from records.consents import ConsentTable
from records.store import RecordStore
from storage.backends import reach_store
from storage.keyfile import load_identity, load_signing_key, save_key
from storage.keys import Identity
from storage.signing import Sender, SigningKey
from storage.store import BlockStore

PASSPHRASE = "CONSILIUM_PASSPHRASE"  # noqa: S105 - the name of a variable


class HomeRole(StrEnum):
    """Who a home belongs to; operators deploy and admit, relayers send for others."""

    OPERATOR = "operator"
    CENTER = "center"
    HOSPITAL = "hospital"
    AUDITOR = "auditor"
    RELAYER = "relayer"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class HomeConfig:
    """What home.json says. `store` is a folder, `http://host:port` of the home's own IPFS node, or
    `cluster:FILE` of its member file; `rpc` the chain node's address.

    `relayer` is the account that sends what this home signs; empty where it sends itself. `signer`
    is the account whose key a Web3Signer keeps; empty where the home has it.
    """

    role: HomeRole
    name: str
    rpc: str
    store: str
    relayer: str = ""
    signer: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """An existing home. `passphrase` opens its keys; a patient's home has none."""

    path: Path
    config: HomeConfig
    passphrase: str = field(default="", repr=False)
    key: bytes | None = field(default=None, repr=False)

    @classmethod
    def create(
        cls,
        path: Path,
        config: HomeConfig,
        deployment: str | None,
        passphrase: str = "",
        *,
        light: bool = False,
    ) -> Home:
        """Make a new home with new keys. Raises `HomeError` where there is one already.

        `light`: see `save_keystore`.
        """
        if (path / "home.json").exists():
            raise HomeError(f"{path} is a home already; its keys are never replaced")
        (path / "keys").mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
        home = cls(path, config, passphrase)
        home = replace(home, key=home._new_keys(light))
        if deployment is not None:
            home.set_deployment(deployment)
        write_private(path / "home.json", json.dumps(asdict(config), indent=1))
        return home

    @classmethod
    def open(cls, path: Path, passphrase: str | None = None) -> Home:
        """The home in a folder. Raises `HomeError`, `NoPassphrase`."""
        try:
            raw = json.loads((path / "home.json").read_text("utf-8"))
            config = HomeConfig(**raw | {"role": HomeRole(raw["role"])})
        except FileNotFoundError as exc:
            raise HomeError(
                f"{path} is no home: make one with `consilium participant init`, or name another "
                "with --home"
            ) from exc
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise HomeError(f"{path / 'home.json'} is damaged: restore it from a backup") from exc
        if passphrase is None and config.role is not HomeRole.PATIENT:
            passphrase = passphrase_from(os.environ, PASSPHRASE)
        return cls(path, config, passphrase or "")

    def require(self, *roles: HomeRole) -> Home:
        """This home, if it is of one of these roles. Raises `HomeError`."""
        if self.config.role not in roles:
            own, *wanted = (_one(role) for role in (self.config.role, *roles))
            raise HomeError(f"{self.path} is the home of {own}, not of {' or '.join(wanted)}")
        return self

    def set_deployment(self, text: str) -> None:
        """Keep where the contracts are, for good.

        Raises `HomeError` for another deployment: what the home keeps of studies and transactions
        is of the first one.
        """
        given = Deployment.from_json(text)
        if (self.path / "deployment.json").exists() and self.deployment() != given:
            raise HomeError(
                f"{self.path} belongs to another deployment; make a new home for this one"
            )
        write_private(self.path / "deployment.json", text)

    def deployment(self) -> Deployment:
        """Where the contracts are. Raises `HomeError`."""
        try:
            return Deployment.from_json((self.path / "deployment.json").read_text("utf-8"))
        except OSError as exc:
            raise HomeError(
                f"{self.path} lacks deployment.json: get it from the operator and run `consilium "
                "participant init` with --deployment"
            ) from exc

    def account_key(self) -> bytes:
        """The private key that opens the home's others: the account's, unless a signer keeps that.

        Raises `BadKey`.
        """
        if self.key is not None:
            return self.key
        return load_keystore(self.path / "keys" / "account.json", self.passphrase)

    def address(self) -> Address:
        """The account's address, from the keystore's name alone."""
        return Address((self.path / "keys" / "address").read_text("utf-8").strip())

    def identity(self) -> Identity:
        """The key that artefacts are sealed to."""
        return load_identity(self.path / "keys" / "encryption.json", self.account_key())

    def signing_key(self) -> SigningKey:
        """The key that signs manifests."""
        return load_signing_key(self.path / "keys" / "signing.json", self.account_key())

    def renew_signing_key(self) -> SigningKey:
        """Make another key that signs manifests; the one before is gone. Raises `BadKey`."""
        path, made = self.path / "keys" / "signing.json", SigningKey.generate()
        fresh = path.with_name(".signing.json.new")
        fresh.unlink(missing_ok=True)
        save_key(fresh, made, self.account_key())
        fresh.replace(path)
        return made

    def node_address(self, rpc: str | None = None) -> str:
        """`rpc`, else what the home names; the homes of a demo name none once it has ended."""
        if address := rpc or self.config.rpc:
            return address
        raise HomeError(
            f"{self.path} names no node: give --rpc, or leave --home out to read a demo's study, "
            "whose chain runs while it is asked"
        )

    def client(self, rpc: str | None = None) -> Client:
        """Access to the chain with the account's key, over the home's outbox."""
        outbox = outbox_of(self.path)
        client = Client(Node(self.node_address(rpc)), self._signer(), outbox)
        keep_place(self.path, client.outbox)
        return client

    def _signer(self) -> bytes | Web3Signer:
        if not self.config.signer:
            return self.account_key()
        return signer_of(Address(self.config.signer))

    def store(self) -> BlockStore:
        """The store, whose connections close with it. Raises `Unreachable`, `NotPrivate`."""
        return reach_store(self.config.store)

    def set_store(self, where: str) -> Home:
        """This home with its store at another address, kept in home.json."""
        if where == self.config.store:
            return self
        moved = replace(self, config=replace(self.config, store=where))
        write_private(self.path / "home.json", json.dumps(asdict(moved.config), indent=1))
        return moved

    def party(self, rpc: str | None = None) -> Party:
        """The actor of this home."""
        home = replace(self, key=self.account_key())  # one scrypt, not three
        client = home.client(rpc)
        return Party(
            name=self.config.name,
            chain=Contracts(client, self.deployment()),
            store=self.store(),
            sender=Sender(bytes.fromhex(client.address[2:]), home.signing_key()),
            identity=home.identity(),
            journal=Journal(self.path / "journal"),
        )

    def hospital(self, rpc: str | None = None) -> HospitalNode:
        """The hospital's node of this home."""
        self.require(HomeRole.HOSPITAL)
        records = RecordStore(self.path / "records.sqlite")
        consents = ConsentTable(self.path / "consents.sqlite")
        return HospitalNode(self.party(rpc), records, consents, self.path / "policy.toml")

    def patient(self, rpc: str | None = None) -> Patient:
        """The patient of this home; reads the chain, signs, and sends nothing."""
        self.require(HomeRole.PATIENT)
        phrase = (self.path / "phrase.txt").read_text("utf-8")
        chain = Contracts(Client(Node(rpc or self.config.rpc)), self.deployment())
        return Patient(PatientSecret(phrase), chain)

    def _new_keys(self, light: bool) -> bytes | None:
        if self.config.role is HomeRole.PATIENT:
            write_private(self.path / "phrase.txt", new_phrase() + "\n")
            return None
        if not self.passphrase:
            raise NoPassphrase(f"set {PASSPHRASE} or {PASSPHRASE}_FILE: it protects the new keys")
        keys = self.path / "keys"
        key = os.urandom(32)
        own = save_keystore(keys / "account.json", key, self.passphrase, light=light)
        write_private(keys / "address", (self.config.signer or own) + "\n")
        save_key(keys / "signing.json", SigningKey.generate(), key)
        save_key(keys / "encryption.json", Identity.generate(), key)
        return key


def _one(role: HomeRole) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"
