"""The store that an address names. Not in the package's root: Kubo's clients load slowly."""

from pathlib import Path

from storage.cluster_member import ADDRESS, read_member
from storage.embedded import EmbeddedStore
from storage.store import BlockStore

EMBEDDED = "embedded"
KUBO_PRIVATE = "kubo-private"
CLUSTER_PRIVATE = "cluster-private"


def open_store(where: str) -> BlockStore:
    """A folder's store; at `http://host:port` that of a node; at `cluster:FILE` that of a member
    of a cluster. Raises Unreachable, KeyFileExposed, MalformedRecord."""
    backend = backend_of(where)
    if backend == EMBEDDED:
        return EmbeddedStore(where)
    if backend == CLUSTER_PRIVATE:
        from storage.cluster import ClusterStore

        return ClusterStore(read_member(Path(where.removeprefix(ADDRESS))))
    from storage.kubo import KuboStore

    return KuboStore(where)


def reach_store(where: str) -> BlockStore:
    """As `open_store`, after asking what is there. Raises Unreachable, NotPrivate."""
    store = open_store(where)
    if backend_of(where) != EMBEDDED:
        from storage.kubo import KuboStore

        assert isinstance(store, KuboStore)
        store.expect_private()
    return store


def backend_of(where: str) -> str:
    """What reports call it; only `kubo-private` and `cluster-private` may be called IPFS."""
    if where.startswith(ADDRESS):
        return CLUSTER_PRIVATE
    return KUBO_PRIVATE if where.startswith("http://") else EMBEDDED
