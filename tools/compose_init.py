"""Make what docker-compose.yml mounts, once: secrets, and the repository of each Kubo.

    .compose/env               who owns all this, and as whom the containers run: no secret
    .compose/secrets/          swarm.key, passphrase
    .compose/kubo/<name>/repo  IPFS_PATH: the node's keys and configuration, later its blocks
    .compose/chain/            later the chain's state
    .compose/besu/<n>          each validator's key and files, for `--profile besu`; later its chain
    .compose/homes/            later the homes of operator and relayer

Folders have mode 700 and files mode 600. What is there is never overwritten: a second run makes
only what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

# Python puts a program's folder there by itself, but not under PYTHONSAFEPATH.
sys.path.insert(0, str(Path(__file__).resolve().parent))
import workbench
from workbench import ToolError

from chain import besu_files
from chain.errors import ChainError
from storage.errors import StorageError
from storage.files import sync_folder, write_durably
from storage.kubo_config import Peer, hardened, swarm_key
from storage.kubo_node import KuboNode

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".compose"
CENTER = "center"
NODES = (CENTER, "north", "harbor")
FOLDERS = ("secrets", "kubo", "chain", "homes", "besu")
VALIDATORS = {str(n): f"172.30.66.{10 + n}" for n in range(1, 5)}  # as in docker-compose.yml
BESU_CHAIN_ID = 66_1122
SWARM_PORT = 4001
RPC_PORT = 5001

say = partial(workbench.say, "compose-init")
Owner = tuple[int, int]


class Named(Peer):
    """A member whose address is a name that the containers' network resolves."""

    __slots__ = ()

    @property
    def address(self) -> str:
        """As a multiaddress."""
        return f"/dns4/{self.host}/tcp/{self.port}"


