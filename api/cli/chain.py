"""`consilium chain`: a chain for development; the contracts and their events on any chain."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.operators import show_operators
from api.cli.options import DeploymentPath, Ws
from api.cli.options import Node as NodeAddress
from api.cli.place import open_home, place
from api.cli.show import group, say, write_file
from api.home import HomeRole
from chain.access import MOST_DELAY_S

if TYPE_CHECKING:
    from chain.deploy import Deployment
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
    operator: Annotated[
        str | None,
        typer.Option(help="Who admits, in place of this account: an address, as of a wallet."),
    ] = None,
    delay: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST_DELAY_S,
            help="Seconds that an admission stands announced before it holds; else two days, and "
            "none on a chain for development.",
        ),
    ] = None,
) -> None:
    """Deploy the contracts with the operator's account, and keep where they are.

    Example: consilium --home homes/operator chain deploy --token --out deployment.json
    """
    from api.cli.values import address
    from chain import deploy as deployment

    home = open_home(HomeRole.OPERATOR)
    client, admin = home.client(place().rpc), address(operator) if operator else None
    found = deployment.deploy(client, admin=admin, token=token, delay_s=delay)
    home.set_deployment(found.to_json())
    if out is not None:
        write_file(out, found.to_json())
    for name, at in found.addresses.items():
        say(f"{at}  {name}")
    show_operators(client, found)


@app.command()
def operators(deployment: DeploymentPath = None, rpc: NodeAddress = None) -> None:
    """Show who may admit and dismiss participants, and how long that stands announced before.

    Example: consilium --rpc http://127.0.0.1:8545 chain operators --deployment deployment.json
    """
    from chain.client import Client
    from chain.node import Node

    node = Node(rpc or place().rpc or open_home().config.rpc)
    show_operators(Client(node), _deployment(deployment))


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
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
    ws: Ws = None,
) -> None:
    """Write the contracts' events into tables, for SQL; goes on where it was stopped.

    Example: consilium --rpc http://127.0.0.1:8545 chain index events.sqlite --deployment
    deployment.json
    """
    from api.cli.watching import Patience, waking
    from chain.index import Index
    from chain.indexer import Indexer
    from chain.node import Node

    found = _deployment(deployment)
    node = Node(rpc or place().rpc or open_home().config.rpc)
    kept = Index(path, found)
    indexer = Indexer(node, found, kept)
    try:
        indexer.catch_up(_tell)
        if follow:
            with waking(node, Patience(), ws) as pause:
                for progress in indexer.follow(poll_s=every, pause=pause):
                    if progress.events or progress.rewound:
                        _tell(progress)
    except KeyboardInterrupt:
        pass  # What is written is whole; the next run goes on.
    finally:
        kept.close()


def _tell(progress: Progress) -> None:
    back = f", {progress.rewound} blocks were taken back" if progress.rewound else ""
    say(f"block {progress.block} of {progress.latest}: {progress.events} events more{back}")


def _deployment(path: Path | None) -> Deployment:
    from chain.deploy import Deployment

    if path is None:
        return open_home().deployment()
    return Deployment.from_json(path.read_text("utf-8"))
