"""`consilium swarm`: a private IPFS with copies at several members."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import AsJson
from api.cli.place import open_home
from api.cli.show import group, json_object, say, table, write_file
from api.cli.swarm_check import check
from api.errors import ApiError

if TYPE_CHECKING:
    from storage.signing import Signer
    from storage.swarm_invitation import Invitation

app = group(
    """Run, join and check a private IPFS with copies at several members.

    Example: consilium swarm init swarm --name north --name center
    """
)

app.command()(check)

Folder = Annotated[Path, typer.Argument(help="Where the swarm's nodes are kept.")]
OnePort = Annotated[
    bool,
    typer.Option(
        "--one-port", help="Cluster peers talk through the IPFS nodes; then at all members."
    ),
]
Inviter = Annotated[str, typer.Option(help="ADDRESS:KEY, as who invites told you on another way.")]
Host = Annotated[str, typer.Option(help="The IP address at which other members reach these nodes.")]


@app.command()
def init(
    folder: Folder,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="A member; once for each. Three if none.")
    ] = None,
    host: Host = "127.0.0.1",
    one_port: OnePort = False,
) -> None:
    """Make a new swarm in a folder; nothing is started.

    Example: consilium swarm init swarm --name north --name harbor --name center
    """
    from storage.swarm_folder import SwarmFolder

    made = SwarmFolder.create(folder, names or ["one", "two", "three"], host, one_port=one_port)
    say(f"a swarm of {', '.join(made.names)}; start it with `consilium swarm up {folder}`")


@app.command()
def up(folder: Folder) -> None:
    """Run the folder's nodes and cluster peers until SIGTERM; prints each member's store.

    What ended is started again, and copies that another member lost are made elsewhere.

    Example: consilium swarm up swarm
    """
    from storage.swarm_care import look_after
    from storage.swarm_folder import SwarmFolder

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    found = SwarmFolder(folder)
    with found.swarm(say) as swarm:
        found.mark_running()
        for name in found.names:
            say(f"{name}  --store {swarm.address(name)}")
        say("running; stop it with Ctrl-C or `consilium swarm down`")
        look_after(swarm, stopping, say)


@app.command()
def down(folder: Folder) -> None:
    """End the swarm that runs in a folder; its blocks and keys stay.

    Example: consilium swarm down swarm
    """
    from storage.swarm_folder import SwarmFolder

    say("it has ended" if SwarmFolder(folder).stop() else "it does not run")


@app.command()
def status(folder: Folder, as_json: AsJson = False) -> None:
    """Show members, versions, whom each sees, and how many copies are in which state.

    Exit status 1 where a member does not answer.

    Example: consilium swarm status swarm --json
    """
    from storage.swarm_folder import SwarmFolder
    from storage.swarm_status import member_status

    found = SwarmFolder(folder)
    seen = [member_status(folder / name) for name in found.names]
    if as_json:
        json_object([item.to_json() for item in seen])
    else:
        columns = ["member", "Kubo", "members seen", "cluster", "peers seen", "copies", "roots"]
        columns.append("wrong")
        table(f"swarm in {folder}", columns, [item.row() for item in seen])
    if any(item.wrong for item in seen):
        raise typer.Exit(1)


@app.command()
def key(out: Annotated[Path, typer.Option(help="The file to write.")]) -> None:
    """Write the home's public key, to which an invitation is sealed.

    Example: consilium --home homes/north swarm key --out north.key
    """
    write_file(out, open_home().identity().public.hex() + "\n")
    say(f"hand {out} to who invites")


@app.command()
def invite(
    folder: Folder,
    recipient: Annotated[Path, typer.Argument(metavar="KEY", help="From `swarm key`.")],
    out: Annotated[Path, typer.Option(help="The invitation to write.")],
) -> None:
    """Seal the swarm's secrets and members to one who is to join; the home signs.

    Example: consilium --home homes/center swarm invite swarm north.key --out north.invitation
    """
    from storage.keys import RecipientKey
    from storage.signing import Sender
    from storage.swarm_folder import SwarmFolder
    from storage.swarm_invitation import invite as sealed

    home = open_home()
    public = RecipientKey.from_bytes(_hex(recipient.read_text("ascii").strip(), str(recipient)))
    sender = Sender(bytes.fromhex(home.address()[2:]), home.signing_key())
    content = sealed(SwarmFolder(folder).invitation(), public, sender)
    out.write_bytes(content)
    say(f"sealed to the key {public.key_id.hex()}; compare that with its owner")
    say(f"tell them on another way: --inviter {home.address()}:{sender.signing_key.public.hex()}")


@app.command()
def join(
    invitation: Annotated[Path, typer.Argument(help="The file that you were sent.")],
    folder: Folder,
    name: Annotated[str, typer.Option(help="How the other members call you.")],
    inviter: Inviter,
    host: Host,
    one_port: OnePort = False,
) -> None:
    """Open an invitation with the home's key, and make a node that is a member.

    After `swarm up`, hand its card.json to the other members, who take it in by `swarm admit`.

    Example: consilium --home homes/north swarm join north.invitation swarm --name north --inviter
    0xaa00…:bb11… --host 192.0.2.7
    """
    from storage.swarm_folder import SwarmFolder

    opened = _opened(invitation, inviter)
    SwarmFolder.join(folder, name, host, opened, one_port=one_port)
    others = ", ".join(card.name for card in opened.members)
    say(f"a member beside {others}; start it with `consilium swarm up {folder}`")
    say(f"then hand {folder / name / 'card.json'} to them")


@app.command()
def admit(
    folder: Folder,
    card: Annotated[Path, typer.Argument(metavar="CARD", help="The member's card.json.")],
) -> None:
    """Take a member in that another runs: it may pin from the next `swarm up` on.

    Example: consilium swarm admit swarm card.json
    """
    from storage.swarm_card import read_card
    from storage.swarm_folder import SwarmFolder

    member = read_card(card)
    SwarmFolder(folder).admit(member)
    say(f"{member.name} is a member; start the swarm anew, so that its nodes know")


@app.command()
def rekey(
    folder: Folder,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="A member who leaves; once for each.")
    ] = None,
) -> None:
    """Make the swarm's secrets anew: who has the old ones is outside from the next `up` on.

    Then `swarm invite` each member who stays, who takes it in by `swarm renew`.

    Example: consilium swarm rekey swarm --without north
    """
    from storage.swarm_folder import SwarmFolder

    SwarmFolder(folder).rekey(without or [])
    say(f"new secrets in {folder}; invite every member who stays, then `consilium swarm up`")


@app.command()
def renew(
    invitation: Annotated[Path, typer.Argument(help="The file that you were sent.")],
    folder: Folder,
    inviter: Inviter,
) -> None:
    """Take over the secrets and members of a swarm that was rekeyed; one's own blocks stay.

    Example: consilium --home homes/north swarm renew north.invitation swarm --inviter 0xaa00…:bb11…
    """
    from storage.swarm_folder import SwarmFolder

    opened = _opened(invitation, inviter)
    SwarmFolder(folder).renew(opened)
    say(f"one of {len(opened.members)} members; start it with `consilium swarm up {folder}`")


def _opened(path: Path, inviter: str) -> Invitation:
    from storage.swarm_invitation import MAX_SIZE, open_invitation

    with path.open("rb") as file:
        content = file.read(MAX_SIZE + 1)
    return open_invitation(content, open_home().identity(), _signer(inviter))


def _signer(text: str) -> Signer:
    from storage.signing import Signer

    address, _, public = text.partition(":")
    where = "--inviter"
    return Signer(_hex(address.removeprefix("0x"), where), _hex(public, where))


def _hex(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as exc:
        raise ApiError(f"{where} is not hexadecimal: take it over as it was given") from exc
