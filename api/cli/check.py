"""`consilium check`: every missing setting of a home at once."""

from __future__ import annotations

from collections.abc import Callable

import typer

from api.cli.place import check_chain, place
from api.cli.show import table
from api.cli.words import FORESEEN, sentence
from api.errors import HomeError
from api.home import Home, HomeRole
from api.outbox import outbox_of
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
        found.append(("outbox", _failing(lambda: outbox_of(home.path))))
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
    from api.cli.place import reading

    with reading() as visitor:
        found = [
            ("chain", _failing(lambda: check_chain(visitor))),
            ("contracts", _failing(lambda: _code(visitor))),
        ]
    if not has_keys or any(why for _, why in found):
        return found
    party = home.party(place().rpc)
    if home.config.role in _ON_CHAIN:
        found.append(("role", _failing(lambda: _role(party, _ON_CHAIN[home.config.role]))))
        found.append(("keys published", _failing(lambda: _keys(party))))
    found.append(("coins", _failing(lambda: _coins(party))))
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


def _role(party: Party, wanted: Role) -> None:
    held = party.chain.participants.role_of(party.address, block_identifier=party.head())
    if held is not wanted:
        raise HomeError(
            f"{party.address} is not admitted as {wanted.name.lower()}: ask the operator"
        )


def _keys(party: Party) -> None:
    block = party.head()
    keys = party.chain.participants.keys_at(party.address, block, block_identifier=block)
    own = (party.sender.signing_key.public, party.identity.recipient.key_id)
    if (keys.signing, keys.encryption) != own:
        raise HomeError(
            "the keys on-chain are not this home's: run `consilium participant register`, or "
            "`renew-key` again where that was interrupted"
        )
    fetch_key(party.store, keys.encryption)


def _coins(party: Party) -> None:
    if not party.chain.client.node.balance(party.address, block=party.head()):
        raise ChainError(f"{party.address} has no coins for gas: `consilium participant fund`")
