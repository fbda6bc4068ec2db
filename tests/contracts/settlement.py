"""A study with hospitals, patients and cohorts: what tests of rounds and money share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from tests.contracts import kit
from tests.contracts.kit import World

STATE = keccak(text="state")
MANIFEST = keccak(text="manifest")
COMMITMENT = keccak(text="commitment")
FOREVER = 2**64 - 1
DEFAULTS = {
    "minHospitals": 2,
    "freezePeriod": 1_000,
    "submitPeriod": 1_000,
    "finalizePeriod": 1_000,
}
MASKED = {"masked": True, "unmaskPeriod": 1_000, "minHospitals": 3, "threshold": 3}


class Ground(IntEnum):
    """What a challenge proves, as `IChallenges.Ground`."""

    NONE = 0
    OUT_OF_RANGE = 1
    INACTIVE = 2
    EXPIRES = 3
    WRONG_HOSPITAL = 4
    WRONG_STUDY = 5
    WRONG_PURPOSE = 6
    SPLIT_INDEX = 7
    ORDER = 8
    NO_ANSWER = 9


@dataclass(frozen=True)
class Consent:
    """One granted consent and the key behind it."""

    key: LocalAccount
    agreement: int
    nonce: int = 0

    @property
    def id(self) -> bytes:
        return kit.consent_id(self.key.address, self.agreement, self.nonce)


@dataclass(frozen=True)
class Leaf:
    """(index, consent id, salted record digest), hashed twice."""

    index: int
    id: bytes
    record: bytes

    @property
    def hash(self) -> bytes:
        return keccak(
            keccak(encode(["uint256", "bytes32", "bytes32"], [self.index, self.id, self.record]))
        )

    @property
    def abi(self) -> tuple[int, bytes, bytes]:
        return (self.index, self.id, self.record)


@dataclass(frozen=True)
class Tree:
    """A Merkle tree of sorted pairs; a node without a sibling moves up as it is."""

    levels: tuple[tuple[bytes, ...], ...]

    @classmethod
    def over(cls, hashes: Sequence[bytes]) -> Tree:
        levels = [tuple(hashes)]
        while len(levels[-1]) > 1:
            below = levels[-1]
            pairs = [below[i : i + 2] for i in range(0, len(below), 2)]
            levels.append(tuple(keccak(b"".join(sorted(p))) if p[1:] else p[0] for p in pairs))
        return cls(tuple(levels))

    @property
    def root(self) -> bytes:
        return self.levels[-1][0]

    def proof(self, position: int) -> list[bytes]:
        found = []
        for level in self.levels[:-1]:
            if position ^ 1 < len(level):
                found.append(level[position ^ 1])
            position //= 2
        return found


@dataclass(frozen=True)
class Cohort:
    """A hospital's commitment, with the leaves behind it."""

    freeze: tuple[Any, ...]
    leaves: tuple[Leaf, ...]
    tree: Tree
    consents: tuple[Consent, ...]

    def proof(self, leaf: Leaf) -> list[bytes]:
        return self.tree.proof(self.leaves.index(leaf))

    def evidence(self, *positions: int) -> list[Any]:
        """Arguments of a challenge: the freeze, then leaf and proof of each position."""
        found: list[Any] = [self.freeze]
        for position in positions:
            found += [self.leaves[position].abi, self.tree.proof(position)]
        return found

    def consent_of(self, leaf: Leaf) -> Consent:
        return next(consent for consent in self.consents if consent.id == leaf.id)


