"""One peer of IPFS Cluster as a child process, beside the Kubo that it commands.

<folder>/cluster/     IPFS_CLUSTER_PATH: identity, service.json (mode 600), what is pinned where
<folder>/cluster.log  what the running peer says
"""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storage import toolchain
from storage.child import Child
from storage.cluster_config import ClusterMember, Rest, hardened
from storage.cluster_rpc import ClusterRpc
from storage.errors import NodeFailed, Unreachable
from storage.files import write_durably

START_S = 180.0
_INIT_S = 120
_CALL_S = 10.0
_TICK_S = 0.1


class ClusterPeer:
    """A peer of the cluster; it dies with the process that started it."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the member's, which holds its Kubo, too."""
        self.folder = folder
        self.path = folder / "cluster"
        self.rest: Rest | None = None
        self._child = Child(folder / "cluster.log")

    @property
    def peer_id(self) -> str:
        """Who it is in the cluster."""
        return str(self._read("identity.json")["id"])

    @property
    def url(self) -> str:
        """Where its REST API listens; raises NodeFailed before it is configured."""
        if self.rest is None:
            raise NodeFailed(f"the cluster peer in {self.folder} is not configured: start it first")
        return f"http://127.0.0.1:{self.rest.port}"

    @property
    def pid(self) -> int:
        """Its process, 0 before the first start."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._child.running

    def create(self) -> None:
        """Make its identity where it is missing. Idempotent."""
        if (self.path / "initial").is_file():
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [str(toolchain.cluster()), "init", "--consensus", "crdt"]
        command += ["--datastore", "leveldb", "--force"]
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=_INIT_S
        )
        if done.returncode:
            raise NodeFailed(
                f"'ipfs-cluster-service init' failed in {self.path}: {done.stderr.strip()[-500:]}; "
                "free space or correct its permissions, then try again"
            )
        (self.path / "service.json").replace(self.path / "initial")

    def configure(
        self,
        own: ClusterMember,
        members: Sequence[ClusterMember],
        secret: str,
        kubo_port: int,
        rest: Rest,
    ) -> None:
        """Write what `storage.cluster_config` says, mode 600."""
        initial, name = self._read("initial"), self.folder.name
        config = hardened(initial, name, own, members, secret, kubo_port, rest)
        temporary = self.path / f"service.json.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        write_durably(temporary, json.dumps(config, indent=1).encode(), 0o600)
        temporary.replace(self.path / "service.json")
        self.rest = rest

    def launch(self) -> None:
        """Start the process; `await_members` waits until it answers and sees the others."""
        self._child.launch([str(toolchain.cluster()), "daemon"], self._environment())

    def await_members(self, wanted: Mapping[str, str], timeout_s: float = START_S) -> None:
        """Wait until it knows each of these peers (name of id) and what disk each has free.

        Before that an order to pin has nobody to go to. Raises NodeFailed.
        """
        deadline, missing = time.monotonic() + timeout_s, set(wanted)
        rpc = self.rpc()
        try:
            while missing and time.monotonic() < deadline and self._child.running:
                try:
                    missing = wanted.keys() - (rpc.known("ping") & rpc.known("freespace"))
                except Unreachable:
                    missing = set(wanted)
                if missing:
                    time.sleep(_TICK_S)
        finally:
            rpc.close()
        if missing:
            what = "does not see " if self._child.running else "ended before it saw "
            names = ", ".join(sorted(wanted[peer] for peer in missing))
            raise NodeFailed(
                f"the cluster peer in {self.folder} {what}{names} after {timeout_s:.0f} s. The "
                f"end of {self._child.log}: {self._child.said()}"
            )

    def rpc(self, timeout_s: float = _CALL_S) -> ClusterRpc:
        """Its REST API."""
        url, rest = self.url, self.rest
        assert rest is not None
        return ClusterRpc(url, rest.user, rest.password, timeout_s=timeout_s)

    def end(self) -> None:
        """Ask the peer to end; `stop` waits for it."""
        self._child.end()

    def stop(self) -> None:
        """End the peer, and wait for it. Idempotent."""
        self._child.stop()

    def kill(self) -> None:
        """End the peer as a crash would."""
        self._child.kill()

    def _environment(self) -> dict[str, str]:
        # Variables of these names would change the configuration that was written.
        foreign = ("CLUSTER_", "IPFS_CLUSTER_", "IPFS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**kept, "IPFS_CLUSTER_PATH": str(self.path.resolve())}

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError) as exc:
            raise NodeFailed(f"no cluster peer is in {self.path}: create it first") from exc
        return found
