"""`consilium swarm check`: which settings of IPFS nodes and cluster peers leak or fail."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import AsJson
from api.cli.show import json_object, say, table

Where = Annotated[
    list[str],
    typer.Argument(
        metavar="WHERE...",
        help="Folders with Kubo's config or a peer's service.json, http://HOST:PORT of a node's "
        "RPC, or cluster+http://HOST:PORT of a peer's REST API.",
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env", help="KEY=VALUE lines that nodes start with; else this environment."),
]
Fix = Annotated[bool, typer.Option("--fix", help="Write what can be mended into the files.")]
_CLUSTER = "cluster+"


def check(where: Where, env: EnvFile = None, fix: Fix = False, as_json: AsJson = False) -> None:
    """List each setting that leaks or fails under a swarm key; with --fix, mend it.

    Exit status 1 where something of severity high or medium remains. A node that runs reads mended
    files at its next start.

    Example: consilium swarm check ~/.ipfs ~/.ipfs-cluster --env /etc/ipfs.env --fix
    """
    from storage.hardening import Severity
    from storage.hardening_files import (
        check_cluster,
        check_folder,
        check_kubo,
        mend_environment,
        mend_folder,
        read_environment,
    )

    live = [place for place in where if "://" in place]
    if fix and live:
        raise typer.BadParameter(f"{live[0]} is not mended from here: name its folder")
    folders = [Path(place) for place in where if place not in live]
    if fix:
        for folder in folders:
            mend_folder(folder)
        if env is not None:
            mend_environment(env)
    environment = dict(os.environ) if env is None else read_environment(env)
    found = [item for folder in folders for item in check_folder(folder, environment)]
    for place in live:
        url = place.removeprefix(_CLUSTER)
        found += check_cluster(url) if place.startswith(_CLUSTER) else check_kubo(url)
    if as_json:
        json_object({"findings": [asdict(item) for item in found]})
    else:
        for item in found:
            say(f"{item.severity}: {item.where}: {item.setting}: {item.reason}; {item.fix}")
        rows = [(level, str(sum(item.severity is level for item in found))) for level in Severity]
        table("findings", ("severity", "settings"), rows)
    if any(item.severity is not Severity.LOW for item in found):
        raise typer.Exit(1)
