"""The study's money: funding, patients' claims, the pot, bonds, refunds, and hostile tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from tests.contracts import kit, settlement
from tests.contracts.kit import FUNDING, HALF, NOBODY, World
from tests.contracts.settlement import FOREVER, Cohort, Ground, Study

pytestmark = pytest.mark.engine("anvil")

PRICE = 100
HONEST, FEE, FALSE, NOTHING, CALLBACK = range(5)


@pytest.fixture
def study(world: World) -> Study:
    return settlement.found(world)


@pytest.fixture
def cohorts(study: Study) -> list[Cohort]:
    """Three hospitals with three patients each, in one finalized round."""
    return study.run_round([study.grant(hospital, 3) for hospital in range(3)])


def changed(before: Any, after: Any) -> dict[str, Any]:
    """Fields of an account that differ."""
    return {name: value for name, value in vars(after).items() if value != vars(before)[name]}


def void(study: Study, cohort: Cohort) -> None:
    """Voids by a last leaf whose index is not below n."""
    call = study.world.challenges.challengeLeaf(*cohort.evidence(len(cohort.leaves) - 1))
    study.world.send(call, study.world.stranger)


# -------------------------------------------------------------------- funding


def test_opening_a_study_moves_its_money_and_sets_the_hospitals_share_aside(
    world: World,
) -> None:
    before = world.developmenttoken.balanceOf(world.center).call()
    study = settlement.found(world, hospitals=0)
    assert world.developmenttoken.balanceOf(world.center).call() == before - FUNDING
    account = study.account
    assert (account.token, account.center) == (study.terms.token, world.center)
    assert (account.funded, account.setAside, account.reserved) == (FUNDING, HALF, 0)
    assert world.escrow.unreserved(study.number).call() == FUNDING - HALF


def test_no_account_opens_with_more_set_aside_than_there_is(study: Study) -> None:
    """Studies refuses such terms; the escrow does not rely on it."""
    world, studies = study.world, study.world.contracts["studies"].address
    call = world.escrow.openAccount(study.number, world.center, study.terms.token, 2, 1)
    assert world.refused(call, studies) == ("NoMoney", study.number, 2, 1)


def test_anyone_adds_money_until_the_study_ends(study: Study) -> None:
    world = study.world
    receipt = world.send(world.escrow.fund(study.number, 7), world.auditor)
    assert ("Funded", study.number, world.auditor, 7) in world.logs(receipt)
    assert study.account.funded == FUNDING + 7
    nothing = world.escrow.fund(study.number, 0)
    assert world.refused(nothing, world.auditor) == ("NothingToPay",)
    unknown = world.escrow.fund(99, 7)
    assert world.refused(unknown, world.auditor) == ("UnknownStudy", 99)
    world.at(study.terms.endBy)
    world.mine()
    late = world.escrow.fund(study.number, 7)
    assert world.refused(late, world.auditor) == ("TooLate", study.terms.endBy)


def test_a_grant_reserves_its_price_and_revoking_releases_nothing(study: Study) -> None:
    consents = study.grant(0, 3)
    assert study.account.reserved == 3 * PRICE
    study.revoke(consents[0])
    assert study.account.reserved == 3 * PRICE
    free = study.world.escrow.unreserved(study.number).call()
    assert free == FUNDING - HALF - 3 * PRICE


def test_no_more_is_reserved_than_is_free(study: Study) -> None:
    world = study.world
    consents = world.contracts["consents"].address
    world.rpc("anvil_impersonateAccount", consents)
    free = FUNDING - HALF
    refusal = ("NoMoney", study.number, free + 1, free)
    assert world.refused(world.escrow.reserve(study.number, free + 1), consents) == refusal
    assert world.escrow.reserve(study.number, free).call({"from": consents}) == []


def test_each_contract_does_its_own_part_alone(study: Study) -> None:
    world = study.world
    token, number = study.terms.token, study.number
    calls = {
        "OnlyStudies": [
            world.escrow.openAccount(9, world.center, token, 0, 0),
            world.escrow.postBond(number, world.h1, 1),
        ],
        "OnlyRounds": [world.escrow.takeBond(number, world.h1)],
        "OnlyConsents": [world.escrow.reserve(number, 1)],
    }
    for refusal, refused in calls.items():
        for call in refused:
            for sender in (world.center, world.operator, world.contracts["challenges"].address):
                assert world.refused(call, sender) == (refusal,)


# -------------------------------------------------------------------- a patient's claim


def test_a_patient_is_paid_the_tiers_price_by_a_relayed_signature(
    study: Study, cohorts: list[Cohort]
) -> None:
    world = study.world
    before = study.account
    receipt = study.claim(cohorts[1], 2, world.stranger)
    leaf = cohorts[1].leaves[2]
    agreement = cohorts[1].consents[2].agreement
    paid = ("PatientPaid", study.number, agreement, leaf.id, PRICE)
    assert paid in world.logs(receipt)
    assert study.balance(world.stranger) == PRICE
    assert changed(before, study.account) == {"paidPatients": PRICE, "patients": 1}


def test_a_key_with_coins_claims_for_itself(study: Study, cohorts: list[Cohort]) -> None:
    world = study.world
    consent = cohorts[0].consents[0]
    sender = settlement.own_account(world, consent.key)
    call = world.escrow.claim(*cohorts[0].evidence(0), 0, world.stranger)
    assert world.refused(call, world.stranger) == ("WrongKey",)
    world.send(call, sender)
    assert study.balance(world.stranger) == PRICE


def test_every_patient_is_paid_once(study: Study, cohorts: list[Cohort]) -> None:
    world = study.world
    for cohort in cohorts:
        for position in range(3):
            study.claim(cohort, position, world.stranger)
            again = study.claim_call(cohort, position, world.stranger)
            assert world.refused(again, world.relayer) == ("AlreadyPaid",)
    assert study.balance(world.stranger) == 9 * PRICE
    assert study.account.paidPatients == study.account.reserved


def test_nobody_is_paid_for_a_second_round(study: Study, cohorts: list[Cohort]) -> None:
    world = study.world
    consents = [list(cohort.consents) for cohort in cohorts]
    later = study.run_round(consents)
    study.claim(later[0], 0, world.stranger)
    earlier = study.claim_call(cohorts[0], 0, world.stranger)
    assert world.refused(earlier, world.relayer) == ("AlreadyPaid",)


def test_a_later_nonce_of_one_person_is_not_paid_again(study: Study) -> None:
    world = study.world
    consents = [study.grant(hospital, 1) for hospital in range(3)]
    first = study.run_round(consents)
    study.revoke(consents[0][0])
    again = replace(consents[0][0], nonce=1)
    study.admit(0, [again])
    second = study.run_round([[again], consents[1]])
    study.claim(second[0], 0, world.stranger)
    earlier = study.claim_call(first[0], 0, world.stranger)
    assert world.refused(earlier, world.relayer) == ("AlreadyPaid",)
    assert study.account.patients == 1


def test_a_consent_revoked_since_is_paid(study: Study, cohorts: list[Cohort]) -> None:
    study.revoke(cohorts[0].consents[0])
    study.claim(cohorts[0], 0, study.world.stranger)
    assert study.balance(study.world.stranger) == PRICE


def test_a_patient_of_a_hospital_voided_for_another_leaf_is_paid(study: Study) -> None:
    world = study.world
    consents = [study.grant(hospital, 2) for hospital in range(3)]
    cohorts = study.run_round(consents, n=1, weight=1)
    void(study, cohorts[0])
    study.claim(cohorts[0], 0, world.stranger)
    assert study.balance(world.stranger) == PRICE
    faulty = study.claim_call(cohorts[0], 1, world.stranger)
    assert world.refused(faulty, world.relayer) == ("Unsound", Ground.OUT_OF_RANGE)


def test_patients_are_paid_without_a_finalizing_center(study: Study) -> None:
    world = study.world
    consents = [study.grant(hospital, 1) for hospital in range(3)]
    number = study.open()
    cohorts = [study.frozen(number, i, consents[i]) for i in range(3)]
    for hospital in (0, 1):
        study.submit(number, hospital)
    early = study.claim_call(cohorts[0], 0, world.stranger)
    refusal = ("RoundDoesNotPay", study.number, number)
    assert world.refused(early, world.relayer) == refusal
    study.pass_phase(number, "finalizeBy")
    study.claim(cohorts[0], 0, world.stranger)
    silent = study.claim_call(cohorts[2], 0, world.stranger)
    assert world.refused(silent, world.relayer) == refusal, "that hospital did not submit"
    assert study.balance(world.stranger) == PRICE


def test_a_round_below_k_pays_nobody(study: Study) -> None:
    world = study.world
    number = study.open()
    cohort = study.frozen(number, 0, study.grant(0, 1))
    study.submit(number, 0)
    study.pass_phase(number, "finalizeBy")
    call = study.claim_call(cohort, 0, world.stranger)
    assert world.refused(call, world.relayer) == ("RoundDoesNotPay", study.number, number)


def test_a_leaf_that_could_be_challenged_is_not_paid(world: World) -> None:
    study = settlement.found(world)
    number = study.open()
    submit_by = study.round(number).submitBy
    revoked = study.grant(0, 1)
    study.revoke(revoked[0])
    other = settlement.found(world)
    other.patients = 100
    faults = {
        Ground.INACTIVE: revoked,
        Ground.EXPIRES: study.grant(0, 1, notAfter=submit_by - 1),
        Ground.WRONG_HOSPITAL: study.grant(1, 1),
        Ground.WRONG_STUDY: other.grant(0, 1),
        Ground.WRONG_PURPOSE: study.grant(0, 1, purposes=1),
        Ground.NONE: study.grant(0, 1),
    }
    cohort = study.frozen(number, 0, [consent for [consent] in faults.values()])
    honest = study.frozen(number, 1, study.grant(1, 1))
    for hospital in (0, 1):
        study.submit(number, hospital)
    study.pass_phase(number, "finalizeBy")
    for ground, (consent,) in faults.items():
        position = next(i for i, leaf in enumerate(cohort.leaves) if leaf.id == consent.id)
        call = study.claim_call(cohort, position, world.stranger)
        if ground == Ground.NONE:
            world.send(call, world.relayer)
        else:
            assert world.refused(call, world.relayer) == ("Unsound", ground)
    study.claim(honest, 0, world.stranger)
    assert study.balance(world.stranger) == 2 * PRICE


def test_a_claim_shows_the_committed_freeze_and_a_leaf_under_its_root(
    study: Study, cohorts: list[Cohort]
) -> None:
    world = study.world
    other = replace(cohorts[0], tree=cohorts[1].tree)
    call = study.claim_call(other, 0, world.stranger)
    assert world.refused(call, world.relayer) == ("WrongProof",)
    fields = list(cohorts[0].freeze)
    fields[7] -= 1
    altered = replace(cohorts[0], freeze=tuple(fields))
    call = study.claim_call(altered, 0, world.stranger)
    assert world.refused(call, world.relayer) == ("WrongFreeze",)


def test_a_signature_is_good_for_one_id_one_recipient_and_until_its_deadline(
    study: Study, cohorts: list[Cohort]
) -> None:
    world = study.world
    cohort, consent = cohorts[0], cohorts[0].consents[0]
    deadline = world.now + 1_000
    signed = study.claim_message(consent, world.stranger, deadline)

    def call(position: int = 0, **changes: Any) -> Any:
        given = {"key": consent.key.address, "nonce": 0, "recipient": world.stranger}
        given |= {"deadline": deadline, "signed": signed} | changes
        claimant = (given["key"], given["nonce"])
        evidence = cohort.evidence(position)
        return world.escrow.claimBySig(
            *evidence, claimant, given["recipient"], given["deadline"], given["signed"]
        )

    stranger = kit.patient(77)
    foreign = study.claim_message(replace(consent, key=stranger), world.stranger, deadline)
    for wrong in (
        call(recipient=world.relayer),
        call(position=1),
        call(deadline=deadline + 1),
        call(key=cohort.consents[1].key.address),
        call(signed=foreign),
        call(signed=kit.mirrored(signed)),
        call(signed=signed[:63]),
        call(signed=b""),
        call(key=NOBODY, signed=b"\0" * 65),
    ):
        assert world.refused(wrong, world.relayer) == ("BadSignature",)
    own_leaf = settlement.signature(
        stranger,
        world.escrow.hashClaim(consent.id, world.stranger, deadline).call(),
    )
    for wrong in (call(key=stranger.address, signed=own_leaf), call(nonce=1)):
        assert world.refused(wrong, world.relayer) == ("WrongKey",)
    zero = study.claim_message(consent, NOBODY, deadline)
    nowhere = call(recipient=NOBODY, signed=zero)
    assert world.refused(nowhere, world.relayer) == ("NoRecipient",)
    world.at(deadline)
    world.send(call(), world.relayer)
    other = study.claim_message(cohort.consents[1], world.stranger, deadline)
    late = call(position=1, key=cohort.consents[1].key.address, signed=other)
    world.at(deadline + 1)
    world.mine()
    assert world.refused(late, world.relayer) == ("Expired", deadline)


def test_a_compact_signature_is_as_good(study: Study, cohorts: list[Cohort]) -> None:
    world = study.world
    consent = cohorts[0].consents[0]
    signed = b"".join(kit.compact(study.claim_message(consent, world.stranger)))
    claimant = (consent.key.address, 0)
    evidence = cohorts[0].evidence(0)
    call = world.escrow.claimBySig(*evidence, claimant, world.stranger, FOREVER, signed)
    world.send(call, world.relayer)
    assert study.balance(world.stranger) == PRICE


@pytest.mark.parametrize("kind", ["Claim", "ClaimBonus"])
def test_the_digests_are_those_that_wallets_sign(world: World, kind: str) -> None:
    message = {"id": keccak(text="id"), "recipient": world.stranger, "deadline": 12_345}
    domain = {
        "name": "Consilium",
        "version": "1",
        "chainId": world.w3.eth.chain_id,
        "verifyingContract": world.contracts["escrow"].address,
    }
    fields = [("id", "bytes32"), ("recipient", "address"), ("deadline", "uint64")]
    types = {kind: [{"name": name, "type": type_} for name, type_ in fields]}
    encoded = encode_typed_data(domain, types, message)
    digest = keccak(b"\x19" + encoded.version + encoded.header + encoded.body)
    assert world.escrow[f"hash{kind}"](*message.values()).call() == digest


def test_a_wallet_that_is_a_key_claims_by_its_own_judgement(study: Study) -> None:
    world = study.world
    owner = kit.patient(500)
    agreement = study.tier(0)
    wallet = world.deploy("DevelopmentWallet", owner.address).address
    wallet_id = kit.consent_id(wallet, agreement)
    digest = world.consents.hashGrant(wallet_id, agreement, 0, FOREVER).call()
    signed = settlement.signature(owner, digest)
    grant = world.consents.grantBySig(wallet, agreement, 0, FOREVER, signed, 0, b"")
    world.send(grant, world.h1)
    number = study.open()
    leaf = settlement.Leaf(0, wallet_id, keccak(text="record"))
    cohort = study.frozen(number, 0, [], leaves=[leaf])
    study.frozen(number, 1, study.grant(1, 1))
    for hospital in (0, 1):
        study.submit(number, hospital)
    study.pass_phase(number, "finalizeBy")
    digest = world.escrow.hashClaim(wallet_id, world.stranger, FOREVER).call()

    def claim(signed: bytes, key: str) -> Any:
        evidence = cohort.evidence(0)
        return world.escrow.claimBySig(*evidence, (key, 0), world.stranger, FOREVER, signed)

    wrong = claim(settlement.signature(kit.patient(501), digest), wallet)
    assert world.refused(wrong, world.relayer) == ("BadSignature",)
    for mode in range(4):
        hostile = world.deploy("HostileWallet", mode).address
        assert world.refused(claim(b"", hostile), world.relayer) == ("BadSignature",)
    world.send(claim(settlement.signature(owner, digest), wallet), world.relayer)
    assert study.balance(world.stranger) == PRICE


def test_a_tier_for_results_pays_no_tokens(study: Study) -> None:
    world = study.world
    consents = [study.grant(0, 1, price=0, reward=1), study.grant(1, 1)]
    cohorts = study.run_round(consents)
    call = study.claim_call(cohorts[0], 0, world.stranger)
    assert world.refused(call, world.relayer) == ("NothingToPay",)


def test_claims_are_open_until_claim_end(study: Study, cohorts: list[Cohort]) -> None:
    world = study.world
    world.at(study.terms.claimEnd)
    study.claim(cohorts[0], 0, world.stranger)
    assert world.now == study.terms.claimEnd
    study.pass_deadline("claimEnd")
    late = study.claim_call(cohorts[0], 1, world.stranger)
    assert world.refused(late, world.relayer) == ("TooLate", study.terms.claimEnd)


# -------------------------------------------------------------------- the patients' pot


@pytest.fixture
def pot(study: Study) -> list[Cohort]:
    """One of three hospitals is voided; three patients are paid; claims have ended."""
    consents = [study.grant(hospital, 2) for hospital in range(3)]
    cohorts = study.run_round(consents, n=1, weight=1)
    void(study, cohorts[0])
    for cohort in cohorts:
        study.claim(cohort, 0, study.world.relayer)
    study.pass_deadline("claimEnd")
    return cohorts


def test_paid_patients_share_a_voided_hospitals_bond_equally_and_once(
    study: Study, pot: list[Cohort]
) -> None:
    world = study.world
    for cohort in pot:
        consent = cohort.consents[0]
        receipt = world.send(study.bonus_call(consent, world.stranger), world.relayer)
        shown = ("BonusPaid", study.number, consent.agreement, consent.id, 333)
        assert shown in world.logs(receipt)
        again = study.bonus_call(consent, world.stranger)
        assert world.refused(again, world.relayer) == ("AlreadyPaid",)
    assert study.balance(world.stranger) == 999
    assert (study.account.pot, study.account.potPaid) == (1_000, 999)


def test_only_a_paid_patient_has_a_share_of_the_pot(study: Study, pot: list[Cohort]) -> None:
    world = study.world
    unpaid = pot[0].consents[1]
    call = study.bonus_call(unpaid, world.stranger)
    assert world.refused(call, world.relayer) == ("NothingToPay",)
    thief = replace(pot[0].consents[0], key=kit.patient(900))
    call = study.bonus_call(thief, world.stranger)
    assert world.refused(call, world.relayer) == ("NothingToPay",)


def test_a_bonus_needs_the_keys_own_signature_for_that_recipient(
    study: Study, pot: list[Cohort]
) -> None:
    world = study.world
    consent = pot[0].consents[0]
    digest = world.escrow.hashClaimBonus(consent.id, world.stranger, FOREVER).call()
    signed = settlement.signature(consent.key, digest)
    key, agreement = consent.key.address, consent.agreement
    for recipient, given in (
        (world.relayer, signed),
        (world.stranger, kit.mirrored(signed)),
        (world.stranger, study.claim_message(consent, world.stranger)),
    ):
        call = world.escrow.claimBonus(key, agreement, recipient, FOREVER, given)
        assert world.refused(call, world.relayer) == ("BadSignature",)
    past = world.escrow.claimBonus(key, agreement, world.stranger, world.now - 1, signed)
    assert world.refused(past, world.relayer) == ("Expired", world.now - 1)
    nowhere = study.bonus_call(consent, NOBODY)
    assert world.refused(nowhere, world.relayer) == ("NoRecipient",)


def test_the_pot_opens_after_claim_end_and_closes_at_refund(
    study: Study, cohorts: list[Cohort]
) -> None:
    world = study.world
    study.claim(cohorts[0], 0, world.relayer)
    call = study.bonus_call(cohorts[0].consents[0], world.stranger)
    assert world.refused(call, world.relayer) == ("TooEarly", study.terms.claimEnd)
    study.pass_deadline("claimEnd")
    assert world.refused(call, world.relayer) == ("NothingToPay",), "nobody was voided"
    world.at(study.terms.refundAt)
    world.mine()
    assert world.refused(call, world.relayer) == ("TooLate", study.terms.refundAt)


def test_what_is_left_of_the_pot_never_goes_to_the_center(study: Study, pot: list[Cohort]) -> None:
    world = study.world
    world.send(study.bonus_call(pot[0].consents[0], world.stranger), world.relayer)
    study.pass_deadline("refundAt")
    world.send(world.escrow.refund(study.number), world.stranger)
    for hospital in (1, 2):
        bond = world.escrow.returnBond(study.number, study.hospitals[hospital])
        world.send(bond, world.stranger)
    again = world.escrow.refund(study.number)
    assert world.refused(again, world.center) == ("NothingToPay",)
    escrow = world.contracts["escrow"].address
    assert study.balance(escrow) == 1_000 - 333
    assert study.account.refunded == FUNDING - 3 * PRICE


# -------------------------------------------------------------------- bonds and refunds


def test_a_bond_returns_to_an_unvoided_hospital_after_challenge_end(study: Study) -> None:
    world = study.world
    call = world.escrow.returnBond(study.number, world.h1)
    world.at(study.terms.challengeEnd)
    assert world.refused(call, world.h1) == ("TooEarly", study.terms.challengeEnd)
    before = study.balance(world.h1)
    study.pass_deadline("challengeEnd")
    receipt = world.send(call, world.stranger)
    assert ("BondReturned", study.number, world.h1, 1_000) in world.logs(receipt)
    assert study.balance(world.h1) == before + 1_000
    assert world.refused(call, world.h1) == ("NothingToPay",)
    nobody = world.escrow.returnBond(study.number, world.stranger)
    assert world.refused(nobody, world.h1)[0] == "NotEnrolled"


def test_a_voided_hospital_gets_no_bond(study: Study) -> None:
    world = study.world
    cohort = study.frozen(study.open(), 0, study.grant(0, 2), n=1, weight=1)
    void(study, cohort)
    study.pass_deadline("challengeEnd")
    call = world.escrow.returnBond(study.number, world.h1)
    assert world.refused(call, world.h1) == ("VoidedHospital", 0)


def test_unreserved_money_returns_after_the_study_and_the_rest_from_refund_on(
    study: Study, cohorts: list[Cohort]
) -> None:
    world = study.world
    call = world.escrow.refund(study.number)
    assert world.refused(call, world.center) == ("TooEarly", study.terms.endBy)
    study.pass_deadline("endBy")
    before = study.balance(world.center)
    free = FUNDING - HALF - 9 * PRICE
    receipt = world.send(call, world.stranger)
    assert ("Refunded", study.number, world.center, free) in world.logs(receipt)
    assert study.balance(world.center) == before + free
    assert world.refused(call, world.center) == ("NothingToPay",)
    study.claim(cohorts[0], 0, world.stranger)
    study.pass_deadline("challengeEnd")
    world.send(world.escrow.claimHospital(study.number, 0), world.h1)
    study.pass_deadline("claimEnd")
    assert world.refused(call, world.center) == ("NothingToPay",)
    world.at(study.terms.refundAt)
    world.send(call, world.center)
    hospital = study.account.paidHospitals
    assert study.balance(world.center) == before + FUNDING - PRICE - hospital
    assert world.refused(call, world.center) == ("NothingToPay",)
    assert world.escrow.unreserved(study.number).call() == 0


def test_a_refund_touches_neither_bonds_nor_another_study(study: Study) -> None:
    world = study.world
    other = settlement.found(world)
    escrow = world.contracts["escrow"].address
    study.pass_deadline("refundAt")
    world.send(world.escrow.refund(study.number), world.center)
    assert study.balance(escrow) == 3_000 + FUNDING + 3_000
    assert other.account.refunded == 0


# -------------------------------------------------------------------- hostile tokens


@pytest.fixture
def evil(world: World) -> Any:
    """A token that is honest until a test turns it."""
    token = world.deploy("HostileToken")
    escrow = world.contracts["escrow"].address
    for account in (world.center, world.h1, world.h2):
        world.send(token.functions.mint(account, 2 * FUNDING), world.operator)
        world.send(token.functions.approve(escrow, 2**256 - 1), account)
    return token


def turn(world: World, token: Any, mode: int, target: str = NOBODY, data: str = "0x") -> None:
    world.send(token.functions.turn(mode, target, data), world.operator)


REFUSALS = {FEE: "WrongTransfer", FALSE: "SafeERC20FailedOperation", NOTHING: "WrongTransfer"}


@pytest.mark.parametrize("mode", REFUSALS)
def test_a_token_that_moves_another_amount_opens_no_study_and_takes_no_bond(
    world: World, evil: Any, mode: int
) -> None:
    turn(world, evil, mode)
    opening = kit.open_call(world, token=evil.address)
    assert world.refused(opening, world.center)[0] == REFUSALS[mode]
    turn(world, evil, HONEST)
    study = settlement.found(world, hospitals=1, token=evil.address)
    world.send(world.studies.invite(study.number, world.h2), world.center)
    turn(world, evil, mode)
    enrol = world.studies.enrol(study.number, study.terms.spec)
    assert world.refused(enrol, world.h2)[0] == REFUSALS[mode]
    fund = world.escrow.fund(study.number, 5)
    assert world.refused(fund, world.center)[0] == REFUSALS[mode]


@pytest.mark.parametrize("mode", REFUSALS)
def test_a_claim_that_the_token_spoils_is_undone_and_can_be_made_again(
    world: World, evil: Any, mode: int
) -> None:
    study = settlement.found(world, hospitals=2, token=evil.address)
    cohorts = study.run_round([study.grant(hospital, 1) for hospital in (0, 1)])
    study.pass_deadline("challengeEnd")
    calls = [
        study.claim_call(cohorts[0], 0, world.stranger),
        world.escrow.claimHospital(study.number, 0),
        world.escrow.returnBond(study.number, world.h1),
        world.escrow.refund(study.number),
    ]
    before = vars(study.account)
    turn(world, evil, mode)
    for call in calls:
        assert world.refused(call, world.relayer)[0] == REFUSALS[mode]
    assert vars(study.account) == before
    turn(world, evil, HONEST)
    for call in calls:
        world.send(call, world.relayer)
    assert study.balance(world.stranger) == PRICE


def reentries(world: World, study: Study, cohorts: list[Cohort]) -> dict[str, Any]:
    """Calls that a token makes while it moves money."""
    return {
        "claim": study.claim_call(cohorts[0], 0, world.stranger),
        "hospital": world.escrow.claimHospital(study.number, 0),
        "bond": world.escrow.returnBond(study.number, world.h1),
        "refund": world.escrow.refund(study.number),
    }


@pytest.mark.parametrize("name", ["claim", "hospital", "bond", "refund"])
def test_a_token_that_calls_back_while_it_moves_gets_nothing_twice(
    world: World, evil: Any, name: str
) -> None:
    study = settlement.found(world, hospitals=2, token=evil.address)
    cohorts = study.run_round([study.grant(hospital, 1) for hospital in (0, 1)])
    study.pass_deadline("challengeEnd")
    calls = reentries(world, study, cohorts)
    escrow = world.contracts["escrow"].address
    for inner in calls.values():
        state = world.rpc("evm_snapshot")
        turn(world, evil, CALLBACK, escrow, inner._encode_transaction_data())
        world.send(calls[name], world.relayer)
        assert not evil.functions.callbackSucceeded().call()
        guard = keccak(text="ReentrancyGuardReentrantCall()")[:4]
        assert evil.functions.callbackResult().call() == guard
        world.rpc("evm_revert", state)


def test_a_hostile_token_harms_no_study_in_another_token(
    world: World, evil: Any, study: Study, cohorts: list[Cohort]
) -> None:
    hostile = settlement.found(world, hospitals=2, token=evil.address)
    turn(world, evil, FALSE)
    study.claim(cohorts[0], 0, world.stranger)
    assert study.balance(world.stranger) == PRICE
    assert hostile.account.funded == FUNDING


def test_the_escrow_pays_nobody_by_paying_itself(study: Study, cohorts: list[Cohort]) -> None:
    world = study.world
    call = study.claim_call(cohorts[0], 0, world.contracts["escrow"].address)
    assert world.refused(call, world.relayer) == ("WrongTransfer", PRICE, 0)
