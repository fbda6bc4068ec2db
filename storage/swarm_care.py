"""What a swarm needs while it runs: who died is started again, lost copies are made elsewhere."""

import random
import threading
from collections.abc import Callable

from storage.cluster_swarm import ClusterSwarm
from storage.errors import StorageError

LOOK_EVERY_S = 30.0


def look_after(
    swarm: ClusterSwarm,
    stopping: threading.Event,
    say: Callable[[str], None],
    every_s: float = LOOK_EVERY_S,
) -> None:
    """Look after one's own members until `stopping` is set. What fails is said, and tried again.

    The pauses are drawn: members that lost the same peer would all order the same copies at once.
    """
    while not stopping.wait(random.uniform(every_s / 2, every_s)):  # noqa: S311
        try:
            care_once(swarm, say)
        except StorageError as exc:
            say(str(exc))


def care_once(swarm: ClusterSwarm, say: Callable[[str], None]) -> None:
    """Start what ended, then order what copies are lacking. Raises StorageError."""
    dead = [name for name, node in swarm.nodes.items() if not node.running]
    for name in dead:
        say(f"the IPFS node of {name} has ended, see {swarm.nodes[name].log}: it is started again")
    if dead:
        swarm.restart(*dead)
    for name, peer in swarm.peers.items():
        if not peer.running:
            say(f"the cluster peer of {name} has ended: it is started again")
            swarm.restart_peer(name)
    with swarm.store(next(iter(swarm.nodes))) as store:
        mended = store.mend()
    if mended.short:
        say(str(mended))