@dataclass
class Study:
    """A study on the chain and what the tests do to it."""

    world: World
    number: int
    hospitals: list[str]
    terms: Any
    patients: int = field(default=0)

    # ------------------------------------------------------------ consents

    def tier(self, hospital: int, **changes: Any) -> int:
        account = self.hospitals[hospital]
        return kit.open_tier(self.world, self.number, account, **{"notAfter": FOREVER} | changes)

    def grant(self, hospital: int, people: int, agreement: int = 0, **tier: Any) -> list[Consent]:
        """Consents of new patients, admitted by the hospital under one tier."""
        agreement = agreement or self.tier(hospital, **tier)
        consents = []
        for _ in range(people):
            self.patients += 1
            consents.append(Consent(kit.patient(self.patients, agreement), agreement))
        self.admit(hospital, consents)
        return consents

    def admit(self, hospital: int, consents: Sequence[Consent]) -> None:
        messages = [grant_message(self.world, consent) for consent in consents]
        call = self.world.consents.grantBatch(consents[0].agreement, messages, 0, b"")
        receipt = self.world.send(call, self.hospitals[hospital])
        granted = [log for log in self.world.logs(receipt) if log[0] == "Granted"]
        assert sum(len(log[3]) for log in granted) == len(consents), self.world.logs(receipt)

    def revoke(self, consent: Consent) -> None:
        withdrawal = (consent.key.address, consent.agreement, consent.nonce, 2)
        tier = self.world.agreements.tier(consent.agreement).call()
        self.world.send(self.world.consents.revokeByHospital([withdrawal]), tier[1])

    # ------------------------------------------------------------ rounds

    def open(self, parent: int = 0, state: bytes = STATE) -> int:
        self.world.send(self.world.rounds.open(self.number, parent, state), self.world.center)
        return int(self.world.rounds.count(self.number).call())

    def cohort(
        self,
        number: int,
        hospital: int,
        consents: Sequence[Consent],
        leaves: Iterable[Leaf] = (),
        **fields: Any,
    ) -> Cohort:
        """A commitment to these consents at the latest block, with the fields given changed."""
        ordered = sorted(consents, key=lambda consent: consent.id)
        made = tuple(leaves) or tuple(
            Leaf(i, consent.id, keccak(consent.id)) for i, consent in enumerate(ordered)
        )
        tree = Tree.over([leaf.hash for leaf in made])
        block = self.world.w3.eth.get_block("latest")
        values = {
            "study": self.number,
            "round": number,
            "hospital": hospital,
            "snapshot": block["number"],
            "snapshotHash": bytes(block["hash"]),
            "root": tree.root,
            "n": len(made),
            "weight": len(made),
            "leafList": keccak(b"".join(leaf.hash for leaf in made)),
            "roundKeys": keccak(text="round keys") if self.terms.masked else kit.ZERO,
        }
        assert fields.keys() <= values.keys()
        return Cohort(tuple((values | fields).values()), made, tree, tuple(ordered))

    def freeze(self, cohort: Cohort) -> Any:
        sender = self.hospitals[cohort.freeze[2]]
        return self.world.send(self.world.rounds.freeze(cohort.freeze), sender)

    def frozen(self, number: int, hospital: int, consents: Sequence[Consent], **kw: Any) -> Cohort:
        """Builds and sends the commitment."""
        cohort = self.cohort(number, hospital, consents, **kw)
        self.freeze(cohort)
        return cohort

    def submission(self, number: int, salt: str = "") -> Any:
        manifest, commitment = keccak(text=f"manifest{salt}"), keccak(text=f"commitment{salt}")
        return self.world.rounds.submit(self.number, number, manifest, commitment)

    def submit(self, number: int, hospital: int) -> Any:
        call = self.submission(number, str(hospital))
        return self.world.send(call, self.hospitals[hospital])

    def finalization(self, number: int, included: int, state: bytes = STATE) -> Any:
        return self.world.rounds.finalize(self.number, number, included, state, MANIFEST)

    def finalize(self, number: int, included: int, state: bytes = STATE) -> Any:
        return self.world.send(self.finalization(number, included, state), self.world.center)

    def round(self, number: int) -> Any:
        return read(self.world.rounds.round(self.number, number))

    def run_round(self, cohorts: Sequence[Sequence[Consent]], **kw: Any) -> list[Cohort]:
        """One round, finalized, with hospital i freezing the i-th list of consents."""
        number = self.open()
        frozen = [self.frozen(number, i, consents, **kw) for i, consents in enumerate(cohorts)]
        for i in range(len(cohorts)):
            self.submit(number, i)
        if self.round(number).frozen != self.round(number).enrolled:
            self.pass_phase(number, "freezeBy")
        self.finalize(number, (1 << len(cohorts)) - 1)
        return frozen

    # ------------------------------------------------------------ time and money

    def pass_deadline(self, name: str) -> None:
        """One second past a deadline of the study's terms."""
        self.world.at(getattr(self.terms, name) + 1)
        self.world.mine()

    def pass_phase(self, number: int, name: str) -> None:
        """One second past a deadline of the round."""
        self.world.at(getattr(self.round(number), name) + 1)
        self.world.mine()

    def claim_message(self, consent: Consent, recipient: str, deadline: int = FOREVER) -> bytes:
        digest = self.world.escrow.hashClaim(consent.id, recipient, deadline).call()
        return signature(consent.key, digest)

    def claim_call(
        self, cohort: Cohort, position: int, recipient: str, consent: Consent | None = None
    ) -> Any:
        leaf = cohort.leaves[position]
        owner = consent or cohort.consent_of(leaf)
        signed = signature(
            owner.key, self.world.escrow.hashClaim(leaf.id, recipient, FOREVER).call()
        )
        claimant = (owner.key.address, owner.nonce)
        evidence = cohort.evidence(position)
        return self.world.escrow.claimBySig(*evidence, claimant, recipient, FOREVER, signed)

    def claim(self, cohort: Cohort, position: int, recipient: str) -> Any:
        return self.world.send(self.claim_call(cohort, position, recipient), self.world.relayer)

    def bonus_call(self, consent: Consent, recipient: str) -> Any:
        first = replace(consent, nonce=0)
        digest = self.world.escrow.hashClaimBonus(first.id, recipient, FOREVER).call()
        signed = signature(consent.key, digest)
        return self.world.escrow.claimBonus(
            consent.key.address, consent.agreement, recipient, FOREVER, signed
        )

    @property
    def account(self) -> Any:
        return read(self.world.escrow.account(self.number))

    def balance(self, account: str) -> int:
        return int(self.token.balanceOf(account).call())

    @property
    def token(self) -> Any:
        abi = self.world.contracts["developmenttoken"].abi
        return self.world.w3.eth.contract(address=self.terms.token, abi=abi).functions


