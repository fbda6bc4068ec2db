"""Make what docker-compose.yml mounts, once: secrets, and the folder of each engine.

    .compose/env               who owns all this, and as whom the containers run: no secret
    .compose/secrets/          swarm.key, cluster.secret, passphrase
    .compose/kubo/<name>/repo  IPFS_PATH: the node's keys and configuration, later its blocks
    .compose/cluster/<name>/cluster      the same of its cluster peer, later what is pinned where
    .compose/cluster/<name>/member       how a home beside them reaches both
    .compose/ways/<name>       the peer's ways to the others, through the nodes
    .compose/chain/            later the chain's state
    .compose/besu/<n>          each validator's key and files, for `--profile besu`; later its chain
    .compose/homes/            later the homes of operator and relayer

Folders have mode 700 and files mode 600. What is there is never overwritten: a second run makes
only what is missing.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

# Python puts a program's folder there by itself, but not under PYTHONSAFEPATH.
sys.path.insert(0, str(Path(__file__).resolve().parent))
import workbench
from compose_members import NODES, make_nodes, make_peers, write_new
from workbench import ToolError

from chain import besu_files
from chain.errors import ChainError
from storage.cluster_config import cluster_secret
from storage.errors import StorageError
from storage.kubo_config import swarm_key

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".compose"
FOLDERS = ("secrets", "kubo", "cluster", "ways", "chain", "homes", "besu")
VALIDATORS = {str(n): f"172.30.66.{10 + n}" for n in range(1, 5)}  # as in docker-compose.yml
BESU_CHAIN_ID = 66_1122

say = partial(workbench.say, "compose-init")
Owner = tuple[int, int]


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
    repos += [
        Path("cluster") / name / part for name in NODES for part in (".", "cluster", "member")
    ]
    repos += [Path("ways") / name for name in NODES]
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
        secret = folder / "secrets" / "cluster.secret"
        write_new(secret, cluster_secret())
        make_nodes(folder / "kubo")
        make_peers(folder / "cluster", secret.read_text("ascii"))
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
