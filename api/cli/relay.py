"""`consilium relay`: sends what patients and hospitals signed, and pays the gas."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from api.cli.options import Watch
from api.cli.place import open_party
from api.cli.show import say
from api.cli.watching import Patience
from api.errors import ApiError
from api.home import HomeRole
from federated.relayer import Relayed
from federated.relayer import relay as send_all


def relay(
    watch: Watch = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
) -> None:
    """Send the mail that waits for this relayer; with --watch, stay and send what comes.

    Example: consilium --home homes/relayer relay --watch
    """
    party = open_party(HomeRole.RELAYER)
    if not watch:
        _raise_refused(send_all(party))
        return
    patience = Patience()

    def look() -> bool:
        report = send_all(party)
        if report.sent:
            say(f"{report.sent} messages sent")
        for refusal in report.refused:
            patience.warn(refusal)
        return False

    while not patience.attempt(look):
        time.sleep(every)


def _raise_refused(report: Relayed) -> None:
    """One refused message harms no other: the error comes after all were sent."""
    say(f"{report.sent} messages sent")
    if report.refused:
        raise ApiError(f"{len(report.refused)} refused: {'; '.join(report.refused)}")
