"""Where a command works: the home named by --home, a demo's folder, or no home at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.home import Home, HomeRole
    from chain.deploy import Deployment
    from federated.party import Party


@dataclass(frozen=True, slots=True)
class Place:
    """The global options: `rpc` stands in for the address that the home names."""

    home: Path
    rpc: str | None = None
    debug: bool = False


_place: ContextVar[Place] = ContextVar("place")


def set_place(place: Place) -> None:
    """What every command of this run sees."""
    _place.set(place)


def place() -> Place:
    """The global options of this run."""
    return _place.get(Place(Path(".consilium")))


def open_home(*roles: HomeRole) -> Home:
    """The home, if it is of one of these roles. Raises `HomeError`, `NoPassphrase`."""
    from api.home import Home

    home = Home.open(place().home)
    return home.require(*roles) if roles else home


def open_party(*roles: HomeRole) -> Party:
    """The actor of the home, on the chain of its deployment. Raises `WrongChain` elsewhere."""
    party = open_home(*roles).party(place().rpc)
    check_chain(party)
    return party


def check_chain(party: Party) -> None:
    """Raise `WrongChain` where the node serves another chain than the deployment's."""
    from chain.errors import WrongChain
    from chain.types import BlockNumber

    node, deployment = party.chain.client.node, party.chain.deployment
    if node.block(BlockNumber(0)).hash != deployment.genesis:
        raise WrongChain(
            f"{node.name} serves another chain than that of the deployment; correct --rpc, or get "
            "deployment.json anew from the operator"
        )


@dataclass(frozen=True, slots=True)
class Outside:
    """What a command without a home is told by options: a node, a store, a deployment's file."""

    rpc: str | None = None
    store: str | None = None
    deployment: Path | None = None


@contextmanager
def reading(
    outside: Outside = Outside(), demo_of: tuple[str, Path] | None = None
) -> Iterator[Party]:
    """A party that reads: from options, from the last demo, or from the home. It has no key.

    `demo_of` is what `demo` gave, where its chain runs already.
    """
    from api.errors import HomeError
    from chain.deploy import Deployment

    if outside.deployment is not None:
        rpc = outside.rpc or place().rpc
        if rpc is None or outside.store is None:
            raise HomeError("without a home, --rpc, --store and --deployment are all needed")
        text = outside.deployment.read_text("utf-8")
        with _visitor(rpc, outside.store, Deployment.from_json(text)) as party:
            yield party
    elif demo_of is not None:
        with _of_home(replace(outside, rpc=demo_of[0]), demo_of[1] / "center") as party:
            yield party
    elif in_demo():
        with demo() as found, reading(outside, found) as party:
            yield party
    else:
        with _of_home(outside, place().home) as party:
            yield party


def in_demo() -> bool:
    """Whether --home is the folder of demos."""
    return (place().home / "last").is_file()


@contextmanager
def demo() -> Iterator[tuple[str, Path]]:
    """The last demo under the home, its chain running again: its address, and its folder."""
    from api.demo.resume import open_last

    with open_last(place().home) as found:
        yield found


@contextmanager
def _of_home(outside: Outside, path: Path) -> Iterator[Party]:
    from api.home import Home

    home = Home.open(path, passphrase="")
    store = outside.store or home.config.store
    rpc = home.node_address(outside.rpc or place().rpc)
    with _visitor(rpc, store, home.deployment()) as party:
        yield party


@contextmanager
def _visitor(rpc: str, store: str, deployment: Deployment) -> Iterator[Party]:
    """Keys made for this run: they sign nothing that anyone would believe, and open nothing."""
    from chain.client import Client
    from chain.contracts import Contracts
    from chain.node import Node
    from federated.journal import Journal
    from federated.party import Party
    from storage.backends import open_store
    from storage.keys import Identity
    from storage.signing import Sender, SigningKey

    with tempfile.TemporaryDirectory(prefix="consilium-") as folder:
        party = Party(
            name="visitor",
            chain=Contracts(Client(Node(rpc)), deployment),
            store=open_store(store),
            sender=Sender(bytes(20), SigningKey.generate()),
            identity=Identity.generate(),
            journal=Journal(Path(folder)),
        )
        check_chain(party)
        yield party
