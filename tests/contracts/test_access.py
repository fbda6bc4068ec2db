"""Who may call what: every function that changes state, from every role; new ones included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from eth_utils.crypto import keccak

from chain import artifacts
from tests.contracts import kit, settlement
from tests.contracts.kit import NOBODY, ZERO, World
from tests.contracts.settlement import Study

pytestmark = pytest.mark.engine("anvil")

DEVELOPMENT = {"DevelopmentToken", "DevelopmentWallet", "HostileToken", "HostileWallet"}
CONTRACTS = sorted(set(artifacts.names()) - DEVELOPMENT)
PEOPLE = ("operator", "center", "h1", "h2", "auditor", "auditor2", "relayer", "stranger")
MACHINES = tuple(name.lower() for name in CONTRACTS)
ROLES = PEOPLE + MACHINES


@dataclass(frozen=True)
class Rule:
    """Only these roles get past the errors named; arguments are what a sound caller would give."""

    errors: tuple[str, ...]
    allowed: tuple[str, ...]


def only(*allowed: str, errors: str) -> Rule:
    return Rule(tuple(errors.split()), allowed)


# What no role is refused for being who it is: what these do is bound to leaves, proofs and
# signatures, goes to whom it is due, or concerns the caller alone.
ANYONE = Rule((), ROLES)
CENTER = only("center", errors="NotTheCenter")
# Hospital h1 is enrolled; h2 holds the role, and was not invited.
ENROLLED = only("h1", errors="NotEnrolled NotInRound")
PARTICIPANT = only("center", "h1", "h2", "auditor", "auditor2", errors="NotAParticipant")
ADMIN = only("operator", errors="AccessManagerUnauthorizedAccount")

RULES: dict[str, Rule] = {
    "AccessManager.cancel": ANYONE,  # of an operation that nobody scheduled
    "AccessManager.consumeScheduledOp": ANYONE,
    "AccessManager.execute": only("operator", errors="AccessManagerUnauthorizedCall"),
    "AccessManager.grantRole": ADMIN,
    "AccessManager.labelRole": ADMIN,
    "AccessManager.multicall": ANYONE,  # as oneself
    "AccessManager.renounceRole": ANYONE,
    "AccessManager.revokeRole": ADMIN,
    # Nobody: the operator of this deployment has no delay, so nothing to schedule.
    "AccessManager.schedule": only(errors="AccessManagerUnauthorizedCall"),
    "AccessManager.setGrantDelay": ADMIN,
    "AccessManager.setRoleAdmin": ADMIN,
    "AccessManager.setRoleGuardian": ADMIN,
    "AccessManager.setTargetAdminDelay": ADMIN,
    "AccessManager.setTargetClosed": ADMIN,
    "AccessManager.setTargetFunctionRole": ADMIN,
    "AccessManager.updateAuthority": ADMIN,
    "Agreements.admit": only("consents", errors="OnlyConsents"),
    "Agreements.cancelCounterOffer": ANYONE,
    "Agreements.closeTier": CENTER,
    "Agreements.openTier": CENTER,
    "Attestations.attest": only("auditor", "auditor2", errors="NotAnAuditor"),
    "Challenges.answer": ANYONE,
    "Challenges.challengeLeaf": ANYONE,
    "Challenges.challengeOrder": ANYONE,
    "Challenges.challengeSplitIndex": ANYONE,
    "Challenges.demand": ANYONE,
    "Challenges.expire": ANYONE,
    "Challenges.restore": only("auditor", errors="NotAnAuditor"),
    "Consents.amend": only("h1", errors="NotTheHospital"),
    "Consents.grantBatch": only("h1", errors="NotAdmitted"),
    "Consents.grantBySig": only("h1", errors="NotAdmitted"),
    "Consents.markBonusPaid": only("escrow", errors="OnlyEscrow"),
    "Consents.pay": only("escrow", errors="OnlyEscrow"),
    "Consents.revoke": ANYONE,  # one's own
    "Consents.revokeBatch": ANYONE,
    "Consents.revokeByHospital": only("h1", errors="NotTheHospital"),
    "Consents.revokeBySig": ANYONE,
    "Consents.supersede": ANYONE,
    "Escrow.claim": ANYONE,
    "Escrow.claimBonus": ANYONE,
    "Escrow.claimBySig": ANYONE,
    "Escrow.claimHospital": ANYONE,
    "Escrow.claimHospitalByRoot": ANYONE,
    "Escrow.fund": ANYONE,
    "Escrow.openAccount": only("studies", errors="OnlyStudies"),
    "Escrow.payDeposit": only("challenges", errors="OnlyChallenges"),
    "Escrow.postBond": only("studies", errors="OnlyStudies"),
    "Escrow.postRewardRoot": CENTER,
    "Escrow.refund": ANYONE,
    "Escrow.rejectRewardRoot": only("auditor", errors="NotAnAuditor"),
    "Escrow.reserve": only("consents", errors="OnlyConsents"),
    "Escrow.returnBond": ANYONE,
    "Escrow.takeBond": only("rounds", errors="OnlyRounds"),
    "Escrow.takeDeposit": only("challenges", errors="OnlyChallenges"),
    "Escrow.withdrawDeposit": ANYONE,
    "Participants.admit": only("operator", errors="AccessManagedUnauthorized"),
    "Participants.describe": PARTICIPANT,
    "Participants.dismiss": only("operator", errors="AccessManagedUnauthorized"),
    "Participants.setAuthority": only("accessmanager", errors="AccessManagedUnauthorized"),
    "Participants.revokeKeys": PARTICIPANT,
    "Participants.setKeys": PARTICIPANT,
    "Rounds.abort": CENTER,
    "Rounds.closeSubmit": ANYONE,
    "Rounds.finalize": CENTER,
    "Rounds.freeze": ENROLLED,
    "Rounds.lapse": ANYONE,
    "Rounds.open": CENTER,
    "Rounds.openDrawn": CENTER,
    "Rounds.restoreWeight": only("challenges", errors="OnlyChallenges"),
    "Rounds.submit": ENROLLED,
    "Rounds.unmask": ENROLLED,
    "Rounds.voidUpdate": only("challenges", errors="OnlyChallenges"),
    "Studies.enrol": only("h1", errors="WrongRole NotInvited"),
    "Studies.invite": CENTER,
    "Studies.open": only("center", errors="WrongRole"),
    "Studies.quit": only("h1", errors="NotEnrolled"),
}
ACCESS_ERRORS = {error for rule in RULES.values() for error in rule.errors}


def mutators() -> set[str]:
    """Every function of the deployed contracts that may change state."""
    return {
        f"{contract}.{entry['name']}"
        for contract in CONTRACTS
        for entry in artifacts.load(contract).abi
        if entry["type"] == "function" and entry["stateMutability"] in ("nonpayable", "payable")
    }


@pytest.fixture
def study(world: World) -> Study:
    """A study whose first round is open, with h1 enrolled and `auditor` named."""
    study = settlement.found(
        world, hospitals=1, auditors=[world.auditor], rule=1, minHospitals=1, auditorQuorum=1
    )
    study.tier(0)
    study.open()
    return study


def test_the_table_names_every_function_that_changes_state_and_no_other() -> None:
    assert set(RULES) == mutators()


def test_every_role_is_refused_where_the_table_says_so_and_nowhere_else(
    world: World, study: Study
) -> None:
    wrong = []
    for name, rule in sorted(RULES.items()):
        call = call_of(world, study, name)
        for role in ROLES:
            found = outcome(world, call, address_of(world, role))
            refused = found in (rule.errors or ACCESS_ERRORS)
            if refused == (role in rule.allowed):
                wrong.append((name, role, found))
    assert not wrong


def outcome(world: World, call: Any, sender: str) -> str:
    """The error's name with which a call would be refused; empty where it would take effect."""
    tx = {"from": sender, "to": call.address, "data": call._encode_transaction_data()}
    try:
        world.rpc("eth_call", {**tx, "gas": hex(16_777_216)}, "pending")
    except kit.Reverted as refusal:
        return refusal.name
    return ""


