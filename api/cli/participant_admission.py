"""Who takes part, as the operator says: admissions and dismissals, under its timelock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from api.cli.place import open_home, place
from api.cli.show import say
from api.cli.values import address, when
from api.errors import ApiError
from api.home import Home, HomeRole
from chain.access import Scheduled, carry_out
from chain.contracts import Contracts
from chain.participants import Role
from chain.types import Address, BlockNumber, Call
from federated.directory import publish_description


def admit(
    who: Annotated[list[Path], typer.Argument(metavar="FILE...", help="participant.json files.")],
) -> None:
    """Admit hospitals, centers and auditors by their participant.json; the operator's.

    Under a timelock (`consilium chain operators`) the first run announces it; run again when it is
    ready, it admits.

    Example: consilium --home homes/operator participant admit homes/north/participant.json
    """
    home, chain = _operator()
    store = home.store()
    for path in who:
        account, name, role = _card(path)
        block = chain.client.block_number()
        if held := chain.participants.role_of(account, block_identifier=block):
            say(f"{name} {account} was admitted already as {held.name.lower()}")
            continue
        digest = publish_description(store, name, role)
        call = chain.participants.admit(account, role, digest)
        if _done(chain, call, "admit", f"{name} {account}", account, block):
            say(f"{name} {account} is admitted as {role.name.lower()}")


def dismiss(
    who: Annotated[
        list[str], typer.Argument(metavar="WHO...", help="Accounts, or participant.json files.")
    ],
) -> None:
    """Take hospitals, centers and auditors out of every new study; the operator's.

    What runs goes on, and keys stay. Under a timelock (`consilium chain operators`) the first run
    announces it; run again when it is ready, it dismisses.

    Example: consilium --home homes/operator participant dismiss homes/north/participant.json
    """
    _, chain = _operator()
    for account in [address(item) for item in who]:
        block = chain.client.block_number()
        if not chain.participants.role_of(account, block_identifier=block):
            say(f"{account} has no role")
            continue
        call = chain.participants.dismiss(account)
        if _done(chain, call, "dismiss", account, account, block):
            say(f"{account} is dismissed")


def _operator() -> tuple[Home, Contracts]:
    home = open_home(HomeRole.OPERATOR)
    return home, Contracts(home.client(place().rpc), home.deployment())


def _done(
    chain: Contracts, call: Call, verb: str, shown: str, account: Address, block: BlockNumber
) -> bool:
    """Whether it was done, and not announced alone."""
    # Whoever was dismissed is admitted anew, and that is another step.
    times = len(chain.participants.admitted(account=account, to_block=block))
    done = carry_out(chain.client, chain.access, call, step=f"{verb}-{account}-{times}")
    if not isinstance(done, Scheduled):
        return True
    say(f"{shown} is announced: {verb} again from {when(done.ready_at)} UTC on")
    return False


def _card(path: Path) -> tuple[Address, str, Role]:
    account = address(str(path))
    tree = json.loads(path.read_text("utf-8"))
    try:
        return account, str(tree["name"]), Role[str(tree["role"]).upper()]
    except KeyError as exc:
        raise ApiError(
            f"{path}: only hospitals, centers and auditors are admitted; others need no admission"
        ) from exc
