"""The operator's access manager: who may admit, how long it must be announced before, and doing so.

OpenZeppelin's AccessManager holds back what an account with an execution delay wants: it is
scheduled, which everybody sees, and done once the delay is over, within a week.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chain.client import Client
from chain.contract import Contract
from chain.types import NO_ADDRESS, Address, BlockNumber, Call, Receipt

ADMIN_ROLE = 0
ANYONE_ROLE = 2**64 - 1
DELAY_S = 2 * 86_400
"""What `deploy` gives the operator, but on chains for development: two days."""
MOST_DELAY_S = 60 * 86_400
"""A slip of the hand must not lock the operator out for years: shortening takes as long."""


@dataclass(frozen=True, slots=True)
class RoleGranted:
    """An account got a role, or another delay in it (seconds)."""

    role_id: int
    account: Address
    delay: int
    since: int
    new_member: bool
    block: BlockNumber
    log_index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Operator:
    """An account that may call a function, or give that right, and how long it announces it before.

    `NO_ADDRESS`: anybody may. Delays are seconds, times seconds since 1970 that are still to come.
    """

    account: Address
    delay_s: int
    role_id: int = ADMIN_ROLE
    since: int | None = None
    """When it gets the role; None where it has it."""
    next_delay: tuple[int, int] | None = None
    """A delay that takes the place of the present one, and when."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A call that everybody sees, and that can be made from `ready_at` on (seconds since 1970)."""

    ready_at: int


class AccessManager(Contract):
    """See openzeppelin-contracts, access/manager/AccessManager.sol."""

    name = "AccessManager"
    events: ClassVar[dict[str, type]] = {"RoleGranted": RoleGranted}

    def grant_admin(self, account: Address, delay_s: int) -> Call:
        """Makes an account an operator, or gives it another delay: a longer one at once."""
        return self._call("grantRole", ADMIN_ROLE, account, delay_s)

    def renounce_admin(self, account: Address) -> Call:
        """The sender, which must be `account`, is no operator any more."""
        return self._call("renounceRole", ADMIN_ROLE, account)

    def schedule(self, call: Call) -> Call:
        """Announces a call, for as soon as may be."""
        return self._call("schedule", call.to, call.data, 0)

    def right(self, caller: Address, call: Call, *, block_identifier: BlockNumber) -> int | None:
        """After how many seconds the caller may make this call; None where it never may."""
        asked = (caller, call.to, call.data[:4])
        at_once, delay = self._read(block_identifier, "canCall", *asked)
        return 0 if at_once else int(delay) or None

    def scheduled(
        self, caller: Address, call: Call, *, block_identifier: BlockNumber
    ) -> tuple[str, Scheduled | None]:
        """A name of this attempt, and when it is ready; None where it is not, or has expired."""
        asked = (caller, call.to, call.data)
        number = bytes(self._read(block_identifier, "hashOperation", *asked)[0])
        at = int(self._read(block_identifier, "getSchedule", number)[0])
        attempt = self._read(block_identifier, "getNonce", number)[0]
        return f"{number.hex()[:16]}-{attempt}", Scheduled(at) if at else None

    def roles(self, call: Call, *, block_identifier: BlockNumber) -> list[int]:
        """The role that may make such a call, whatever its arguments; then those that may give it.

        These are its admin, that one's admin and so on, and always the role that rules them all.
        """
        asked = (call.to, call.data[:4])
        role = int(self._read(block_identifier, "getTargetFunctionRole", *asked)[0])
        found: list[int] = []
        while role not in found:
            found.append(role)
            role = int(self._read(block_identifier, "getRoleAdmin", role)[0])
        return list(dict.fromkeys([*found, ADMIN_ROLE]))

    def members(self, role: int, *, block_identifier: BlockNumber) -> list[Operator]:
        """Who has a role, or will have it without anybody doing more."""
        if role == ANYONE_ROLE:
            return [Operator(NO_ADDRESS, 0, role)]
        granted = self._find(RoleGranted, BlockNumber(0), block_identifier, role_id=role)
        now = self.client.node.block(block_identifier).timestamp
        found = []
        for account in dict.fromkeys(event.account for event in granted):
            access = self._read(block_identifier, "getAccess", role, account)
            since, delay, later, effect = map(int, access)
            if since:
                begins = since if since > now else None
                changes = (later, effect) if effect else None
                found.append(Operator(account, delay, role, begins, changes))
        return found

    def is_whole(self, *, block_identifier: BlockNumber) -> bool:
        """Whether its events are read from its creation on: whoever names `born` may name it late.

        What creates it grants the first role, so the first grant is in that transaction.
        """
        granted = self._find(RoleGranted, BlockNumber(0), block_identifier)
        found = self.client.node.receipt(granted[0].transaction) if granted else None
        return found is not None and found[0].contract == self.address


def carry_out(
    client: Client, manager: AccessManager, call: Call, *, step: str
) -> Receipt | Scheduled:
    """Makes a call that the manager restricts, or announces it where it must stand announced.

    Asked for again once it is ready, it is made. Raises what `Client.send` does.
    """
    block = client.block_number()
    if not manager.right(client.address, call, block_identifier=block):
        return client.send(call, step=step)  # where it has no right at all, the contract says so
    attempt, waiting = manager.scheduled(client.address, call, block_identifier=block)
    if waiting is None:
        client.send(manager.schedule(call), step=f"announce-{attempt}")
        block = client.block_number()
        _, waiting = manager.scheduled(client.address, call, block_identifier=block)
    if waiting is not None and client.timestamp() < waiting.ready_at:
        return waiting
    return client.send(call, step=step)
