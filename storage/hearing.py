"""Waits until the nodes of one machine know what each other announced (storage.feeds)."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from storage.errors import NodeFailed
from storage.kubo import KuboStore
from storage.kubo_node import KuboNode

HEAR_S = 180.0
_TICK_S = 0.005
_TELL_AGAIN_S = 1.0


class Hearing:
    """All members' nodes, as one sees them who runs them all."""

    def __init__(self, nodes: Mapping[str, KuboNode]) -> None:
        """`nodes` run. Each tells the others what it has announced."""
        self._peers = {name: node.peer_id for name, node in nodes.items()}
        self._stores = {name: node.store() for name, node in nodes.items()}
        self._heard: dict[str, str] = {}  # feeds that all know, by whose they are
        for name in nodes:
            self.tell(name)

    def tell(self, name: str) -> None:
        """Have a member tell the others its feed. Raises Unreachable."""
        self._heard.clear()
        self._stores[name].publish_feed()

    def wait(self, timeout_s: float = HEAR_S) -> None:
        """Wait until each node knows all that the others have announced so far.

        Raises NodeFailed; Unreachable at once for a node that does not run.
        """
        with ThreadPoolExecutor(len(self._stores)) as pool:
            roots = pool.map(KuboStore.feed_root, self._stores.values())
            feeds = dict(zip(self._stores, roots, strict=True))
            news = {name: root for name, root in feeds.items() if self._heard.get(name) != root}
            waits = [
                pool.submit(self._wait_for, store, name, root, timeout_s)
                for name, root in news.items()
                for other, store in self._stores.items()
                if other != name
            ]
            for wait in waits:
                wait.result()
        self._heard.update(news)

    def close(self) -> None:
        """Close the connections to the nodes."""
        for store in self._stores.values():
            store.close()

    def _wait_for(self, store: KuboStore, name: str, root: str, timeout_s: float) -> None:
        told = time.monotonic()
        deadline = told + timeout_s
        while store.heard(self._peers[name]) != root:
            if time.monotonic() > deadline:
                raise NodeFailed(
                    f"the IPFS node at {store.url} has not heard within {timeout_s:.0f} s what "
                    f"that of {name} announced: look at the logs of both"
                )
            if time.monotonic() > told + _TELL_AGAIN_S:  # pubsub drops what a busy node is sent
                self._stores[name].publish_feed()
                told = time.monotonic()
            time.sleep(_TICK_S)
