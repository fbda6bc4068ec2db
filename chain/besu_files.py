"""A Besu validator's folder: its key, and the files by which all members start one network.

key                  the node's private key, hexadecimal, mode 600; never leaves the machine
enode                its address for the other members; no secret
genesis.json         the same bytes at every member, or they are on different chains
static-nodes.json    whom it connects to
permissions.toml     whom it talks to; edited when a member comes or goes
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from chain import besu
from chain.besu import Validator
from chain.errors import BadNetwork
from chain.keccak import keccak


def make_validator(folder: Path, host: str, port: int = besu.P2P_PORT) -> Validator:
    """The validator whose key is in the folder, a new one where there is none. Raises BadNetwork.

    A key is never replaced; `enode` is written anew, for an address may change.
    """
    path = folder / "key"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write(path, os.urandom(32).hex() + "\n", exclusive=True)
        made = Validator.of_key(bytes.fromhex(path.read_text("ascii").strip()), host, port)
        _write(folder / "enode", made.enode + "\n")
    except OSError as exc:
        raise BadNetwork(f"{folder}: {exc.strerror}: name a folder of yours") from exc
    except ValueError as exc:
        raise BadNetwork(f"{path} holds no key: restore it from a backup, or remove it") from exc
    return made


def make_network(folder: Path, validators: Sequence[Validator], chain_id: int) -> bytes:
    """Write a network's files; the digest of its genesis, which all members compare.

    Raises BadNetwork where the folder holds another genesis: a chain has one.
    """
    genesis = json.dumps(besu.genesis(validators, chain_id), indent=2, sort_keys=True) + "\n"
    path = folder / "genesis.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.read_text("utf-8") != genesis:
            raise BadNetwork(
                f"{path} is the genesis of another network: name another folder; members who join "
                "a running chain get its genesis.json from one who is in it"
            )
        _write(path, genesis)
        _write(
            folder / "static-nodes.json",
            json.dumps(besu.static_nodes(validators), indent=2) + "\n",
        )
        _write(folder / "permissions.toml", besu.permissions(validators))
    except OSError as exc:
        raise BadNetwork(f"{folder}: {exc.strerror}: name a folder of yours") from exc
    return keccak(genesis.encode())


def _write(path: Path, text: str, *, exclusive: bool = False) -> None:
    """Whole or not at all, for the owner alone; `exclusive`: refused where the file exists."""
    beside = path.with_name(f".{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if exclusive:
        os.link(beside, path)  # unlike a rename, it replaces nothing
        beside.unlink()
    else:
        beside.replace(path)
