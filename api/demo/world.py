"""Everything that a study needs on one machine: a chain, its store, and a home for each party."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from api.demo.swarm import demo_swarm, node_of
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
from storage.backends import CLUSTER_PRIVATE, EMBEDDED
from storage.embedded import EmbeddedStore
from storage.keys import publish_key
from storage.private_swarm import PrivateSwarm

COINS = 10**21
NAMES = ("operator", "center", "auditor", "relayer")
Say = Callable[[str, str], None]
"""Tells who is doing what."""

ROLES = {
    HomeRole.CENTER: Role.CENTER,
    HomeRole.HOSPITAL: Role.HOSPITAL,
    HomeRole.AUDITOR: Role.AUDITOR,
}


@dataclass(frozen=True, slots=True)
class World:
    """Parties by role; `homes` by the folder's name under `folder`; `swarm` on IPFS alone."""

    folder: Path
    backend: str
    anvil: Anvil
    swarm: PrivateSwarm | None
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

    def stop(self) -> None:
        """End the chain and the IPFS nodes; their folders stay."""
        try:
            self.anvil.stop()
        finally:
            if self.swarm is not None:
                self.swarm.stop()


def build_world(folder: Path, hospitals: list[str], say: Say, backend: str = EMBEDDED) -> World:
    """Start a chain and what the store needs, deploy, make every party's home and admit it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase = secrets.token_urlsafe(16)
    (folder / "passphrase").write_text(passphrase, "utf-8")
    (folder / "passphrase").chmod(0o600)
    with ExitStack() as undo:
        swarm = _start_store(folder, hospitals, say, backend)
        if swarm is not None:
            undo.callback(swarm.stop)
        say("operator", "starts a chain and deploys the contracts")
        anvil = undo.enter_context(Anvil(folder / "chain" / "state.json.gz"))
        homes = {
            name: Home.create(folder / name, _config(folder, name, swarm), None, passphrase)
            for name in (*NAMES, *(f"hospitals/{name}" for name in hospitals))
        }
        deployment = _deploy(anvil, homes, say)
        world = _world(folder, backend, anvil, swarm, homes, deployment)
        undo.pop_all()
    return world


def _start_store(folder: Path, hospitals: list[str], say: Say, backend: str) -> PrivateSwarm | None:
    if backend == EMBEDDED:
        EmbeddedStore.create(folder / "store")
        return None
    say("operator", "starts a private IPFS: a node for each hospital, the center and the auditor")
    return demo_swarm(folder, hospitals, copies=backend == CLUSTER_PRIVATE).start()


def _config(folder: Path, name: str, swarm: PrivateSwarm | None) -> HomeConfig:
    role = HomeRole.HOSPITAL if name.startswith("hospitals/") else HomeRole(name)
    config = HomeConfig(role, Path(name).name, "", str((folder / "store").resolve()))
    if swarm is None:
        return config
    return replace(config, store=swarm.address(node_of(config)))


def _deploy(anvil: Anvil, homes: Mapping[str, Home], say: Say) -> Deployment:
    for home in homes.values():
        anvil.fund(home.address(), COINS)
    operator = homes["operator"].client(anvil.url)
    deployment = deploy(operator, token=True)
    for home in homes.values():
        home.set_deployment(deployment.to_json())
    _admit(operator, deployment, homes, say)
    return deployment


def _world(
    folder: Path,
    backend: str,
    anvil: Anvil,
    swarm: PrivateSwarm | None,
    homes: Mapping[str, Home],
    deployment: Deployment,
) -> World:
    parties = {name: homes[name].party(anvil.url) for name in NAMES}
    nodes = {
        home.config.name: home.hospital(anvil.url)
        for home in homes.values()
        if home.config.role is HomeRole.HOSPITAL
    }
    for party in (parties["center"], parties["auditor"], *(n.party for n in nodes.values())):
        register(party)
    return World(
        folder=folder,
        backend=backend,
        anvil=anvil,
        swarm=swarm,
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


def _admit(operator: Client, deployment: Deployment, homes: Mapping[str, Home], say: Say) -> None:
    say("operator", "admits the center, the hospitals and the auditor")
    participants = Contracts(operator, deployment).participants
    for home in homes.values():
        if (role := ROLES.get(home.config.role)) is not None:
            words = publish_description(home.store(), home.config.name, role)
            call = participants.admit(home.address(), role, words)
            operator.send(call, step=f"admit-{home.address()}")
