"""`consilium chain`: a chain for development; the contracts and their events on any chain."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import DeploymentPath
from api.cli.options import Node as NodeAddress
from api.cli.place import open_home, place
from api.cli.show import group, say, write_file
from api.home import HomeRole

if TYPE_CHECKING:
    from chain.indexer import Progress

app = group(
    """Run a chain for development, deploy the contracts on a chain, index its events.

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
def validator(
    folder: Annotated[Path, typer.Argument(help="Where its key is, or is made.")],
    host: Annotated[str, typer.Option(help="The IPv4 address at which the others reach it.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="And the port.")] = 30303,
) -> None:
    """Make the key of a Besu validator; print its address for the other members.

    Example: consilium chain validator validator --host 192.0.2.7
    """
    from chain.besu_files import make_validator

    made = make_validator(folder, host, port)
    say(made.enode)
    say(f"validator {made.address}: hand the line above to all; the key stays in {folder}")


@app.command()
def genesis(
    folder: Annotated[Path, typer.Argument(help="The validator's folder.")],
    enodes: Annotated[
        list[Path], typer.Option("--enode", help="A file `enode` of a member; once for each.")
    ],
    chain_id: Annotated[int, typer.Option(min=1, help="A number that no other chain has.")],
) -> None:
    """Write the first block of a Besu network, and whom its nodes talk to; print a digest.

    Example: consilium chain genesis validator --chain-id 2026 --enode center.enode --enode
    north.enode --enode harbor.enode --enode lake.enode
    """
    from chain import besu
    from chain.besu_files import make_network

    members = [besu.Validator.parse(path.read_text("utf-8", errors="replace")) for path in enodes]
    digest = make_network(folder, members, chain_id)
    say(f"genesis {digest.hex()}: compare it with the other members' before you start")
    say(f"{len(members)} validators, of which {besu.faults(len(members))} may fail at once")


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


@app.command()
def index(
    path: Annotated[Path, typer.Argument(help="The index, an SQLite file; made where it is not.")],
    deployment: DeploymentPath = None,
    rpc: NodeAddress = None,
    follow: Annotated[bool, typer.Option("--follow", help="Stay, and index what comes.")] = False,
) -> None:
    """Write the contracts' events into tables, for SQL; goes on where it was stopped.

    Example: consilium --rpc http://127.0.0.1:8545 chain index events.sqlite --deployment
    deployment.json
    """
    from chain.deploy import Deployment
    from chain.index import Index
    from chain.indexer import Indexer
    from chain.node import Node

    if deployment is not None:
        found = Deployment.from_json(deployment.read_text("utf-8"))
    else:
        found = open_home().deployment()
    node = Node(rpc or place().rpc or open_home().config.rpc)
    kept = Index(path, found)
    indexer = Indexer(node, found, kept)
    try:
        indexer.catch_up(_tell)
        for progress in indexer.follow() if follow else ():
            if progress.events or progress.rewound:
                _tell(progress)
    except KeyboardInterrupt:
        pass  # What is written is whole; the next run goes on.
    finally:
        kept.close()


def _tell(progress: Progress) -> None:
    back = f", {progress.rewound} blocks were taken back" if progress.rewound else ""
    say(f"block {progress.block} of {progress.latest}: {progress.events} events more{back}")
