"""Counter-offers taken back: by their key alone, once, and told to nobody but who holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from tests.contracts import kit
from tests.contracts.kit import NOBODY, Signer, World, patient, signer_of
from tests.contracts.test_consents import BURN, FLOOD, REVERT, SHORT

pytestmark = pytest.mark.engine("anvil")

KEY, OTHER = patient(1), patient(2)
# Of a counter-offer that this chain never sees.
OFFER = keccak(text="digest of a counter-offer")


def signed(signer: Signer, deadline: int, key: LocalAccount = KEY, offer: bytes = OFFER) -> bytes:
    return signer.sign(key, "CancelCounterOffer", {"offer": offer, "deadline": deadline})


def cancel(
    world: World, signature: bytes, deadline: int, key: str = KEY.address, offer: bytes = OFFER
) -> Any:
    return world.agreements.cancelCounterOffer(key, offer, deadline, signature)


def sound(world: World, deadline: int | None = None) -> Any:
    until = deadline or world.now + 1_000
    return cancel(world, signed(signer_of(world, "agreements"), until), until)


def cancelled_at(world: World, key: str = KEY.address, offer: bytes = OFFER) -> int:
    return int(world.agreements.cancelledAt(key, offer).call())


def test_a_counter_offer_that_nobody_saw_is_taken_back_for_ever(world: World) -> None:
    before = world.block
    receipt = world.send(sound(world), world.stranger)
    mark = keccak(encode(["address", "bytes32"], [KEY.address, OFFER]))
    assert world.logs(receipt) == [("CounterOfferCancelled", mark)]
    assert cancelled_at(world) == receipt["blockNumber"]
    world.mine(3)
    assert cancelled_at(world) == receipt["blockNumber"]
    asked = world.agreements.cancelledAt(KEY.address, OFFER)
    assert asked.call(block_identifier=before) == 0


def test_no_event_names_the_patients_key_or_the_offer(world: World) -> None:
    receipt = world.send(sound(world), world.relayer)
    (log,) = receipt["logs"]
    shown = b"".join([*(bytes(topic) for topic in log["topics"]), bytes(log["data"])])
    assert bytes.fromhex(KEY.address[2:]) not in shown
    assert OFFER not in shown


def test_a_counter_offer_is_taken_back_once(world: World) -> None:
    receipt = world.send(sound(world), world.relayer)
    for call in (sound(world), sound(world, world.now + 2_000)):
        for sender in (world.relayer, world.stranger):
            assert world.refused(call, sender) == ("AlreadyCancelled", OFFER)
    assert cancelled_at(world) == receipt["blockNumber"]


def test_a_cancellation_is_good_until_its_deadline(world: World) -> None:
    deadline = world.now + 500
    call = sound(world, deadline)
    world.at(deadline + 1)
    world.mine()
    assert world.refused(call, world.relayer) == ("Expired", deadline)
    last = world.now + 500
    call = sound(world, last)
    world.at(last)
    assert world.send(call, world.relayer)["blockNumber"] == cancelled_at(world)
    assert world.now == last


def test_another_keys_cancellation_leaves_the_offer_standing(world: World) -> None:
    until = world.now + 1_000
    theirs = signed(signer_of(world, "agreements"), until, OTHER)
    refusal = world.refused(cancel(world, theirs, until), world.center)
    assert refusal == ("BadSignature",)
    world.send(cancel(world, theirs, until, OTHER.address), world.center)
    assert cancelled_at(world) == 0
    assert cancelled_at(world, OTHER.address) == world.block
    world.send(sound(world), world.relayer)


@pytest.mark.parametrize(
    "forge",
    [
        lambda ours, until: signed(ours, until, OTHER),
        lambda ours, until: signed(ours, until, offer=keccak(text="another offer")),
        lambda ours, until: signed(ours, until + 1),
        lambda ours, until: signed(replace(ours, contract=NOBODY), until),
        lambda ours, until: signed(replace(ours, chain=1), until),
        lambda ours, until: kit.mirrored(signed(ours, until)),
        lambda ours, until: ours.sign(KEY, "Revoke", {"id": OFFER, "deadline": until}),
        # 64 bytes would be the compact form of every other signature.
        lambda ours, until: signed(ours, until)[:63],
        lambda ours, until: signed(ours, until) + b"\0",
        lambda _ours, _until: b"",
    ],
    ids=(
        *("another key", "another offer", "another deadline", "another contract"),
        *("another chain", "malleable", "a withdrawal", "short", "long", "empty"),
    ),
)
def test_what_the_key_did_not_sign_takes_nothing_back(
    world: World, forge: Callable[[Signer, int], bytes]
) -> None:
    until = world.now + 1_000
    forged = forge(signer_of(world, "agreements"), until)
    assert world.refused(cancel(world, forged, until), world.relayer) == ("BadSignature",)
    # The same bytes in nobody's name: what gives no key gives not the zero address either.
    nobodys = cancel(world, forged, until, NOBODY)
    assert world.refused(nobodys, world.relayer) == ("BadSignature",)


def test_the_signature_of_an_offer_is_none_of_its_cancellation(world: World) -> None:
    agreement = kit.open_tier(world, kit.open_study(world), world.h1)
    signer, until = signer_of(world, "agreements"), world.now + 1_000
    offer = {
        "agreement": agreement,
        "price": 150,
        "purposes": 0b101,
        "notAfter": until,
        "expiry": until,
        "salt": keccak(text="salt"),
    }
    digest = signer.digest("CounterOffer", offer)
    replayed = cancel(world, signer.sign(KEY, "CounterOffer", offer), until, offer=digest)
    assert world.refused(replayed, world.center) == ("BadSignature",)
    mine = cancel(world, signed(signer, until, offer=digest), until, offer=digest)
    world.send(mine, world.relayer)
    hashed = world.agreements.hashCounterOffer(tuple(offer.values())).call()
    assert cancelled_at(world, offer=hashed) == world.block


def test_a_compact_signature_takes_an_offer_back(world: World) -> None:
    until = world.now + 1_000
    short = b"".join(kit.compact(signed(signer_of(world, "agreements"), until)))
    world.send(cancel(world, short, until), world.relayer)
    assert cancelled_at(world) == world.block


def test_the_digest_of_a_cancellation_is_the_one_that_wallets_sign(world: World) -> None:
    message = {"offer": OFFER, "deadline": 2**64 - 1}
    expected = signer_of(world, "agreements").digest("CancelCounterOffer", message)
    hashed = world.agreements.hashCancelCounterOffer(*message.values())
    assert hashed.call() == expected


def test_a_wallet_that_is_a_key_takes_its_offer_back(world: World) -> None:
    wallet = world.deploy("DevelopmentWallet", KEY.address).address
    signer, until = signer_of(world, "agreements"), world.now + 1_000
    stranger = cancel(world, signed(signer, until, OTHER), until, wallet)
    assert world.refused(stranger, world.relayer) == ("BadSignature",)
    world.send(cancel(world, signed(signer, until), until, wallet), world.relayer)
    assert cancelled_at(world, wallet) == world.block
    # Its owner's own offers are others.
    assert cancelled_at(world) == 0


@pytest.mark.parametrize("mode", [FLOOD, BURN, REVERT, SHORT])
def test_a_hostile_wallet_takes_nothing_back_and_costs_its_caller_little(
    world: World, mode: int
) -> None:
    wallet = world.deploy("HostileWallet", mode).address
    call = cancel(world, b"\x01" * 65, world.now + 1_000, wallet)
    assert world.refused(call, world.relayer) == ("BadSignature",)
    assert kit.gas_of_refused(world, call, world.relayer) < 400_000
    assert cancelled_at(world, wallet) == 0
