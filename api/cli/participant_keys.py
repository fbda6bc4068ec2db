"""The keys that a home publishes: those that others verify with and seal for."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from api.cli.place import open_home, open_party
from api.cli.show import say
from api.home import HomeRole
from federated.party import Party
from storage.keys import publish_key

_WITH_KEYS = (HomeRole.CENTER, HomeRole.HOSPITAL, HomeRole.AUDITOR)


def register() -> None:
    """Publish the home's keys, so that others can verify and seal for it.

    Example: consilium --home homes/north participant register
    """
    _publish(open_party(*_WITH_KEYS))


def renew_key(
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help="The old one was stolen: what no block dates is void."),
    ] = False,
) -> None:
    """Make another key that signs manifests, and publish it; between rounds.

    What was sealed under the old one and is not submitted yet is refused. Interrupted, go on with
    `consilium participant register`.

    Example: consilium --home homes/north participant renew-key
    """
    party = open_party(*_WITH_KEYS)
    block = party.head()
    keys = party.chain.participants.keys_at(party.address, block, block_identifier=block)
    if revoke and keys.from_block:
        call = party.chain.participants.revoke_keys()
        receipt = party.chain.client.send(call, step=f"revoke-{keys.from_block}")
        say(f"keys of {party.address} are revoked from block {receipt.block}")
    made = open_home().renew_signing_key()
    _publish(replace(party, sender=replace(party.sender, signing_key=made)))


def _publish(party: Party) -> None:
    digest = publish_key(party.store, party.identity.recipient)
    signing = party.sender.signing_key.public
    call = party.chain.participants.set_keys(signing, digest)
    step = f"keys-{digest.hex()[:16]}-{signing.hex()[:16]}"
    receipt = party.chain.client.send(call, step=step)
    say(f"keys of {party.address} hold from block {receipt.block}")
