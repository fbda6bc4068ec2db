"""Each sentence of the protocol that says "never", "cannot" or "refuses" has a test attacking it.

`promises.json` names them: under `page` by the beginning of each sentence of docs/protocol.md,
under `decided` what was decided before the page was written, under `limits` what promises nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts import kit, settlement
from tests.contracts.kit import ZERO, World
from tests.contracts.test_access import call_of, mutators
from tests.contracts.test_consents import Desk, desk_of
from tests.tooling.kit import ROOT

PROMISES: dict[str, dict[str, Any]] = json.loads(
    (ROOT / "tests" / "contracts" / "promises.json").read_text("utf-8")
)
WORDS = re.compile(r"\b(never|cannot|can neither|refuses?|refused)\b", re.IGNORECASE)


def sentences() -> list[str]:
    """The page's sentences with such a word, without code blocks, on one line each."""
    page = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    page = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    blocks = re.split(r"\n\s*\n|\n(?=\s*[-*|] )|\n(?=#)", page)
    found = [
        sentence
        for block in blocks
        for sentence in re.split(r"(?<=[.:;!?])\s+(?=[A-Z`*(])", " ".join(block.split()))
    ]
    return [sentence for sentence in found if WORDS.search(sentence)]


def test_every_promise_of_the_page_has_a_test_and_every_entry_a_sentence() -> None:
    known = [*PROMISES["page"], *PROMISES["limits"]]
    page = sentences()
    assert len(page) > 20
    unnamed = [one for one in page if not one.startswith(tuple(known))]
    assert not unnamed, f"no entry of promises.json begins so: {unnamed[0]!r}"
    stale = [one for one in known if not any(sentence.startswith(one) for sentence in page)]
    assert not stale, f"the page says no more: {stale[0]!r}"


def test_every_test_that_is_named_is_there() -> None:
    for promise, tests in (PROMISES["page"] | PROMISES["decided"]).items():
        assert tests, promise
        for test in tests:
            path, name = test.split("::")
            text = (ROOT / "tests" / path).read_text("utf-8")
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), test


@pytest.fixture
def desk(world: World) -> Desk:
    return desk_of(world, kit.open_study(world))


@pytest.mark.engine("anvil")
def test_the_operator_neither_grants_nor_revokes_nor_voids_nor_pays(world: World) -> None:
    study = settlement.found(world, hospitals=1, minHospitals=1)
    consents = study.grant(0, 2)
    number = study.open()
    study.frozen(number, 0, consents)
    study.submit(number, 0)
    escrow = world.contracts["escrow"].address
    held = study.balance(escrow)
    before = study.round(number)
    for name in sorted(mutators()):
        contract, _ = name.split(".")
        if contract in ("AccessManager", "Participants"):
            continue
        call = call_of(world, study, name)
        tx = {"from": world.operator, "to": call.address, "data": call._encode_transaction_data()}
        world.rpc("eth_sendTransaction", {**tx, "gas": hex(8_000_000)})
    ids = [consent.id for consent in consents]
    assert world.consents.activeAt(ids, world.block).call() == [0b11]
    assert not world.consents.isActive(ZERO, world.block).call()
    after = study.round(number)
    assert (after.voided, after.included, after.submitted) == (
        before.voided,
        before.included,
        before.submitted,
    )
    assert study.balance(escrow) == held


@pytest.mark.engine("anvil")
def test_nothing_that_the_operator_can_do_holds_up_a_withdrawal(desk: Desk) -> None:
    world, keys = desk.world, [kit.patient(number) for number in range(1, 4)]
    desk.grant(*keys)
    consents = world.contracts["consents"].address
    selectors = [
        bytes(keccak(text=signature))[:4]
        for signature in (
            "revoke(uint256,uint64)",
            "revokeBySig(address,uint256,uint64,uint64,bytes)",
            "revokeBatch((address,uint256,uint64,uint64,bytes32,bytes32)[])",
            "revokeByHospital((address,uint256,uint64,uint8)[])",
        )
    ]
    manager = world.accessmanager
    for call in (
        manager.setTargetClosed(consents, True),
        manager.setTargetFunctionRole(consents, selectors, 77),
        manager.setTargetClosed(world.contracts["participants"].address, True),
    ):
        world.send(call, world.operator)
    desk.revoke(keys[0])
    deadline = desk.later
    signed = desk.signed_revoke(keys[1], 0, deadline)
    by_sig = world.consents.revokeBySig(keys[1].address, desk.agreement, 0, deadline, signed)
    world.send(by_sig, world.stranger)
    by_hospital = world.consents.revokeByHospital([(keys[2].address, desk.agreement, 0, 2)])
    world.send(by_hospital, world.h1)
    assert [desk.active(key) for key in keys] == [False, False, False]


@pytest.mark.engine("anvil")
def test_a_hospital_neither_grants_for_a_patient_nor_undoes_a_withdrawal(desk: Desk) -> None:
    world, key, hospitals = desk.world, kit.patient(1), kit.patient(99)
    # Signed by a key of the hospital's, in the name of the patient's id.
    fields = desk.grant_fields(key.address, 0, desk.later)
    r, vs = kit.compact(desk.signer.sign(hospitals, "Grant", fields))
    forged = (desk.id(key), 0, fields["deadline"], r, vs)
    world.send(desk.batch([forged]), world.h1)
    assert not desk.active(key)
    # The patient grants and withdraws; the hospital sends the old grant again, and a new reason.
    message = desk.message(key)
    world.send(desk.batch([message]), world.h1)
    desk.revoke(key)
    world.send(desk.batch([message]), world.h1)
    assert not desk.active(key)
    amended = world.consents.amend((key.address, desk.agreement, 0, 2), keccak(text="why"))
    assert world.refused(amended, world.h1) == ("BadReason",)
    assert desk.consent(key)[1] != 0


@pytest.mark.engine("anvil")
def test_nobody_alters_a_tier_that_was_opened(world: World) -> None:
    study = settlement.found(world, hospitals=1, minHospitals=1)
    agreement = study.tier(0)
    before = world.agreements.tier(agreement).call()
    for sender in (world.operator, world.center, world.h1, world.stranger):
        for name in sorted(one for one in mutators() if one.startswith("Agreements.")):
            call = call_of(world, study, name)
            tx = {"from": sender, "to": call.address, "data": call._encode_transaction_data()}
            world.rpc("eth_sendTransaction", {**tx, "gas": hex(2_000_000)})
    after = world.agreements.tier(agreement).call()
    changed = [place for place, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    names = [part["name"] for part in world.agreements.tier.abi["outputs"][0]["components"]]
    assert {names[place] for place in changed} <= {"closed"}
