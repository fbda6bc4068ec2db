"""Consents: granted by signature and admission, withdrawn always, each id once, nobody else's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from tests.contracts import kit
from tests.contracts.kit import HALF, NOBODY, ZERO, Signer, World

pytestmark = pytest.mark.engine("anvil")

SKIPS = [
    "None",
    "BadSignature",
    "Expired",
    "AlreadyUsed",
    "PreviousNotRevoked",
    "TierClosed",
    "TierFull",
    "HospitalFull",
    "NoMoney",
    "TierExpired",
    "UnknownAgreement",
]
PATIENT, PAPER, KEY_LOST, DIED = 1, 2, 3, 4
FLOOD, BURN, REVERT, SHORT = range(4)
NO_ADMISSION = (0, b"")


@dataclass
class Desk:
    """One tier of hospital h1, and what patients and relayers do there."""

    world: World
    study: int
    agreement: int
    signer: Signer

    @property
    def later(self) -> int:
        return self.world.now + 3_000

    def grant_fields(self, key: str, nonce: int, deadline: int) -> dict[str, Any]:
        tier = self.world.agreements.tier(self.agreement).call()
        return {
            "id": kit.consent_id(key, self.agreement, nonce),
            "study": tier[0],
            "agreement": self.agreement,
            "price": tier[3],
            "purposes": tier[4],
            "notAfter": tier[5],
            "nonce": nonce,
            "deadline": deadline,
        }

    def signed_grant(self, key: LocalAccount, nonce: int = 0, deadline: int | None = None) -> bytes:
        fields = self.grant_fields(key.address, nonce, deadline or self.later)
        return self.signer.sign(key, "Grant", fields)

    def message(
        self, key: LocalAccount, nonce: int = 0, deadline: int | None = None
    ) -> tuple[Any, ...]:
        """A GrantMessage, signed."""
        deadline = deadline or self.later
        r, vs = kit.compact(self.signed_grant(key, nonce, deadline))
        return (kit.consent_id(key.address, self.agreement, nonce), nonce, deadline, r, vs)

    def batch(self, messages: Sequence[Any], admission: tuple[int, bytes] = NO_ADMISSION) -> Any:
        return self.world.consents.grantBatch(self.agreement, list(messages), *admission)

    def grant(self, *keys: LocalAccount, nonce: int = 0) -> Any:
        call = self.batch([self.message(key, nonce) for key in keys])
        return self.world.send(call, self.world.h1)

    def admission(
        self, ids: Sequence[bytes], by: LocalAccount, deadline: int | None = None
    ) -> tuple[int, bytes]:
        deadline = deadline or self.later
        message = {
            "agreement": self.agreement,
            "ids": keccak(b"".join(ids)),
            "deadline": deadline,
        }
        return deadline, self.signer.sign(by, "Admission", message)

    def revocation(
        self, key: LocalAccount, nonce: int = 0, deadline: int | None = None
    ) -> tuple[Any, ...]:
        """A RevokeMessage, signed."""
        deadline = deadline or self.later
        r, vs = kit.compact(self.signed_revoke(key, nonce, deadline))
        return (key.address, self.agreement, nonce, deadline, r, vs)

    def signed_revoke(
        self, key: LocalAccount, nonce: int = 0, deadline: int | None = None
    ) -> bytes:
        id_ = kit.consent_id(key.address, self.agreement, nonce)
        fields = {"id": id_, "deadline": deadline or self.later}
        return self.signer.sign(key, "Revoke", fields)

    def revoke(self, *keys: LocalAccount, nonce: int = 0) -> Any:
        messages = [self.revocation(key, nonce) for key in keys]
        return self.world.send(self.world.consents.revokeBatch(messages), self.world.relayer)

    def id(self, key: LocalAccount, nonce: int = 0) -> bytes:
        return kit.consent_id(key.address, self.agreement, nonce)

    def consent(self, key: LocalAccount, nonce: int = 0) -> tuple[Any, ...]:
        return tuple(self.world.consents.consent(self.id(key, nonce)).call())

    def active(self, key: LocalAccount, nonce: int = 0, block: int | None = None) -> bool:
        at = self.world.block if block is None else block
        return bool(self.world.consents.isActive(self.id(key, nonce), at).call())

    def skipped(self, receipt: Any) -> dict[bytes, str]:
        """Why each skipped id was."""
        return {
            log[2]: SKIPS[log[3]]
            for log in self.world.logs(receipt)
            if log[0] in ("GrantSkipped", "RevokeSkipped")
        }

    def granted(self, receipt: Any) -> list[bytes]:
        return [id_ for log in self.world.logs(receipt) if log[0] == "Granted" for id_ in log[3]]

    def admitted(self) -> int:
        return int(self.world.agreements.tier(self.agreement).call()[7])

    def reserved(self) -> int:
        return int(self.world.escrow.account(self.study).call()[4])


def desk_of(world: World, study: int, hospital: str | None = None, **tier: Any) -> Desk:
    agreement = kit.open_tier(world, study, hospital or world.h1, **tier)
    return Desk(world, study, agreement, kit.signer_of(world, "consents"))


@pytest.fixture
def desk(world: World) -> Desk:
    return desk_of(world, kit.open_study(world))


def patients(count: int, start: int = 0) -> list[LocalAccount]:
    return [kit.patient(number) for number in range(start, start + count)]


# --- granting


def test_a_batch_from_the_hospital_grants_counts_and_reserves(desk: Desk) -> None:
    world, keys = desk.world, patients(3)
    receipt = desk.grant(*keys)
    ids = [desk.id(key) for key in keys]
    assert world.logs(receipt) == [
        ("Granted", desk.agreement, world.h1, ids),
        ("Reserved", desk.study, 300),
    ]
    for key in keys:
        assert desk.consent(key) == (world.block, 0, desk.agreement, 0, True, False, False)
    assert desk.admitted() == 3
    assert world.agreements.admittedTo(desk.study, world.h1).call() == 3
    assert desk.reserved() == 300


def test_no_event_and_no_storage_holds_an_address_of_a_patient(desk: Desk) -> None:
    key = kit.patient(0)
    granted, revoked = desk.grant(key), desk.revoke(key)
    address = bytes.fromhex(key.address[2:])
    for receipt in (granted, revoked):
        for log in receipt["logs"]:
            assert address not in bytes(log["data"])
            assert all(address not in bytes(topic) for topic in log["topics"])


def test_ids_and_digests_are_those_that_wallets_sign(desk: Desk) -> None:
    key, consents = kit.patient(0), desk.world.consents
    id_ = consents.idOf(key.address, desk.agreement, 7).call()
    assert id_ == kit.consent_id(key.address, desk.agreement, 7)
    fields = desk.grant_fields(key.address, 7, 123)
    grant = consents.hashGrant(id_, desk.agreement, 7, 123).call()
    assert grant == desk.signer.digest("Grant", fields)
    revoke = consents.hashRevoke(id_, 123).call()
    assert revoke == desk.signer.digest("Revoke", {"id": id_, "deadline": 123})
    ids = [id_, desk.id(key)]
    message = {"agreement": desk.agreement, "ids": keccak(b"".join(ids)), "deadline": 5}
    admission = consents.hashAdmission(desk.agreement, ids, 5).call()
    assert admission == desk.signer.digest("Admission", message)


def test_every_reason_to_skip_leaves_the_neighbours_unharmed(world: World) -> None:
    study = kit.open_study(world, maxPatients=7)
    desk_of(world, study).grant(*patients(1, start=90))
    desk = desk_of(world, study, maxCount=5)
    used, again, held, bad, late, *good = patients(8)
    desk.grant(used, again)
    desk.revoke(again)
    foreign = kit.patient(50)
    messages = [
        desk.message(good[0]),
        desk.message(used),
        desk.message(bad)[:3] + desk.message(foreign)[3:],
        desk.message(late, deadline=world.now - 1),
        desk.message(held, nonce=1),
        desk.message(again, nonce=1),
        desk.message(good[1]),
        desk.message(good[0]),
        desk.message(good[2]),
        desk.message(foreign),
    ]
    receipt = world.send(desk.batch(messages), world.h1)
    skipped = [(log[2], SKIPS[log[3]]) for log in world.logs(receipt) if log[0] == "GrantSkipped"]
    assert skipped == [
        (desk.id(used), "AlreadyUsed"),
        (desk.id(bad), "BadSignature"),
        (desk.id(late), "Expired"),
        (desk.id(held, 1), "PreviousNotRevoked"),
        (desk.id(good[0]), "AlreadyUsed"),
        (desk.id(foreign), "TierFull"),
    ]
    taken = [desk.id(good[0]), desk.id(again, 1), desk.id(good[1]), desk.id(good[2])]
    assert desk.granted(receipt) == taken
    assert desk.admitted() == 5
    for key in (bad, late, foreign):
        assert desk.consent(key) == (0, 0, 0, 0, False, False, False)


def test_a_hospital_admits_no_more_than_the_study_allows_over_all_tiers(world: World) -> None:
    study = kit.open_study(world, maxPatients=3)
    first, second = desk_of(world, study), desk_of(world, study)
    first.grant(*patients(2))
    receipt = second.grant(*patients(2, start=10))
    assert second.skipped(receipt) == {second.id(kit.patient(11)): "HospitalFull"}
    other = desk_of(world, study, world.h2)
    call = other.batch([other.message(key) for key in patients(2, start=20)])
    assert other.skipped(world.send(call, world.h2)) == {}


def test_beyond_unreserved_money_nobody_is_admitted(world: World) -> None:
    study = kit.open_study(world)
    desk = desk_of(world, study, price=HALF // 2)
    receipt = desk.grant(*patients(4))
    out = {desk.id(key): "NoMoney" for key in patients(4)[2:]}
    assert desk.skipped(receipt) == out
    assert world.escrow.unreserved(study).call() == 0
    world.send(world.escrow.fund(study, HALF), world.h2)
    assert desk.skipped(desk.grant(*patients(4)[2:])) == {}


def test_a_price_beyond_all_money_skips_and_reverts_nothing(world: World) -> None:
    desk = desk_of(world, kit.open_study(world), price=2**96 - 1)
    receipt = desk.grant(*patients(2))
    assert set(desk.skipped(receipt).values()) == {"NoMoney"}
    assert desk.granted(receipt) == []


def test_a_tier_without_price_reserves_nothing(world: World) -> None:
    desk = desk_of(world, kit.open_study(world, funding=HALF), price=0)
    receipt = desk.grant(*patients(2))
    assert [log[0] for log in world.logs(receipt)] == ["Granted"]
    assert (desk.admitted(), desk.reserved()) == (2, 0)


def test_a_closed_tier_takes_nobody_and_lets_everybody_withdraw(desk: Desk) -> None:
    inside, outside = patients(2)
    desk.grant(inside)
    desk.world.send(desk.world.agreements.closeTier(desk.agreement), desk.world.center)
    assert desk.skipped(desk.grant(outside)) == {desk.id(outside): "TierClosed"}
    assert desk.active(inside)
    desk.revoke(inside)
    assert not desk.active(inside)


def test_a_tier_past_its_last_second_takes_nobody(world: World) -> None:
    end = world.now + 500
    desk = desk_of(world, kit.open_study(world), notAfter=end)
    first, second = patients(2)
    messages = [desk.message(first), desk.message(second)]
    world.at(end)
    assert desk.skipped(world.send(desk.batch(messages[:1]), world.h1)) == {}
    world.at(end + 1)
    receipt = world.send(desk.batch(messages[1:]), world.h1)
    assert desk.skipped(receipt) == {desk.id(second): "TierExpired"}


def test_a_study_past_its_end_takes_nobody(world: World) -> None:
    study = kit.open_study(world)
    end = world.studies.terms(study).call()[7]
    desk = desk_of(world, study, notAfter=end + 100)
    keys = patients(2)
    world.at(end)
    world.mine()
    messages = [desk.message(key) for key in keys]
    world.at(end + 1)
    receipt = world.send(desk.batch(messages), world.h1)
    assert set(desk.skipped(receipt).values()) == {"TierExpired"}


def test_an_unknown_agreement_is_no_batch(desk: Desk) -> None:
    call = desk.world.consents.grantBatch(99, [desk.message(kit.patient(0))], *NO_ADMISSION)
    assert desk.world.refused(call, desk.world.h1) == ("UnknownAgreement", 99)


def test_an_empty_batch_does_nothing(desk: Desk) -> None:
    assert desk.world.logs(desk.grant()) == []


# --- signatures


def test_a_signature_serves_once(desk: Desk) -> None:
    key, world = kit.patient(0), desk.world
    grant, revocation = desk.message(key), desk.revocation(key)
    world.send(desk.batch([grant]), world.h1)
    assert desk.skipped(world.send(desk.batch([grant]), world.h1)) == {desk.id(key): "AlreadyUsed"}
    world.send(world.consents.revokeBatch([revocation]), world.relayer)
    assert desk.skipped(world.send(desk.batch([grant]), world.h1)) == {desk.id(key): "AlreadyUsed"}
    receipt = world.send(world.consents.revokeBatch([revocation]), world.relayer)
    assert desk.skipped(receipt) == {desk.id(key): "AlreadyUsed"}


def test_the_mirrored_signature_is_no_signature(desk: Desk) -> None:
    key, world, deadline = kit.patient(0), desk.world, desk.later
    grant = desk.signed_grant(key, 0, deadline)
    mirror = kit.mirrored(grant)
    assert int.from_bytes(mirror[32:64], "big") > kit.HALF_ORDER
    by_sig = world.consents.grantBySig(
        key.address, desk.agreement, 0, deadline, mirror, *NO_ADMISSION
    )
    assert world.refused(by_sig, world.h1) == ("Refused", desk.id(key), 1)
    # ERC-2098 has no room for s with its top bit; between half the order and 2^255 lies nothing
    # that a signer makes, but an attacker may write it.
    message = (desk.id(key), 0, deadline, mirror[:32], (kit.HALF_ORDER + 1).to_bytes(32, "big"))
    receipt = world.send(desk.batch([message]), world.h1)
    assert desk.skipped(receipt) == {desk.id(key): "BadSignature"}


def test_a_failed_recovery_is_not_the_key_zero(desk: Desk) -> None:
    id_ = kit.consent_id(NOBODY, desk.agreement)
    message = (id_, 0, desk.later, ZERO, ZERO)
    receipt = desk.world.send(desk.batch([message]), desk.world.h1)
    assert desk.skipped(receipt) == {id_: "BadSignature"}
    revocation = (NOBODY, desk.agreement, 0, desk.later, ZERO, ZERO)
    receipt = desk.world.send(desk.world.consents.revokeBatch([revocation]), desk.world.relayer)
    assert desk.skipped(receipt) == {id_: "BadSignature"}


@pytest.mark.parametrize("wrong", ["chain", "contract"])
def test_a_signature_for_another_domain_is_none(desk: Desk, wrong: str) -> None:
    key, right = kit.patient(0), desk.signer
    others = {
        "chain": Signer(right.contract, right.chain + 1),
        "contract": kit.signer_of(desk.world, "escrow"),
    }
    desk.signer = others[wrong]
    receipt = desk.grant(key)
    assert desk.skipped(receipt) == {desk.id(key): "BadSignature"}
    desk.signer = right
    desk.grant(key)
    desk.signer = others[wrong]
    assert desk.skipped(desk.revoke(key)) == {desk.id(key): "BadSignature"}
    assert desk.active(key)


def test_a_signature_for_other_terms_is_none(world: World) -> None:
    study = kit.open_study(world)
    cheap, dear = desk_of(world, study, price=100), desk_of(world, study, price=200)
    key = kit.patient(0)
    _, nonce, deadline, r, vs = cheap.message(key)
    receipt = world.send(dear.batch([(dear.id(key), nonce, deadline, r, vs)]), world.h1)
    assert dear.skipped(receipt) == {dear.id(key): "BadSignature"}


@pytest.mark.parametrize("field", ["id", "nonce", "deadline", "r", "vs"])
def test_one_changed_bit_makes_a_message_invalid(desk: Desk, field: str) -> None:
    fields = dict(
        zip(("id", "nonce", "deadline", "r", "vs"), desk.message(kit.patient(0)), strict=True)
    )
    value = fields[field]
    if isinstance(value, bytes):
        fields[field] = value[:-1] + bytes([value[-1] ^ 1])
    else:
        fields[field] = value + 1
    receipt = desk.world.send(desk.batch([tuple(fields.values())]), desk.world.h1)
    assert desk.skipped(receipt) == {fields["id"]: "BadSignature"}


# --- admission


def test_a_relayer_brings_the_hospitals_admission(world: World) -> None:
    hospital = kit.patient(1000)
    desk = _desk_of_account(world, hospital)
    keys = patients(3)
    ids = [desk.id(key) for key in keys]
    messages = [desk.message(key) for key in keys]
    call = desk.batch(messages, desk.admission(ids, hospital))
    assert desk.granted(world.send(call, world.relayer)) == ids


def _desk_of_account(world: World, hospital: LocalAccount) -> Desk:
    """A desk of a hospital that has a key of its own, to sign with."""
    world.send(world.participants.admit(hospital.address, 1, ZERO), world.operator)
    return desk_of(world, kit.open_study(world), hospital.address)


def test_without_the_hospitals_admission_nobody_grants(world: World) -> None:
    hospital, stranger = kit.patient(1000), kit.patient(1001)
    desk = _desk_of_account(world, hospital)
    first, second = patients(2)
    messages = [desk.message(first), desk.message(second)]
    ids = [desk.id(first), desk.id(second)]
    good = desk.admission(ids, hospital)
    later = (good[0] + 1, good[1])
    past = desk.admission(ids, hospital, world.now - 1)
    refused = {
        "none": NO_ADMISSION,
        "a stranger's": desk.admission(ids, stranger),
        "for other ids": desk.admission(ids[:1], hospital),
        "in another order": desk.admission(ids[::-1], hospital),
        "with another deadline": later,
        "past its deadline": past,
        "mirrored": (good[0], kit.mirrored(good[1])),
        "cut short": (good[0], good[1][:-2]),
    }
    for name, admission in refused.items():
        call = desk.batch(messages, admission)
        answer = world.refused(call, world.relayer)
        assert answer == ("NotAdmitted", desk.agreement), name
    for sender in (world.operator, world.center, world.h2, world.auditor):
        call = desk.batch(messages)
        assert world.refused(call, sender) == ("NotAdmitted", desk.agreement)
    world.send(desk.batch(messages, good), world.relayer)


def test_an_admission_for_another_tier_is_none(world: World) -> None:
    hospital = kit.patient(1000)
    desk = _desk_of_account(world, hospital)
    other = desk_of(world, desk.study, hospital.address)
    key = kit.patient(0)
    admission = other.admission([desk.id(key)], hospital)
    call = desk.batch([desk.message(key)], admission)
    assert world.refused(call, world.relayer) == ("NotAdmitted", desk.agreement)


def test_a_hospital_that_is_a_wallet_admits_by_its_owners_signature(world: World) -> None:
    owner = kit.patient(1000)
    wallet = world.deploy("DevelopmentWallet", owner.address).address
    world.send(world.participants.admit(wallet, 1, ZERO), world.operator)
    desk = desk_of(world, kit.open_study(world), wallet)
    key = kit.patient(0)
    message, ids = desk.message(key), [desk.id(key)]
    stranger = desk.batch([message], desk.admission(ids, kit.patient(1001)))
    assert world.refused(stranger, world.relayer) == ("NotAdmitted", desk.agreement)
    world.send(desk.batch([message], desk.admission(ids, owner)), world.relayer)
    assert desk.active(key)


@pytest.mark.parametrize("mode", [FLOOD, BURN, REVERT, SHORT])
def test_a_hostile_hospital_costs_little_and_admits_nobody(world: World, mode: int) -> None:
    wallet = world.deploy("HostileWallet", mode).address
    world.send(world.participants.admit(wallet, 1, ZERO), world.operator)
    desk = desk_of(world, kit.open_study(world), wallet)
    key = kit.patient(0)
    call = desk.batch([desk.message(key)], (desk.later, b"\x01" * 65))
    assert world.refused(call, world.relayer) == ("NotAdmitted", desk.agreement)
    assert kit.gas_of_refused(world, call, world.relayer) < 400_000


# --- one message


def test_one_grant_by_signature_of_either_length(desk: Desk) -> None:
    world = desk.world
    for number, length in ((0, 65), (1, 64)):
        key, deadline = kit.patient(number), desk.later
        signature = desk.signed_grant(key, 0, deadline)
        if length == 64:
            signature = b"".join(kit.compact(signature))
        call = world.consents.grantBySig(
            key.address, desk.agreement, 0, deadline, signature, *NO_ADMISSION
        )
        assert world.logs(world.send(call, world.h1)) == [
            ("Granted", desk.agreement, world.h1, [desk.id(key)]),
            ("Reserved", desk.study, 100),
        ]
    assert desk.admitted() == 2


def test_one_grant_is_refused_for_what_a_batch_skips(world: World) -> None:
    desk = desk_of(world, kit.open_study(world), maxCount=1)
    first, second = patients(2)

    def single(key: LocalAccount, nonce: int = 0, deadline: int | None = None) -> tuple[Any, ...]:
        at = deadline or desk.later
        call = world.consents.grantBySig(
            *(key.address, desk.agreement, nonce, at),
            *(desk.signed_grant(key, nonce, at), *NO_ADMISSION),
        )
        name, _, skip = world.refused(call, world.h1)
        return name, SKIPS[skip]

    assert single(first, deadline=world.now - 1) == ("Refused", "Expired")
    assert single(first, nonce=1) == ("Refused", "PreviousNotRevoked")
    desk.grant(first)
    assert single(first) == ("Refused", "AlreadyUsed")
    assert single(second) == ("Refused", "TierFull")
    deadline = desk.later
    forged = world.consents.grantBySig(
        *(second.address, desk.agreement, 0, deadline),
        *(desk.signed_grant(first, 0, deadline), *NO_ADMISSION),
    )
    assert world.refused(forged, world.h1) == ("Refused", desk.id(second), 1)
    assert world.refused(forged, world.relayer) == ("NotAdmitted", desk.agreement)
    world.send(world.agreements.closeTier(desk.agreement), world.center)
    assert single(second) == ("Refused", "TierClosed")


def test_one_grant_through_a_relayer_with_the_hospitals_admission(world: World) -> None:
    hospital, key = kit.patient(1000), kit.patient(0)
    desk = _desk_of_account(world, hospital)
    deadline = desk.later
    call = world.consents.grantBySig(
        *(key.address, desk.agreement, 0, deadline, desk.signed_grant(key, 0, deadline)),
        *desk.admission([desk.id(key)], hospital),
    )
    world.send(call, world.relayer)
    assert desk.active(key)


def test_a_key_that_is_a_wallet_grants_and_withdraws(desk: Desk) -> None:
    world, owner, deadline = desk.world, kit.patient(0), desk.later
    wallet = world.deploy("DevelopmentWallet", owner.address).address
    id_ = kit.consent_id(wallet, desk.agreement)
    grant = desk.signer.sign(owner, "Grant", desk.grant_fields(wallet, 0, deadline))
    call = world.consents.grantBySig(wallet, desk.agreement, 0, deadline, grant, *NO_ADMISSION)
    world.send(call, world.h1)
    assert world.consents.isActive(id_, world.block).call()
    # A batch only recovers keys.
    r, vs = kit.compact(grant)
    receipt = world.send(desk.batch([(id_, 0, deadline, r, vs)]), world.h1)
    assert desk.skipped(receipt) == {id_: "BadSignature"}
    fields = {"id": id_, "deadline": deadline}
    for signer, refusal in ((kit.patient(1), ("Refused", id_, 1)), (owner, None)):
        signature = desk.signer.sign(signer, "Revoke", fields)
        call = world.consents.revokeBySig(wallet, desk.agreement, 0, deadline, signature)
        if refusal:
            assert world.refused(call, world.relayer) == refusal
        else:
            world.send(call, world.relayer)
    assert not world.consents.isActive(id_, world.block).call()


@pytest.mark.parametrize("mode", [FLOOD, BURN, REVERT, SHORT])
def test_a_hostile_wallet_neither_grants_nor_starves_its_caller(desk: Desk, mode: int) -> None:
    world = desk.world
    wallet = world.deploy("HostileWallet", mode).address
    id_ = kit.consent_id(wallet, desk.agreement)
    grant = world.consents.grantBySig(
        wallet, desk.agreement, 0, desk.later, b"\x01" * 65, *NO_ADMISSION
    )
    revoke = world.consents.revokeBySig(wallet, desk.agreement, 0, desk.later, b"\x01" * 65)
    for call in (grant, revoke):
        assert world.refused(call, world.h1) == ("Refused", id_, 1)
        assert kit.gas_of_refused(world, call, world.h1) < 400_000


# --- withdrawing


def test_the_key_itself_withdraws(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    desk.grant(key)
    world.rpc("anvil_impersonateAccount", key.address)
    world.rpc("anvil_setBalance", key.address, hex(10**20))
    revoke = world.consents.revoke(desk.agreement, 0)
    receipt = world.send(revoke, key.address)
    assert world.logs(receipt) == [
        ("Revoked", desk.agreement, world.h1, desk.id(key), PATIENT),
    ]
    assert not desk.active(key)
    assert world.refused(revoke, key.address) == ("Refused", desk.id(key), 3)
    unknown = world.consents.revoke(99, 0)
    assert world.refused(unknown, key.address) == ("UnknownAgreement", 99)


def test_a_granted_consent_ends_with_the_block_before_its_withdrawal(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    desk.grant(key)
    granted = world.block
    world.mine(3)
    receipt = desk.revoke(key)
    revoked = world.block
    assert world.logs(receipt) == [
        ("Revoked", desk.agreement, world.h1, desk.id(key), PATIENT),
    ]
    assert desk.consent(key) == (granted, revoked, desk.agreement, PATIENT, True, False, False)
    states = {block: desk.active(key, block=block) for block in range(granted - 1, revoked + 2)}
    assert [block for block, active in states.items() if active] == list(range(granted, revoked))


def test_granted_and_revoked_in_one_block_is_never_active(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    grant = desk.batch([desk.message(key)])
    revoke = world.consents.revokeBatch([desk.revocation(key)])
    receipts = world.send_together([(grant, world.h1), (revoke, world.h2)])
    assert receipts[0]["blockNumber"] == receipts[1]["blockNumber"]
    assert desk.consent(key)[:2] == (world.block, world.block)
    assert not any(desk.active(key, block=world.block + offset) for offset in (-1, 0, 1))


def test_withdrawing_releases_no_reserved_price(desk: Desk) -> None:
    key = kit.patient(0)
    desk.grant(key)
    desk.revoke(key)
    assert (desk.admitted(), desk.reserved()) == (1, 100)


def test_a_batch_of_withdrawals_skips_and_harms_no_neighbour(world: World) -> None:
    study = kit.open_study(world)
    here, there = desk_of(world, study), desk_of(world, study, world.h2)
    first, second, gone, bad, late = patients(5)
    here.grant(first, gone, bad, late)
    world.send(there.batch([there.message(second)]), world.h2)
    here.revoke(gone)
    forged = (bad.address, *here.revocation(first)[1:])
    unknown = (first.address, 99, *here.revocation(first)[2:])
    messages = [
        here.revocation(first),
        here.revocation(gone),
        forged,
        here.revocation(late, deadline=world.now - 1),
        unknown,
        there.revocation(second),
        here.revocation(kit.patient(9), nonce=1),
    ]
    receipt = world.send(world.consents.revokeBatch(messages), world.relayer)
    skipped = [
        (*log[1:3], SKIPS[log[3]]) for log in world.logs(receipt) if log[0] == "RevokeSkipped"
    ]
    assert skipped == [
        (here.agreement, here.id(gone), "AlreadyUsed"),
        (here.agreement, here.id(bad), "BadSignature"),
        (here.agreement, here.id(late), "Expired"),
        (99, kit.consent_id(first.address, 99), "UnknownAgreement"),
        (here.agreement, here.id(kit.patient(9), 1), "PreviousNotRevoked"),
    ]
    revoked = [log[1:4] for log in world.logs(receipt) if log[0] == "Revoked"]
    assert revoked == [
        (here.agreement, world.h1, here.id(first)),
        (there.agreement, world.h2, there.id(second)),
    ]
    assert here.active(bad)
    assert here.active(late)


def test_one_withdrawal_by_signature(desk: Desk) -> None:
    world, key, deadline = desk.world, kit.patient(0), desk.later
    desk.grant(key)

    def by_sig(signature: bytes, until: int = deadline) -> Any:
        return world.consents.revokeBySig(key.address, desk.agreement, 0, until, signature)

    past = world.now - 1
    late = by_sig(desk.signed_revoke(key, 0, past), past)
    assert world.refused(late, world.relayer) == ("Refused", desk.id(key), 2)
    stranger = desk.signer.sign(
        kit.patient(1), "Revoke", {"id": desk.id(key), "deadline": deadline}
    )
    mirrored = kit.mirrored(desk.signed_revoke(key, 0, deadline))
    for signature in (stranger, mirrored, b"", b"\0" * 65):
        refusal = world.refused(by_sig(signature), world.relayer)
        assert refusal == ("Refused", desk.id(key), 1)
    world.send(by_sig(desk.signed_revoke(key, 0, deadline)), world.relayer)
    again = by_sig(desk.signed_revoke(key, 0, deadline))
    assert world.refused(again, world.relayer) == ("Refused", desk.id(key), 3)


def test_the_hospital_withdraws_for_its_patients_and_says_why(desk: Desk) -> None:
    world = desk.world
    paper, lost, died, gone = patients(4)
    desk.grant(paper, lost, died, gone)
    desk.revoke(gone)
    reasons = {paper: PAPER, lost: KEY_LOST, died: DIED, gone: PAPER}
    call = world.consents.revokeByHospital(
        [(key.address, desk.agreement, 0, reason) for key, reason in reasons.items()]
    )
    receipt = world.send(call, world.h1)
    assert world.logs(receipt) == [
        *(
            ("Revoked", desk.agreement, world.h1, desk.id(key), reasons[key])
            for key in (paper, lost, died)
        ),
        ("RevokeSkipped", desk.agreement, desk.id(gone), SKIPS.index("AlreadyUsed")),
    ]
    assert desk.consent(died)[3] == DIED
    assert desk.consent(gone)[3] == PATIENT


def test_nobody_but_the_tiers_hospital_withdraws_for_a_patient(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    desk.grant(key)

    def call(reason: int = PAPER, agreement: int | None = None) -> Any:
        given = desk.agreement if agreement is None else agreement
        return world.consents.revokeByHospital([(key.address, given, 0, reason)])

    for sender in (world.operator, world.center, world.h2, world.auditor, world.stranger):
        assert world.refused(call(), sender) == ("NotTheHospital", sender.lower())
    assert world.refused(call(agreement=99), world.h1) == ("NotTheHospital", world.h1.lower())
    for reason in (0, PATIENT):
        assert world.refused(call(reason), world.h1) == ("BadReason",)
    assert desk.active(key)


def test_no_key_withdraws_anothers_consent(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    desk.grant(key)
    for name in ("operator", "center", "h1", "h2", "auditor", "stranger"):
        world.send(world.consents.revoke(desk.agreement, 0), world.accounts[name])
    assert desk.active(key)


def test_withdrawing_needs_no_role_no_running_study_and_no_money(desk: Desk) -> None:
    world, keys = desk.world, patients(4)
    desk.grant(*keys)
    for account in (world.h1, world.center):
        world.send(world.participants.dismiss(account), world.operator)
    refund_at = world.studies.terms(desk.study).call()[11]
    world.at(refund_at + 1)
    world.send(world.escrow.refund(desk.study), world.center)
    desk.revoke(keys[0])
    deadline = desk.later
    by_sig = world.consents.revokeBySig(
        *(keys[1].address, desk.agreement, 0, deadline, desk.signed_revoke(keys[1], 0, deadline))
    )
    world.send(by_sig, world.relayer)
    by_hospital = world.consents.revokeByHospital([(keys[2].address, desk.agreement, 0, PAPER)])
    world.send(by_hospital, world.h1)
    assert [desk.active(key) for key in keys] == [False, False, False, True]


# --- burning, and one after another


def test_a_grant_held_back_gains_nothing_after_the_id_was_burned(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    held = desk.message(key)
    receipt = desk.revoke(key)
    assert world.logs(receipt) == [
        ("Revoked", desk.agreement, world.h1, desk.id(key), PATIENT),
    ]
    assert desk.consent(key) == (0, world.block, desk.agreement, PATIENT, False, False, False)
    receipt = world.send(desk.batch([held]), world.h1)
    assert desk.skipped(receipt) == {desk.id(key): "AlreadyUsed"}
    assert (desk.admitted(), desk.reserved()) == (0, 0)
    assert not desk.active(key)


def test_after_withdrawing_a_person_grants_again_and_is_counted_once(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    for nonce in range(3):
        assert desk.skipped(desk.grant(key, nonce=nonce)) == {}
        assert desk.active(key, nonce)
        ahead = desk.grant(key, nonce=nonce + 1)
        assert desk.skipped(ahead) == {desk.id(key, nonce + 1): "PreviousNotRevoked"}
        desk.revoke(key, nonce=nonce)
    assert (desk.admitted(), desk.reserved()) == (1, 100)
    assert [desk.consent(key, nonce)[4] for nonce in range(3)] == [True, False, False]
    assert world.agreements.admittedTo(desk.study, world.h1).call() == 1


def test_a_person_whose_first_id_was_burned_is_counted_with_the_second(desk: Desk) -> None:
    key = kit.patient(0)
    desk.revoke(key)
    assert desk.skipped(desk.grant(key, nonce=1)) == {}
    assert desk.active(key, 1)
    assert desk.consent(key)[4] is True
    assert (desk.admitted(), desk.reserved()) == (1, 100)
    desk.revoke(key, nonce=1)
    desk.grant(key, nonce=2)
    assert (desk.admitted(), desk.reserved()) == (1, 100)


def test_a_full_tier_takes_back_who_was_admitted_and_no_burned_stranger(world: World) -> None:
    desk = desk_of(world, kit.open_study(world), maxCount=1)
    inside, outside = patients(2)
    desk.grant(inside)
    desk.revoke(inside, outside)
    receipt = desk.grant(outside, inside, nonce=1)
    assert desk.skipped(receipt) == {desk.id(outside, 1): "TierFull"}
    assert desk.granted(receipt) == [desk.id(inside, 1)]
    assert desk.consent(outside)[4] is False


def test_nobody_burns_ahead_to_hold_two_consents_at_once(desk: Desk) -> None:
    """Else one admitted person would stand in a cohort as often as it likes."""
    world, key = desk.world, kit.patient(0)
    desk.grant(key)
    assert desk.skipped(desk.revoke(key, nonce=1)) == {desk.id(key, 1): "PreviousNotRevoked"}
    by_hospital = world.consents.revokeByHospital([(key.address, desk.agreement, 1, PAPER)])
    receipt = world.send(by_hospital, world.h1)
    assert desk.skipped(receipt) == {desk.id(key, 1): "PreviousNotRevoked"}
    direct = world.consents.revoke(desk.agreement, 5)
    id_ = kit.consent_id(world.stranger, desk.agreement, 5)
    assert world.refused(direct, world.stranger) == ("Refused", id_, 4)
    receipt = desk.grant(key, nonce=2)
    assert desk.skipped(receipt) == {desk.id(key, 2): "PreviousNotRevoked"}
    messages = [desk.revocation(key, nonce) for nonce in range(3)]
    world.send(world.consents.revokeBatch(messages), world.relayer)
    assert desk.skipped(desk.grant(key, nonce=3)) == {}


def test_a_batch_can_withdraw_and_the_next_grant_in_one_block(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    desk.grant(key)
    revoke = world.consents.revokeBatch([desk.revocation(key)])
    grant = desk.batch([desk.message(key, nonce=1)])
    world.send_together([(revoke, world.h2), (grant, world.h1)])
    assert not desk.active(key)
    assert desk.active(key, 1)


# --- paying, and reading


def test_only_the_escrow_marks_people_as_paid(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    desk.grant(key)
    calls = [
        world.consents.pay(desk.id(key), key.address, 0, world.block),
        world.consents.pay(desk.id(key), world.stranger, 0, world.block),
        world.consents.markBonusPaid(key.address, desk.agreement),
    ]
    for call in calls:
        for sender in (world.operator, world.center, world.h1, world.stranger):
            assert world.refused(call, sender) == ("OnlyEscrow",)


def test_the_escrow_marks_a_person_once_whatever_the_nonce(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    escrow = world.contracts["escrow"].address
    world.rpc("anvil_impersonateAccount", escrow)
    world.rpc("anvil_setBalance", escrow, hex(10**20))

    def paid(nonce: int) -> Any:
        return world.consents.pay(desk.id(key, nonce), key.address, nonce, world.block)

    bonus = world.consents.markBonusPaid(key.address, desk.agreement)

    def marks(nonce: int = 0) -> tuple[bool, bool]:
        payment, second = (call.call({"from": escrow}) for call in (paid(nonce), bonus))
        return bool(payment[-1]), bool(second)

    assert marks() == (False, False)
    desk.revoke(key)
    assert marks() == (False, False)
    desk.grant(key, nonce=1)
    assert marks() == marks(nonce=1) == (True, True)
    assert marks(nonce=2) == (False, True)
    world.send(paid(1), escrow)
    assert marks() == marks(nonce=1) == (False, True)
    world.send(bonus, escrow)
    assert marks() == (False, False)
    assert desk.consent(key)[4:] == (True, True, True)
    desk.revoke(key, nonce=1)
    desk.grant(key, nonce=2)
    assert marks() == marks(nonce=2) == (False, False)


def test_a_payment_tells_the_escrow_of_consent_tier_and_key(desk: Desk) -> None:
    world, key = desk.world, kit.patient(0)
    escrow = world.contracts["escrow"].address
    desk.grant(key)
    tier = world.agreements.tier(desk.agreement).call()
    (study, hospital, price, until) = (tier[0], tier[1], tier[3], tier[5])
    found = (desk.agreement, price, hospital, study, min(until, 2**40 - 1), True)

    def pay(owner: str, nonce: int, block: int) -> Any:
        call = world.consents.pay(desk.id(key), owner, nonce, block)
        return tuple(call.call({"from": escrow}))

    assert pay(key.address, 0, world.block) == (*found, True, True, True)
    assert pay(key.address, 0, world.block - 1) == (*found, False, True, True)
    assert pay(key.address, 1, world.block) == (*found, True, False, False)
    assert pay(world.stranger, 0, world.block) == (*found, True, False, False)
    nobody = world.consents.pay(ZERO, key.address, 0, world.block).call({"from": escrow})
    assert tuple(nobody) == (0, 0, NOBODY, 0, 0, False, False, False, False)


def test_activity_of_many_ids_is_one_bit_each(desk: Desk) -> None:
    world, keys = desk.world, patients(300)
    desk.grant(*keys[::3])
    block = world.block
    desk.revoke(*keys[::6])
    ids = [desk.id(key) for key in keys]

    def bits(at: int) -> set[int]:
        words = world.consents.activeAt(ids, at).call()
        assert len(words) == 2
        return {256 * w + b for w, word in enumerate(words) for b in range(256) if word >> b & 1}

    assert bits(block) == set(range(0, 300, 3))
    assert bits(block - 1) == set()
    assert bits(world.block) == set(range(3, 300, 6))
    assert world.consents.activeAt([], block).call() == []


# --- whatever happens


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_a_person_is_counted_once_and_active_once(world: World, seed: int) -> None:
    chance = random.Random(seed)
    desk = desk_of(world, kit.open_study(world, maxPatients=4), maxCount=5)
    keys, nonces = patients(6), range(4)
    for _ in range(12):
        picked = [(chance.choice(keys), chance.choice(nonces)) for _ in range(8)]
        if chance.random() < 0.5:
            world.send(desk.batch([desk.message(*pair) for pair in picked]), world.h1)
        else:
            messages = [desk.revocation(*pair) for pair in picked]
            world.send(world.consents.revokeBatch(messages), world.relayer)
        reserved = [desk.consent(key)[4] for key in keys]
        assert desk.admitted() == sum(reserved) <= 4
        assert desk.reserved() == 100 * sum(reserved)
        ids = [desk.id(key, nonce) for key in keys for nonce in nonces]
        (word,) = world.consents.activeAt(ids, world.block).call()
        active = [(word >> 4 * place & 0b1111).bit_count() for place in range(len(keys))]
        assert all(held <= one for held, one in zip(active, reserved, strict=True))
    assert desk.admitted() > 0
