"""`consilium chain`: a chain for development, and the contracts on any chain."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from api.cli.place import open_home, place
from api.cli.show import group, say, write_file
from api.home import HomeRole

app = group(
    """Run a chain for development, deploy the contracts on a chain.

    Example: consilium chain start
    """
)


@app.command()
def start(
    state: Annotated[
        Path | None, typer.Option(help="Where the chain is saved; else under the home.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0: any.")] = 0,
    expose: Annotated[
        bool,
        typer.Option(
            "--expose",
            help="Listen beyond loopback: whoever reaches it commands the chain and its coins.",
        ),
    ] = False,
) -> None:
    """Run a chain for development until SIGTERM; its address is the first line.

    Example: consilium chain start --state chain/state.json.gz
    """
    from chain.anvil import Anvil

    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    saved = state or place().home / "chain" / "state.json.gz"
    with Anvil(saved, port=port, expose=expose) as anvil:
        say(anvil.url)
        say(f"chain {anvil.chain_id}, saved to {anvil.state}; stop it with Ctrl-C")
        stopping.wait()


@app.command()
def deploy(
    token: Annotated[bool, typer.Option("--token", help="Add the development token.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write deployment.json here, too.")] = None,
) -> None:
    """Deploy the contracts with the operator's account, and keep where they are.

    Example: consilium --home homes/operator chain deploy --token --out deployment.json
    """
    from chain import deploy as deployment

    home = open_home(HomeRole.OPERATOR)
    found = deployment.deploy(home.client(place().rpc), token=token)
    home.set_deployment(found.to_json())
    if out is not None:
        write_file(out, found.to_json())
    for name, address in found.addresses.items():
        say(f"{address}  {name}")


@app.command()
def advance(
    seconds: Annotated[int, typer.Argument(min=1, help="How far the clock moves on.")],
) -> None:
    """Move the clock of a chain for development on.

    Example: consilium --rpc http://127.0.0.1:8545 chain advance 86400
    """
    from chain.clock import Clock
    from chain.node import Node

    clock = Clock(Node(place().rpc or open_home().config.rpc))
    clock.advance(seconds)
    say(f"the chain's time is {clock.now()}")
