"""`consilium relay`: sends what patients and hospitals signed, and pays the gas."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from api.cli.options import Watch
from api.cli.place import open_party
from api.cli.show import say, warn
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
    party.chain.client.resume()
    while True:
        report = send_all(party)
        if report.sent or not watch:
            say(f"{report.sent} messages sent")
        if not watch:
            _raise_refused(report)
            return
        for refusal in report.refused:
            warn(refusal)
        time.sleep(every)


def _raise_refused(report: Relayed) -> None:
    """One refused message harms no other: the error comes after all were sent."""
    if report.refused:
        raise ApiError(f"{len(report.refused)} refused: {'; '.join(report.refused)}")
