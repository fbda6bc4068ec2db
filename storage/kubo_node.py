"""One Kubo as a child process: made, configured, started and ended by this one.

<folder>/repo        IPFS_PATH: keys, configuration, swarm.key (mode 600), blocks
<folder>/log         what the running node says
"""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from storage import toolchain
from storage.child import Child
from storage.errors import NodeFailed, Unreachable
from storage.files import write_durably
from storage.kubo import KuboStore
from storage.kubo_config import ENVIRONMENT, PROFILES, Peer, hardened
from storage.kubo_control import KuboControl

START_S = 180.0
_INIT_S = 120
_TICK_S = 0.05


class KuboNode:
    """A node of a private swarm; it dies with the process that started it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repo = folder / "repo"
        self.log = folder / "log"
        self._child = Child(self.log)
        self._api = ""

    @property
    def pid(self) -> int:
        """Its process, 0 before the first start."""
        return self._child.pid

    @property
    def peer_id(self) -> str:
        """Who it is in the swarm."""
        return str(self._config()["Identity"]["PeerID"])

    @property
    def api_url(self) -> str:
        """Where its RPC listens, on loopback; raises NodeFailed where it does not run."""
        if not self._api:
            raise NodeFailed(f"the IPFS node in {self.folder} is not running: start it first")
        return self._api

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._child.running

    def create(self) -> None:
        """Make its keys and its empty store where they are missing. Idempotent."""
        if (self.repo / "config").is_file():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ipfs("init", "--profile", PROFILES, "--empty-repo")
        (self.repo / "initial").write_text((self.repo / "config").read_text("utf-8"), "utf-8")
        (self.repo / "initial").chmod(0o600)

    def configure(
        self,
        own: Peer,
        members: Sequence[Peer],
        swarm_key: str,
        api_port: int = 0,
        *,
        streams: bool = False,
    ) -> None:
        """Write what `storage.kubo_config` says, and the swarm's key, with mode 600 each."""
        initial = json.loads((self.repo / "initial").read_text("utf-8"))
        text = json.dumps(hardened(initial, own, members, api_port, streams=streams), indent=2)
        for name, content in (("config", text), ("swarm.key", swarm_key)):
            temporary = self.repo / f"{name}.{os.getpid()}"
            temporary.unlink(missing_ok=True)
            write_durably(temporary, content.encode(), 0o600)
            temporary.replace(self.repo / name)

    def launch(self) -> None:
        """Start the process; `await_api` waits until it answers."""
        (self.repo / "api").unlink(missing_ok=True)
        command = [str(toolchain.kubo()), "daemon", "--migrate=false"]
        self._child.launch(command, self._environment())

    def await_api(self, timeout_s: float = START_S) -> None:
        """Wait until the node answers. Raises NodeFailed with the end of its log."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.running:
            if (url := self._announced()) and _answers(url):
                self._api = url
                return
            time.sleep(_TICK_S)
        what = f"did not answer within {timeout_s:.0f} s" if self.running else "ended"
        self.stop()
        raise NodeFailed(
            f"the IPFS node in {self.folder} did not start: it {what}. The end of "
            f"{self.log}: {self._child.said()}"
        )

    def store(self, *, find_s: float | None = None) -> KuboStore:
        """What this node and its swarm hold."""
        if find_s is None:
            return KuboStore(self.api_url)
        return KuboStore(self.api_url, find_s=find_s)

    def end(self) -> None:
        """Ask the node to end; `stop` waits for it."""
        self._child.end()

    def stop(self) -> None:
        """End the node, and wait for it. Idempotent."""
        self._api = ""
        self._child.stop()

    def kill(self) -> None:
        """End the node as a crash would."""
        self._api = ""
        self._child.kill()

    def _announced(self) -> str:
        """The RPC's address out of the file that the node writes once it listens."""
        try:
            parts = (self.repo / "api").read_text("utf-8").strip().split("/")
        except FileNotFoundError:
            return ""
        return f"http://{parts[2]}:{parts[4]}" if len(parts) >= 5 else ""

    def _ipfs(self, *arguments: str) -> None:
        done = subprocess.run(
            [str(toolchain.kubo()), *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=_INIT_S,
        )
        if done.returncode:
            raise NodeFailed(
                f"'ipfs {' '.join(arguments)}' failed in {self.repo}: {done.stderr.strip()}; free "
                "space or correct its permissions, then try again"
            )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("IPFS_")}
        return {**kept, **ENVIRONMENT, "IPFS_PATH": str(self.repo.resolve())}

    def _config(self) -> dict[str, dict[str, object]]:
        try:
            found: dict[str, dict[str, object]] = json.loads((self.repo / "config").read_bytes())
        except (OSError, ValueError) as exc:
            raise NodeFailed(f"no IPFS node is in {self.folder}: create it first") from exc
        return found


def _answers(url: str) -> bool:
    try:
        KuboControl(url, timeout_s=5).peer_id()
    except Unreachable:
        return False
    return True