def address_of(world: World, role: str) -> str:
    return world.contracts[role].address if role in MACHINES else world.accounts[role]


def call_of(world: World, study: Study, name: str) -> Any:
    """The call with the arguments of a sound caller, or with zeros where nobody is refused."""
    contract, function = name.split(".")
    given = sound_arguments(world, study).get(name)
    bound = getattr(world, contract.lower())
    entries = [
        entry
        for entry in artifacts.load(contract).abi
        if entry["type"] == "function" and entry["name"] == function
    ]
    assert len(entries) == 1, f"{name} is overloaded: the table needs its signature"
    arguments = given or [zero_of(world, study, item) for item in entries[0]["inputs"]]
    return getattr(bound, function)(*arguments)


def sound_arguments(world: World, study: Study) -> dict[str, list[Any]]:
    number = study.number
    agreement = int(world.agreements.count().call())
    participants = world.contracts["participants"].address
    call = world.participants.admit(world.stranger, 1, ZERO)._encode_transaction_data()
    freeze = study.cohort(1, 0, [settlement.Consent(kit.patient(1), agreement)]).freeze
    tier = [number, world.h1, ZERO, 1, 1, world.now + 5_000, 1, 0]
    return {
        "AccessManager.execute": [participants, call],
        "AccessManager.schedule": [participants, call, 0],
        "AccessManager.grantRole": [5, world.stranger, 0],
        "AccessManager.labelRole": [5, "label"],
        "AccessManager.renounceRole": [5, NOBODY],
        "AccessManager.setTargetFunctionRole": [participants, [b"\1\2\3\4"], 5],
        "Agreements.admit": [agreement, 1],
        "Agreements.closeTier": [agreement],
        "Agreements.openTier": tier,
        "Attestations.attest": [number, 0, 1, 1, ZERO],
        "Consents.amend": [(world.stranger, agreement, 0, 3), keccak(text="record")],
        "Consents.grantBatch": [agreement, [], 0, b""],
        "Consents.grantBySig": [world.stranger, agreement, 0, 0, b"", 0, b""],
        "Consents.revokeByHospital": [[(world.stranger, agreement, 0, 2)]],
        "Escrow.openAccount": [number, world.center, study.terms.token, 0, 0],
        "Escrow.postRewardRoot": [number, keccak(text="root"), 1],
        "Participants.admit": [world.stranger, 1, ZERO],
        "Participants.dismiss": [world.h2],
        "Participants.setAuthority": [world.contracts["accessmanager"].address],
        "Participants.setKeys": [keccak(text="signing"), keccak(text="encryption")],
        "Rounds.freeze": [freeze],
        "Studies.enrol": [number, study.terms.spec],
        "Studies.invite": [number, world.h2],
        "Studies.open": list(kit.open_call(world).arguments),
    }


def zero_of(world: World, study: Study, parameter: Any) -> Any:
    """A value of the parameter's type: the study and its first round where they are asked for."""
    kind, name = parameter["type"], parameter["name"]
    if kind == "tuple":
        return tuple(zero_of(world, study, part) for part in parameter["components"])
    if kind.endswith("[]"):
        return []
    if kind == "address":
        return world.h1
    if kind.startswith("bytes"):
        return b"" if kind == "bytes" else bytes(int(kind[5:]))
    if kind == "bool":
        return False
    if name == "study":
        return study.number
    return 1 if name in ("round", "number") else 0
