"""The keys that a home publishes: those that others verify with and seal for."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from api.cli.place import open_home, open_party
from api.cli.show import say, warn
from api.errors import HomeError
from api.home import HomeRole
from chain.participants import Keys
from chain.types import BlockNumber
from federated.party import Party, keys_between
from storage.keys import publish_key

_WITH_KEYS = (HomeRole.CENTER, HomeRole.HOSPITAL, HomeRole.AUDITOR)


def register() -> None:
    """Publish the home's keys, so that others can verify and seal for it.

    Example: consilium --home homes/north participant register
    """
    party = open_party(*_WITH_KEYS)
    before = _keys(party).signing
    _publish(party)
    if any(before) and before != party.sender.signing_key.public:
        warn(
            "the signing key before is exchanged and is not revoked: if it was stolen, run "
            "`consilium participant renew-key --revoke`"
        )


def renew_key(
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help="The old one was stolen: what no block dates is void."),
    ] = False,
) -> None:
    """Make another key that signs manifests, and publish it; between rounds.

    What was sealed under the old one and is not submitted yet is refused. Interrupted, run it again
    with the same options.

    Example: consilium --home homes/north participant renew-key
    """
    party = open_party(*_WITH_KEYS)
    keys = _keys(party)
    # First: wherever this ends, the home has no more the key that is to be revoked.
    made = open_home().renew_signing_key()
    if revoke and keys.from_block:
        call = party.chain.participants.revoke_keys()
        receipt = party.chain.client.send(call, step=f"revoke-{keys.from_block}")
        say(f"keys of {party.address} are revoked from block {receipt.block}")
    _publish(replace(party, sender=replace(party.sender, signing_key=made)))


def _publish(party: Party) -> None:
    """Raises HomeError for a signing key that was revoked: whoever stole it would be believed."""
    digest = publish_key(party.store, party.identity.recipient)
    signing, keys = party.sender.signing_key.public, _keys(party)
    block = BlockNumber(keys.from_block)
    if (keys.signing, keys.encryption) != (signing, digest):
        if revoked := _revoked(party, signing):
            raise HomeError(
                f"this home's signing key was revoked in block {revoked}: make another with "
                "`consilium participant renew-key`"
            )
        call = party.chain.participants.set_keys(signing, digest)
        # One step for each time, for keys that held before can hold anew.
        step = f"keys-{keys.from_block}-{digest.hex()[:16]}-{signing.hex()[:16]}"
        block = party.chain.client.send(call, step=step).block
    say(f"keys of {party.address} hold from block {block}")


def _revoked(party: Party, signing: bytes) -> BlockNumber | None:
    held = keys_between(party.chain, party.address, BlockNumber(1), party.head())
    own = (key.revoked for key in held if key.signer.public_key == signing)
    return next((block for block in own if block is not None), None)


def _keys(party: Party) -> Keys:
    block = party.head()
    return party.chain.participants.keys_at(party.address, block, block_identifier=block)
