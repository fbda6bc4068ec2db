"""`consilium relay`: sends what patients and hospitals signed, and pays the gas."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from api.cli.options import Watch
from api.cli.place import open_party
from api.cli.show import say, warn
from api.home import HomeRole
from federated.party import Party


def relay(
    watch: Watch = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
) -> None:
    """Send the mail that waits for this relayer; with --watch, stay and send what comes.

    Example: consilium --home homes/relayer relay --watch
    """
    party = open_party(HomeRole.RELAYER)
    party.chain.client.resume()
    while True:
        _once(party, always=not watch)
        if not watch:
            return
        time.sleep(every)


def _once(party: Party, *, always: bool) -> None:
    from federated.relayer import relay as send_all

    report = send_all(party)
    if report.sent or always:
        say(f"{report.sent} messages sent")
    for refusal in report.refused:
        warn(refusal)