def contained(initial: dict[str, Any], own: str, peer_ids: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of a node in its container, out of what `ipfs init` wrote.

    That of any node of a private swarm, but for three things: members have names, the swarm's port
    is open on every interface of the container, and a hospital knows the center alone, as it would
    on a network of its own. The RPC stays on the container's loopback.
    """
    known = NODES if own == CENTER else (CENTER, own)
    members = {name: Named(peer_ids[name], name, SWARM_PORT) for name in known}
    config = hardened(initial, members[own], list(members.values()), RPC_PORT)
    config["Addresses"]["Swarm"] = [f"/ip4/0.0.0.0/tcp/{SWARM_PORT}"]
    return config


def write_new(path: Path, text: str) -> bool:
    """Write a file whole or not at all; False, and nothing is done, where it exists."""
    if path.exists():
        return False
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    write_durably(temporary, text.encode(), 0o600)
    temporary.replace(path)
    sync_folder(path.parent)
    say(f"{path} is made")
    return True


def make_nodes(folder: Path) -> None:
    """Make each node's keys and configuration where they are missing."""
    nodes = {name: KuboNode(folder / name) for name in NODES}
    for node in nodes.values():
        if (node.repo / "config").exists() and not (node.repo / "initial").exists():
            raise ToolError(f"{node.repo} was left half made: remove it and run this again")
        node.create()
        # The mount point of the secret: without that one the node does not start.
        (node.repo / "swarm.key").touch(0o600)
    peer_ids = {name: node.peer_id for name, node in nodes.items()}
    for name, node in nodes.items():
        configure(node.repo, name, peer_ids)


def configure(repo: Path, name: str, peer_ids: Mapping[str, str]) -> None:
    """Replace what `ipfs init` wrote by the configuration of a container's node, once."""
    config, initial = repo / "config", json.loads((repo / "initial").read_bytes())
    wanted, found = contained(initial, name, peer_ids), json.loads(config.read_bytes())
    if found == wanted:
        return
    if found != initial:
        say(f"{config} is left as it is, and differs from what this version would write")
        return
    temporary = repo / ".config.new"
    temporary.unlink(missing_ok=True)
    write_durably(temporary, json.dumps(wanted, indent=2).encode(), 0o600)
    temporary.replace(config)
    sync_folder(repo)
    say(f"{config} is made")


def make_validators(folder: Path) -> None:
    """Make Besu's keys and the network's files where they are missing.

    Members may have come since: no list of a validator that has one is written again.
    """
    lacking = [name for name in VALIDATORS if not (folder / name / "permissions.toml").exists()]
    if not lacking:
        return
    if len(lacking) < len(VALIDATORS) and not all(
        (folder / x / "key").exists() for x in VALIDATORS
    ):
        raise ToolError(f"{folder} holds a part of a network: restore the rest from a backup")
    made = [besu_files.make_validator(folder / name, host) for name, host in VALIDATORS.items()]
    for name in lacking:
        besu_files.make_network(folder / name, made, BESU_CHAIN_ID)
    say(f"{folder} is made")


def recorded_owner(folder: Path) -> str | None:
    """Who owns what was made before, as UID:GID."""
    try:
        lines = (folder / "env").read_text("utf-8").split()
        return ":".join(line.partition("=")[2] for line in lines)
    except FileNotFoundError:
        return None


def chosen_owner(wanted: str | None, environment: Mapping[str, str]) -> Owner:
    """Who is to own what is made. Raises ToolError for root, as whom no container shall run."""
    if wanted is None and os.getuid() == 0 and "SUDO_UID" in environment:
        wanted = f"{environment['SUDO_UID']}:{environment['SUDO_GID']}"
    uid, _, gid = (wanted or f"{os.getuid()}:{os.getgid()}").partition(":")
    if not (uid.isdecimal() and gid.isdecimal()):
        raise ToolError(f"--owner {wanted} is no UID:GID: write it as 1000:1000")
    if int(uid) == 0:
        raise ToolError("containers do not run as root: give --owner UID:GID, as 1000:1000")
    if os.getuid() not in (0, int(uid)):
        raise ToolError(f"only root can make files for {wanted}: leave --owner out, or use sudo")
    return int(uid), int(gid)


def hand_over(folder: Path, owner: Owner) -> None:
    """Give everything in a folder to its owner; links are not followed."""
    if os.getuid():
        return
    for where, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(Path(where) / name, *owner, follow_symlinks=False)


def check_links(folder: Path) -> None:
    """Refuse to write through a link, which could lead anywhere. Raises ToolError."""
    repos = [Path("kubo") / name / part for name in NODES for part in (".", "repo")]
    repos += [Path("besu") / name for name in VALIDATORS]
    for part in (Path(), *map(Path, FOLDERS), *repos):
        if (folder / part).is_symlink():
            raise ToolError(f"{folder / part} is a link: put the folder itself there")


def fill(folder: Path, wanted: str | None) -> None:
    """Make what is missing in the folder. Raises ToolError, OSError, StorageError."""
    before = recorded_owner(folder)
    if before and wanted not in (None, before):
        raise ToolError(f"{folder} belongs to {before}: leave --owner out, or take another folder")
    owner = chosen_owner(before or wanted, os.environ)
    check_links(folder)
    folder.mkdir(exist_ok=True)
    with workbench.alone(folder / ".lock", partial(say, "another one is running; waiting for it")):
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        write_new(folder / "env", f"CONSILIUM_UID={owner[0]}\nCONSILIUM_GID={owner[1]}\n")
        write_new(folder / "secrets" / "swarm.key", swarm_key())
        write_new(folder / "secrets" / "passphrase", secrets.token_urlsafe(32) + "\n")
        make_nodes(folder / "kubo")
        make_validators(folder / "besu")
        hand_over(folder, owner)


def make(folder: Path, wanted: str | None) -> None:
    """The same, with every failure as ToolError."""
    os.umask(0o077)
    try:
        fill(folder, wanted)
    except (StorageError, ChainError) as exc:
        raise ToolError(str(exc)) from exc
    except OSError as exc:
        raise ToolError(f"{exc.filename or folder}: {exc.strerror}; correct it, run again") from exc


def main() -> int:
    """Parse the command line and make what is missing."""
    parser = argparse.ArgumentParser(description="Make what docker-compose.yml mounts, once.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="else .compose here")
    parser.add_argument("--owner", metavar="UID:GID", help="else who calls; for root a must")
    given = parser.parse_args()
    return workbench.finish("compose-init", lambda: make(given.folder, given.owner))


if __name__ == "__main__":
    sys.exit(main())
