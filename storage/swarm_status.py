"""How a member of a private swarm is: what runs, whom it sees, which copies are made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from storage.cluster import ClusterStore
from storage.cluster_member import read_member
from storage.cluster_mend import held
from storage.errors import StorageError

ASK_S = 10.0


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """Of one member; versions are empty and numbers are 0 where it does not answer."""

    name: str
    kubo: str = ""
    members_seen: int = 0
    cluster: str = ""
    peers_seen: int = 0
    copies: dict[str, int] = field(default_factory=dict)
    """How many copies that the whole cluster is to hold are in which state."""
    roots: dict[int, int] = field(default_factory=dict)
    """Of how many roots so many copies are reported."""
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """One object of `consilium swarm status --json`."""
        return asdict(self)

    def row(self) -> list[object]:
        """One row for people."""
        copies = ", ".join(f"{number} {state}" for state, number in sorted(self.copies.items()))
        roots = ", ".join(f"{roots} with {number}" for number, roots in sorted(self.roots.items()))
        seen = (self.kubo, self.members_seen, self.cluster, self.peers_seen)
        return [self.name, *seen, copies or "none", roots or "–", "; ".join(self.wrong) or "–"]


def member_status(folder: Path) -> MemberStatus:
    """Of the member in its folder; what fails is in `wrong`."""
    found: dict[str, Any] = {}
    wrong: list[str] = []
    try:
        store = ClusterStore(read_member(folder / "member.json"), call_s=ASK_S)
    except StorageError as exc:
        return MemberStatus(folder.name, wrong=[str(exc)])
    with store:
        for part in (_node, _peer):
            try:
                found |= part(store)
            except StorageError as exc:
                wrong.append(str(exc))
        wrong += _short(found.get("roots", {}), store.copies)
    return MemberStatus(folder.name, **found, wrong=wrong)


def _short(roots: Mapping[int, int], least: int) -> list[str]:
    if not (short := sum(number for copies, number in roots.items() if copies < least)):
        return []
    return [
        f"{short} roots have fewer than {least} copies: start the members that are missing, or let "
        "`consilium swarm up` copy them to others"
    ]


def _node(store: ClusterStore) -> dict[str, Any]:
    version = store.rpc.call("version", {})["Version"]
    return {"kubo": str(version), "members_seen": len(store.control.peers())}


def _peer(store: ClusterStore) -> dict[str, Any]:
    identity = store.cluster.identity()
    states: Counter[str] = Counter()
    roots: Counter[int] = Counter()
    for copies in store.cluster.pinset().values():
        states.update(copy.state for copy in copies)
        roots[held(copies)] += 1
    return {
        "cluster": str(identity.get("version")),
        "peers_seen": len(store.cluster.known("ping")) - 1,
        "copies": dict(states),
        "roots": dict(roots),
    }
