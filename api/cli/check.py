"""`consilium check`: every missing setting of a home at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import typer

from api.cli.place import place
from api.cli.show import table
from api.cli.words import FORESEEN, sentence
from api.errors import HomeError
from api.home import Home, HomeRole
from api.outbox import look
from api.settings import signer_of
from chain.deploy import verify_deployment
from chain.errors import ChainError
from chain.node import Node
from chain.participants import Role
from chain.types import Address
from federated.hospital.policy.standing import policies_at
from federated.party import Party
from storage.keys import fetch_key

_ON_CHAIN = {
    HomeRole.CENTER: Role.CENTER,
    HomeRole.HOSPITAL: Role.HOSPITAL,
    HomeRole.AUDITOR: Role.AUDITOR,
}


def check() -> None:
    """Report every missing setting of a home at once; exit status 0 only when none is missing.

    Example: consilium --home homes/north check
    """
    found = _findings()
    table("settings", ("setting", "state"), [(name, why or "ok") for name, why in found])
    if any(why for _, why in found):
        raise typer.Exit(1)


Finding = tuple[str, str]
"""A setting, and what is wrong with it; empty where nothing is."""


def _findings() -> list[Finding]:
    found = [("home", _failing(lambda: Home.open(place().home, passphrase="")))]
    if found[0][1]:
        return found
    home = Home.open(place().home, passphrase="")
    has_keys = home.config.role is not HomeRole.PATIENT
    if has_keys:
        found.append(("passphrase", _failing(lambda: Home.open(place().home).account_key())))
        if not found[-1][1]:
            own = Home.open(place().home)
            found.append(("signing key", _failing(own.signing_key)))
            found.append(("encryption key", _failing(own.identity)))
        found.append(("outbox", _failing(lambda: look(home.path))))
        if account := home.config.signer:
            found.append(("signer", _failing(lambda: signer_of(Address(account)))))
    else:
        found.append(("recovery phrase", _failing(lambda: _phrase(home))))
    if home.config.role is HomeRole.HOSPITAL:
        found.append(("policy", _failing(lambda: policies_at(home.path / "policy.toml"))))
    found.append(("store", _failing(home.store)))
    rpc = place().rpc or home.config.rpc
    found.append(("node", _failing(lambda: Node(rpc))))
    found.append(("deployment", _failing(home.deployment)))
    if all(not why for _, why in found):
        found += _on_chain(Home.open(place().home), has_keys)
    return found


def _on_chain(home: Home, has_keys: bool) -> list[Finding]:
    """What the chain says, read by a visitor: the home's own outbox would be made by a look."""
    from api.cli.place import reading

    try:
        with reading() as visitor:
            return [("chain", ""), *_of_account(home, visitor, has_keys)]
    except (*FORESEEN, OSError) as exc:
        return [("chain", sentence(exc))]


def _of_account(home: Home, visitor: Party, has_keys: bool) -> list[Finding]:
    found, account = [("contracts", _failing(lambda: _code(visitor)))], home.address
    if not has_keys or found[0][1]:
        return found
    if home.config.role in _ON_CHAIN:
        wanted = _ON_CHAIN[home.config.role]
        found.append(("role", _failing(lambda: _role(visitor, account(), wanted))))
        found.append(("keys published", _failing(lambda: _keys(visitor, home))))
    found.append(("coins", _failing(lambda: _coins(visitor, account()))))
    return found


def _failing(look: Callable[[], object]) -> str:
    try:
        look()
    except (*FORESEEN, OSError) as exc:
        return sentence(exc)
    return ""


def _phrase(home: Home) -> None:
    from chain.keys import PatientSecret

    PatientSecret((home.path / "phrase.txt").read_text("utf-8"))


def _code(party: Party) -> None:
    client = party.chain.client
    verify_deployment(client, party.chain.deployment, block_identifier=party.head())


def _role(visitor: Party, account: Address, wanted: Role) -> None:
    held = visitor.chain.participants.role_of(account, block_identifier=visitor.head())
    if held is not wanted:
        raise HomeError(f"{account} is not admitted as {wanted.name.lower()}: ask the operator")


def _keys(visitor: Party, home: Home) -> None:
    block = visitor.head()
    keys = visitor.chain.participants.keys_at(home.address(), block, block_identifier=block)
    home = replace(home, key=home.account_key())  # one scrypt, not two
    own = (home.signing_key().public, home.identity().recipient.key_id)
    if (keys.signing, keys.encryption) != own:
        raise HomeError(
            "the keys on-chain are not this home's: run `consilium participant register`, or "
            "`renew-key` again where that was interrupted"
        )
    fetch_key(visitor.store, keys.encryption)


def _coins(visitor: Party, account: Address) -> None:
    if not visitor.chain.client.node.balance(account, block=visitor.head()):
        raise ChainError(f"{account} has no coins for gas: `consilium participant fund`")
