"""Who may admit and dismiss participants, for people to read."""

from __future__ import annotations

from datetime import timedelta

from api.cli.show import say, warn
from api.cli.values import when
from chain.access import ADMIN_ROLE, AccessManager, Operator
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment, verify_deployment
from chain.participants import Role
from chain.types import NO_ADDRESS, BlockNumber, Call


def show_operators(client: Client, deployment: Deployment) -> None:
    """Every account that can admit or dismiss, or let others do; warns of what nobody expects.

    Raises CodeMismatch where the contracts are not those of this version.
    """
    chain, block = Contracts(client, deployment), client.block_number()
    verify_deployment(client, deployment, block_identifier=block)
    if (ruler := chain.participants.authority(block_identifier=block)) != chain.access.address:
        warn(f"{ruler} says who admits, not the deployment's access manager: ask the operator why")
    if not chain.access.is_whole(block_identifier=block):
        warn(
            f"the access manager is older than block {deployment.block}, which the deployment "
            "names: who was let in before is not shown; ask the operator for the block"
        )
    calls = {
        ("admit", "admits"): chain.participants.admit(NO_ADDRESS, Role.HOSPITAL, bytes(32)),
        ("dismiss", "dismisses"): chain.participants.dismiss(NO_ADDRESS),
    }
    for verbs, call in calls.items():
        _show(chain.access, verbs, call, block)


def _show(manager: AccessManager, verbs: tuple[str, str], call: Call, block: BlockNumber) -> None:
    do, does = verbs
    first, *others = manager.roles(call, block_identifier=block)
    if first != ADMIN_ROLE:
        warn(f"role {first} may {do}, which `chain deploy` never arranges: ask the operator why")
    for found in manager.members(first, block_identifier=block):
        say(f"{_who(found)}  {does} {_after(found)}")
    for role in others:
        for found in manager.members(role, block_identifier=block):
            say(f"{_who(found)}  may let others {do} {_after(found)}")


def _who(found: Operator) -> str:
    return "anybody" if found.account == NO_ADDRESS else found.account


def _after(found: Operator) -> str:
    told = _delay(found.delay_s)
    if found.next_delay is not None:
        delay_s, at = found.next_delay
        told += f"; {_delay(delay_s)} from {when(at)} UTC on"
    return told + (f"; but not before {when(found.since)} UTC" if found.since else "")


def _delay(seconds: int) -> str:
    return f"after {timedelta(seconds=seconds)}" if seconds else "at once"
