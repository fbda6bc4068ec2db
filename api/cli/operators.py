"""Who may admit and dismiss participants, for people to read."""

from __future__ import annotations

from datetime import timedelta

from api.cli.show import say, warn
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment
from chain.participants import Role
from chain.types import NO_ADDRESS


def show_operators(client: Client, deployment: Deployment) -> None:
    """Every account that can admit or dismiss; warns of what nobody would expect."""
    chain, block = Contracts(client, deployment), client.block_number()
    if (ruler := chain.participants.authority(block_identifier=block)) != chain.access.address:
        warn(f"{ruler} says who admits, not the deployment's access manager: ask the operator why")
    calls = {
        "admits": chain.participants.admit(NO_ADDRESS, Role.HOSPITAL, bytes(32)),
        "dismisses": chain.participants.dismiss(NO_ADDRESS),
    }
    for verb, call in calls.items():
        for found in chain.access.operators(call, block_identifier=block):
            who = "anybody" if found.account == NO_ADDRESS else found.account
            after = f"after {timedelta(seconds=found.delay_s)}" if found.delay_s else "at once"
            say(f"{who}  {verb} {after}")
