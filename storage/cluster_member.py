"""How a member reaches its own node and its own peer of the cluster: a file that only it reads."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from storage.errors import KeyFileExposed, MalformedRecord, Unreachable
from storage.files import write_durably

ADDRESS = "cluster:"
"""An address of a store that begins so goes on with the path of a member file."""


@dataclass(frozen=True, slots=True)
class Member:
    """Addresses on loopback, and the password of the peer's REST API."""

    kubo: str
    cluster: str
    user: str
    password: str = field(repr=False)
    copies: int = 2
    """How many peers must hold what is pinned."""

    def write(self, path: Path) -> None:
        """Replace the file, mode 600."""
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        write_durably(beside, json.dumps(asdict(self), indent=1).encode(), 0o600)
        beside.replace(path)


def read_member(path: Path) -> Member:
    """The member of a file. Raises Unreachable, KeyFileExposed, MalformedRecord."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileExposed(
                f"the member file {path} can be read by other accounts, and has a password: chmod "
                f"600 {path}, and start the swarm anew"
            )
        member = Member(**json.loads(path.read_bytes()))
    except OSError as exc:
        raise Unreachable(
            f"no member file at {path} ({exc.strerror}): start the swarm, or correct the path"
        ) from exc
    except (ValueError, TypeError) as exc:
        raise MalformedRecord(f"{path} is no member file: start the swarm anew") from exc
    texts = (member.kubo, member.cluster, member.user, member.password)
    if not all(isinstance(text, str) for text in texts) or type(member.copies) is not int:
        raise MalformedRecord(f"{path} holds other values than a member file: start the swarm anew")
    if member.copies < 1:
        raise MalformedRecord(f"{path} asks for no copy at all: start the swarm anew")
    return member
