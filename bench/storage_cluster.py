"""Sealed and pinned on three nodes beside IPFS Cluster's own add of the same plain bytes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bench.claims import Item
from bench.storage_kit import MIB, Contest, Fresh, Parties
from storage import toolchain
from storage.cluster_member import read_member
from storage.cluster_swarm import ClusterSwarm

NAMES = ("harbor", "hill", "center")


def run(quick: bool) -> Iterator[Item]:
    """`pin3_20m`: both until all three peers report `pinned`."""
    size, pairs = (2 * MIB, 1) if quick else (20 * MIB, 7)
    parties = Parties()
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        file = Path(name) / "plain"
        fresh = Fresh(size)

        def prepare() -> bytes:
            plaintext = fresh()
            file.write_bytes(plaintext)
            return plaintext

        with (
            ClusterSwarm(Path(name) / "swarm", NAMES) as swarm,
            swarm.store("harbor", copies=3) as store,
        ):
            command = [*_ctl(swarm.member_file("harbor")), str(file)]
            found = Contest(
                prepare,
                lambda plaintext: parties.seal(store, plaintext),
                lambda _: subprocess.run(command, check=True, capture_output=True),
            ).run(pairs)
    yield found.claim("pin3_20m", 1.1, judge=not quick)


def _ctl(member_file: Path) -> list[str]:
    member = read_member(member_file)
    port = urlsplit(member.cluster).port
    return [
        str(toolchain.CLUSTER_CTL.find()),
        *("--host", f"/ip4/127.0.0.1/tcp/{port}"),
        *("--basic-auth", f"{member.user}:{member.password}", "--force-http"),
        *("add", "--quieter", "--wait", "--replication-min", "3", "--replication-max", "3"),
    ]
