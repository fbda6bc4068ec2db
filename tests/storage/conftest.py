from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from storage import (
    Cid,
    EmbeddedStore,
    Identity,
    Opened,
    Sealed,
    Sender,
    SigningKey,
    open_artefact,
    seal,
)
from storage.cluster_swarm import ClusterSwarm
from storage.private_swarm import PrivateSwarm
from tests.storage import kit

CONTEXT = bytes(range(32))
SCHEMA = b"s" * 32


@dataclass
class World:
    """One store, a sender, and two who can read; a stranger who cannot."""

    store: EmbeddedStore
    sender: Sender = field(default_factory=lambda: Sender(b"\xaa" * 20, SigningKey.generate()))
    center: Identity = field(default_factory=Identity.generate)
    auditor: Identity = field(default_factory=Identity.generate)
    stranger: Identity = field(default_factory=Identity.generate)

    def seal(self, plaintext: bytes, *, context: bytes = CONTEXT) -> Sealed:
        return seal(
            self.store,
            plaintext,
            kind="update",
            schema=SCHEMA,
            context=context,
            sender=self.sender,
            recipients=[self.center.recipient, self.auditor.recipient],
        )

    def open(self, sealed: Sealed, identity: Identity | None = None) -> Opened:
        return open_artefact(
            self.store,
            sealed.manifest_digest,
            identity or self.center,
            expected_context=CONTEXT,
            expected_signer=self.sender.signer,
        )

    def block_file(self, cid: Cid) -> Path:
        name = cid.digest.hex()
        return self.store.path / "blocks" / name[:2] / name

    def silence(self, topic: bytes, cid: Cid) -> None:
        """Make the store forget an announcement."""
        (self.store.path / "topics" / topic.hex() / str(cid)).unlink()


class OnKubo(World):
    """The same over a real node, which other nodes have no copy of."""

    def __init__(self, backend: kit.Backend) -> None:
        super().__init__(backend.store)  # type: ignore[arg-type]
        self._backend = backend

    def block_file(self, cid: Cid) -> Path:
        path = self._backend.block_file(cid)
        path.chmod(0o600)  # flatfs writes its files read-only
        return path

    def silence(self, topic: bytes, cid: Cid) -> None:
        self._backend.silence(topic, cid)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(EmbeddedStore.create(tmp_path / "store"))


@pytest.fixture
def new_store(tmp_path: Path) -> Callable[[str], EmbeddedStore]:
    return lambda name: EmbeddedStore.create(tmp_path / name)


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSwarm]:
    """Three real nodes under one key; their stores are shared by the tests of one process."""
    folder = tmp_path_factory.mktemp("swarm")
    with PrivateSwarm(folder, ["harbor", "hill", "center"]) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSwarm]:
    """Three members with a node and a cluster peer each, shared as `swarm` is."""
    folder = tmp_path_factory.mktemp("cluster")
    with ClusterSwarm(folder, ["harbor", "hill", "center"]) as running:
        yield running
