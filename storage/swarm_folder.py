"""A folder that holds one's own members of a private swarm, and what is known of the others.

<folder>/swarm.json            whose nodes are here, and the IP address at which others reach them
<folder>/members/<name>.json   cards of members that others run
and what `storage.cluster_swarm` keeps there
"""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from storage.cluster_config import cluster_secret
from storage.cluster_swarm import SECRET, ClusterSwarm
from storage.errors import MalformedRecord, NodeFailed, Unreachable
from storage.files import write_durably
from storage.kubo_config import swarm_key
from storage.swarm_card import NAME, Card, read_card, write_card
from storage.swarm_invitation import Invitation

LOOPBACK = "127.0.0.1"
_PID = "running"
_SECRETS = ("swarm.key", SECRET)
_TICK_S = 0.1


class SwarmFolder:
    """What the folder says; `swarm` starts it."""

    def __init__(self, folder: Path) -> None:
        """An existing one. Raises Unreachable, MalformedRecord."""
        self.path = folder
        try:
            tree = json.loads((folder / "swarm.json").read_bytes())
            self.names = [str(name) for name in tree["names"]]
            self.host = str(tree["host"])
            self.one_port = tree.get("one_port") is True
        except OSError as exc:
            raise Unreachable(
                f"{folder} holds no swarm ({exc.strerror}): make one with `consilium swarm init`, "
                "or correct the path"
            ) from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise MalformedRecord(f"{folder / 'swarm.json'} is damaged: restore it") from exc

    @classmethod
    def create(
        cls, folder: Path, names: Sequence[str], host: str = LOOPBACK, *, one_port: bool = False
    ) -> "SwarmFolder":
        """A new one; nothing is started. Raises NodeFailed where there is one already."""
        if not names or len(set(names)) != len(names) or not all(map(NAME.fullmatch, names)):
            raise NodeFailed(
                "members have different names of small letters, digits and hyphens: give others"
            )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = json.dumps({"names": list(names), "host": host, "one_port": one_port})
            write_durably(folder / "swarm.json", content.encode(), 0o600)
        except FileExistsError as exc:
            raise NodeFailed(f"{folder} holds a swarm already: use it, or another folder") from exc
        except OSError as exc:
            raise Unreachable(f"{folder} cannot be written ({exc.strerror})") from exc
        return cls(folder)

    @classmethod
    def join(
        cls,
        folder: Path,
        name: str,
        host: str,
        invitation: Invitation,
        *,
        one_port: bool = False,
    ) -> "SwarmFolder":
        """One's own member of a swarm to which one is invited."""
        if name in {card.name for card in invitation.members}:
            raise NodeFailed(f"a member of that swarm is called {name} already: take another name")
        joined = cls.create(folder, [name], host, one_port=one_port)
        joined._keep_secrets(invitation.swarm_key, invitation.cluster_secret)
        for card in invitation.members:
            joined.admit(card)
        return joined

    def admit(self, card: Card) -> None:
        """Know a member that another runs, from the next start on. Raises NodeFailed."""
        if card.name in self.names:
            raise NodeFailed(
                f"{card.name} is a member of this folder: the other needs another name"
            )
        write_card(self.path / "members" / f"{card.name}.json", card)

    def rekey(self, without: Sequence[str] = ()) -> None:
        """Make both secrets anew, and forget members that others run. Raises NodeFailed.

        Who has the old ones is outside from the next start on, until an invitation brings the new.
        """
        self._expect_stopped()
        cards = {name: self.path / "members" / f"{name}.json" for name in without}
        for name, card in cards.items():
            if not card.is_file():
                raise NodeFailed(f"{name} is no member that others run: name one of {self._others}")
        for card in cards.values():
            card.unlink()
        self._keep_secrets(swarm_key(), cluster_secret())

    def renew(self, invitation: Invitation) -> None:
        """Go on under the secrets and among the members of an invitation; the blocks stay.

        Raises NodeFailed.
        """
        self._expect_stopped()
        others = [card for card in invitation.members if card.name not in self.names]
        known = {card.name for card in others}
        for path in (self.path / "members").glob("*.json"):
            if path.stem not in known:
                path.unlink()
        for card in others:
            self.admit(card)
        self._keep_secrets(invitation.swarm_key, invitation.cluster_secret)

    def swarm(self, say: Callable[[str], None] | None = None) -> ClusterSwarm:
        """The nodes and peers, not started yet."""
        abroad = [(card.node, card.peer) for card in self._abroad()]
        return ClusterSwarm(
            self.path,
            self.names,
            say=say,
            host=self.host,
            abroad=abroad,
            one_port=self.one_port,
        )

    def invitation(self) -> Invitation:
        """What a new member needs. Raises Unreachable before the first start."""
        own = [read_card(self.path / name / "card.json") for name in self.names]
        key, secret = ((self.path / name).read_text("ascii") for name in _SECRETS)
        return Invitation(key, secret, [*own, *self._abroad()])

    def mark_running(self) -> None:
        """For `stop`, by the process that runs the swarm."""
        (self.path / _PID).write_text(str(os.getpid()), "ascii")

    def is_running(self) -> bool:
        """Whether a process runs it."""
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def stop(self, timeout_s: float = 60.0) -> bool:
        """End it from another process; False where none runs it. Raises NodeFailed."""
        if not self.is_running():
            return False
        try:
            os.kill(int((self.path / _PID).read_text("ascii")), signal.SIGTERM)
        except (OSError, ValueError) as exc:
            raise NodeFailed(
                f"whoever runs the swarm in {self.path} is not `consilium swarm up`: end that"
            ) from exc
        deadline = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() > deadline:
                raise NodeFailed(f"the swarm in {self.path} does not end: look at its logs")
            time.sleep(_TICK_S)
        return True

    @property
    def _others(self) -> str:
        return ", ".join(card.name for card in self._abroad()) or "none"

    def _expect_stopped(self) -> None:
        if self.is_running():
            raise NodeFailed(f"the swarm in {self.path} runs: end it by `consilium swarm down`")

    def _keep_secrets(self, *secrets: str) -> None:
        for name, secret in zip(_SECRETS, secrets, strict=True):
            beside = self.path / f".{name}.new"
            beside.unlink(missing_ok=True)
            write_durably(beside, secret.encode(), 0o600)
            beside.replace(self.path / name)

    def _abroad(self) -> list[Card]:
        return [read_card(path) for path in sorted((self.path / "members").glob("*.json"))]