def found(
    world: World,
    hospitals: int = 3,
    auditors: Sequence[str] = (),
    funding: int = kit.FUNDING,
    **changes: Any,
) -> Study:
    """A study with enrolled hospitals; by default 2 of 3 submissions make a round."""
    number = kit.open_study(world, auditors, funding, **DEFAULTS | changes)
    study = Study(world, number, [], read(world.studies.terms(number)))
    for name in ("h1", "h2", "h3", "h4")[:hospitals]:
        enrol(study, fourth_hospital(world) if name == "h4" else world.accounts[name])
    return study


def fourth_hospital(world: World) -> str:
    """One hospital more than the kit has, with tokens for its bonds."""
    account = new_hospital(world, 3)
    world.send(world.developmenttoken.mint(account, 10_000), world.operator)
    escrow = world.contracts["escrow"].address
    world.send(world.developmenttoken.approve(escrow, 2**256 - 1), account)
    return account


def new_hospital(world: World, number: int) -> str:
    """An account with the role, which the node sends for; the same for the same number."""
    account = own_account(world, kit.patient(4_000_000 + number))
    if world.participants.roleOf(account).call() == 0:
        world.send(world.participants.admit(account, 1, keccak(text=account)), world.operator)
    return account


def enrol(study: Study, hospital: str) -> None:
    world = study.world
    world.send(world.studies.invite(study.number, hospital), world.center)
    world.send(world.studies.enrol(study.number, study.terms.spec), hospital)
    study.hospitals.append(hospital)


def grant_message(world: World, consent: Consent, deadline: int = FOREVER) -> tuple[Any, ...]:
    digest = world.consents.hashGrant(consent.id, consent.agreement, consent.nonce, deadline).call()
    r, vs = kit.compact(signature(consent.key, digest))
    return (consent.id, consent.nonce, deadline, r, vs)


def reward_leaf(study: int, index: int, amount: int) -> bytes:
    """A hospital's share under a reward root, hashed twice."""
    return keccak(keccak(encode(["uint256"] * 3, [study, index, amount])))


def bound(digest: bytes, hospital: str) -> bytes:
    """What is stored of a freeze: bound to its sender, without the lowest two bits."""
    whole = keccak(encode(["bytes32", "address"], [digest, hospital]))
    return whole[:-1] + bytes([whole[-1] & 0b11111100])


def signature(key: LocalAccount, digest: bytes) -> bytes:
    return bytes(key.unsafe_sign_hash(digest).signature)


def read(call: Any) -> Any:
    """The struct that a view returns, by its fields' names."""
    (output,) = call.abi["outputs"]
    names = [component["name"] for component in output["components"]]
    return SimpleNamespace(**dict(zip(names, call.call(), strict=True)))


def own_account(world: World, key: LocalAccount) -> str:
    """Lets the node send for a patient's key, as a patient with coins could."""
    world.rpc("anvil_impersonateAccount", key.address)
    world.rpc("anvil_setBalance", key.address, hex(10**18))
    return str(key.address)


def gas_of(receipt: Any) -> int:
    return int(receipt["gasUsed"])
