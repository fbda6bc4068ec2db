"""`consilium swarm`: the private IPFS swarm that members share."""

from __future__ import annotations

from api.cli.show import group
from api.cli.swarm_check import check

app = group(
    "The private IPFS swarm that members share.\n\n"
    "Example: consilium swarm check ~/.ipfs ~/.ipfs-cluster"
)


@app.callback()
def _swarm() -> None:
    """Keep this a group also while it has one command."""


app.command()(check)
