"""What members of a swarm tell each other of themselves: names, ids, addresses; nothing secret.

A card comes from another member and ends up in configurations and paths: each field is checked.
"""

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from storage.cluster_config import ClusterMember
from storage.errors import MalformedRecord, Unreachable
from storage.kubo_config import Peer

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
MAX_CARD = 1 << 12  # bytes
_PEER_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{40,64}")


@dataclass(frozen=True, slots=True)
class Card:
    """One member: its Kubo and its peer of the cluster."""

    name: str
    node: Peer
    peer: ClusterMember

    def __post_init__(self) -> None:
        good = NAME.fullmatch(self.name) is not None
        for place in (self.node, self.peer):
            good = good and _PEER_ID.fullmatch(place.peer_id) is not None
            good = good and 0 < place.port < 1 << 16 and _is_ip(place.host)
        if not good:
            raise MalformedRecord(
                "a card of a member has a name of small letters, digits and hyphens, two peer "
                "ids, and where each listens (IP address and TCP port): ask that member for it anew"
            )

    def to_tree(self) -> dict[str, Any]:
        """As JSON and dag-cbor hold it."""
        return {
            "name": self.name,
            "node": [self.node.peer_id, self.node.host, self.node.port],
            "peer": [self.peer.peer_id, self.peer.host, self.peer.port],
        }

    @classmethod
    def from_tree(cls, tree: Any) -> Self:
        """Inverse of `to_tree`. Raises MalformedRecord."""
        try:
            (node, node_host, node_port), (peer, peer_host, peer_port) = tree["node"], tree["peer"]
            texts = (tree["name"], node, node_host, peer, peer_host)
            if len(tree) != 3 or not all(type(text) is str for text in texts):
                raise ValueError
            if type(node_port) is not int or type(peer_port) is not int:
                raise ValueError
        except (KeyError, TypeError, ValueError) as exc:
            raise MalformedRecord(
                "this is no card of a swarm's member: ask that member for it anew"
            ) from exc
        node_at = Peer(node, node_host, node_port)
        return cls(tree["name"], node_at, ClusterMember(peer, peer_host, peer_port))


def read_card(path: Path) -> Card:
    """The card of a file. Raises Unreachable, MalformedRecord."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CARD + 1)
    except OSError as exc:
        raise Unreachable(f"no card at {path} ({exc.strerror}): correct the path") from exc
    try:
        return Card.from_tree(json.loads(content if len(content) <= MAX_CARD else b""))
    except (ValueError, RecursionError) as exc:
        raise MalformedRecord(f"{path} is no card of a swarm's member: ask for it anew") from exc


def write_card(path: Path, card: Card) -> None:
    """Write a card for others. Raises Unreachable."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps(card.to_tree(), indent=1), "utf-8")
    except OSError as exc:
        raise Unreachable(f"{path} cannot be written ({exc.strerror}); free space there") from exc


def _is_ip(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False
