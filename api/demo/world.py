"""Everything that a study needs on one machine: a chain, a store, and a home for each party."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from api.home import Home, HomeConfig, HomeRole
from chain.anvil import Anvil
from chain.client import Client
from chain.clock import Clock
from chain.contracts import Contracts
from chain.deploy import Deployment, deploy
from chain.node import Node
from chain.participants import Role
from chain.types import Address, Wei
from federated.directory import publish_description
from federated.hospital import HospitalNode
from federated.party import Party
from storage.embedded import EmbeddedStore
from storage.keys import publish_key

COINS = 10**21
Say = Callable[[str, str], None]
"""Tells who is doing what."""

ROLES = {
    HomeRole.CENTER: Role.CENTER,
    HomeRole.HOSPITAL: Role.HOSPITAL,
    HomeRole.AUDITOR: Role.AUDITOR,
}


@dataclass(frozen=True, slots=True)
class World:
    """Parties by role; `homes` by the folder's name under `folder`."""

    folder: Path
    anvil: Anvil
    deployment: Deployment
    clock: Clock
    homes: Mapping[str, Home]
    center: Party
    auditor: Party
    relayer: Party
    hospitals: Mapping[str, HospitalNode]

    @property
    def token(self) -> Address:
        """The development token."""
        return self.deployment.address_of("DevelopmentToken")


def build_world(folder: Path, hospitals: list[str], say: Say) -> World:
    """Start a chain, deploy, make every party's home and admit it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase = secrets.token_urlsafe(16)
    (folder / "passphrase").write_text(passphrase, "utf-8")
    (folder / "passphrase").chmod(0o600)
    EmbeddedStore.create(folder / "store")
    say("operator", "starts a chain and deploys the contracts")
    anvil = Anvil(folder / "chain" / "state.json.gz")
    names = ["operator", "center", "auditor", "relayer", *(f"hospitals/{n}" for n in hospitals)]
    homes = {name: _home(folder, name, passphrase) for name in names}
    for home in homes.values():
        anvil.fund(home.address(), COINS)
    operator = homes["operator"].client(anvil.url)
    deployment = deploy(operator, token=True)
    for home in homes.values():
        home.set_deployment(deployment.to_json())
    _admit(operator, deployment, homes, say)
    parties = {name: home.party(anvil.url) for name, home in homes.items() if "/" not in name}
    nodes = {name: homes[f"hospitals/{name}"].hospital(anvil.url) for name in hospitals}
    for party in (parties["center"], parties["auditor"], *(n.party for n in nodes.values())):
        register(party)
    return World(
        folder=folder,
        anvil=anvil,
        deployment=deployment,
        clock=Clock(Node(anvil.url)),
        homes=homes,
        center=parties["center"],
        auditor=parties["auditor"],
        relayer=parties["relayer"],
        hospitals=nodes,
    )


def register(party: Party) -> None:
    """Publish a party's keys in the store and on the chain. Idempotent."""
    digest = publish_key(party.store, party.identity.recipient)
    call = party.chain.participants.set_keys(party.sender.signing_key.public, digest)
    party.chain.client.send(call, step=f"keys-{digest.hex()[:16]}")


def mint(world: World, to: Address, amount: Wei) -> None:
    """Development tokens for a party."""
    client = world.center.chain.client
    client.send(world.center.chain.token(world.token).mint(to, amount))


def _home(folder: Path, name: str, passphrase: str) -> Home:
    role = HomeRole.HOSPITAL if name.startswith("hospitals/") else HomeRole(name)
    config = HomeConfig(role, Path(name).name, "", str((folder / "store").resolve()))
    return Home.create(folder / name, config, None, passphrase)


def _admit(operator: Client, deployment: Deployment, homes: Mapping[str, Home], say: Say) -> None:
    say("operator", "admits the center, the hospitals and the auditor")
    participants = Contracts(operator, deployment).participants
    for home in homes.values():
        if (role := ROLES.get(home.config.role)) is not None:
            words = publish_description(home.store(), home.config.name, role)
            call = participants.admit(home.address(), role, words)
            operator.send(call, step=f"admit-{home.address()}")
