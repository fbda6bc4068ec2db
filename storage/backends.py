"""The store that an address names. Not in the package's root: Kubo's clients load slowly."""

from storage.embedded import EmbeddedStore
from storage.store import BlockStore

EMBEDDED = "embedded"
KUBO_PRIVATE = "kubo-private"


def open_store(where: str) -> BlockStore:
    """A folder's store, or at `http://host:port` that of a node. Raises Unreachable."""
    if backend_of(where) == EMBEDDED:
        return EmbeddedStore(where)
    from storage.kubo import KuboStore

    return KuboStore(where)


def reach_store(where: str) -> BlockStore:
    """As `open_store`, after asking what is there. Raises Unreachable, NotPrivate."""
    store = open_store(where)
    if backend_of(where) == KUBO_PRIVATE:
        from storage.kubo import KuboStore

        assert isinstance(store, KuboStore)
        store.expect_private()
    return store


def backend_of(where: str) -> str:
    """What reports call it; only `kubo-private` may be called IPFS."""
    return KUBO_PRIVATE if where.startswith("http://") else EMBEDDED
