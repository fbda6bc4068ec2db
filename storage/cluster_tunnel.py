"""The cluster's connections inside those of Kubo: a swarm whose members need one TCP port each.

Every member's node has a door: who is in the private swarm may open a stream through it to the
cluster peer beside the node, which asks for the cluster's secret as at a port. And it leads a port
of loopback to the door of each other member, which the peer dials.
https://github.com/ipfs/kubo/blob/master/docs/experimental-features.md#ipfs-p2p
"""

from collections.abc import Sequence

from storage.cluster_config import ClusterMember
from storage.kubo_config import Peer
from storage.kubo_rpc import KuboRpc

PROTOCOL = "/x/consilium-cluster"
"""The name of every member's door."""
_LIMIT = 1 << 16
LOOPBACK = "127.0.0.1"


def open_door(rpc: KuboRpc, port: int) -> None:
    """Let members of the swarm reach the peer at that port of loopback. Raises Unreachable.

    Nothing of it outlives the node's process: after a restart it is opened anew.
    """
    _close(rpc, {"target-address": _tcp(port)})
    rpc.read("p2p/listen", {"arg": [PROTOCOL, _tcp(port)]}, limit=_LIMIT)


def lead(
    rpc: KuboRpc, abroad: Sequence[tuple[Peer, ClusterMember]], ports: Sequence[int]
) -> list[ClusterMember]:
    """Where peers of others are reached on this machine, a port each. Raises Unreachable."""
    found = []
    for (node, peer), port in zip(abroad, ports, strict=True):
        here = _tcp(port)
        _close(rpc, {"listen-address": here})
        rpc.read("p2p/forward", {"arg": [PROTOCOL, here, f"/p2p/{node.peer_id}"]}, limit=_LIMIT)
        found.append(ClusterMember(peer.peer_id, LOOPBACK, port))
    return found


def _close(rpc: KuboRpc, which: dict[str, str]) -> None:
    rpc.read("p2p/close", {"protocol": PROTOCOL, **which}, limit=_LIMIT)


def _tcp(port: int) -> str:
    return f"/ip4/{LOOPBACK}/tcp/{port}"
