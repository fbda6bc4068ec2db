"""Random walks over the contracts: at every step the escrow can pay all that it owes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contracts import settlement
from tests.contracts.kit import World
from tests.contracts.settlement import Cohort, Consent, Study, Tree, reward_leaf

pytestmark = pytest.mark.engine("anvil")

STEPS = 450
HOSPITALS = 4
SETUP_S = 1_000  # what founding the studies may take on a busy machine, in blocks or seconds
TIMES = {"endBy": 1_800, "settleBy": 1_900, "challengeEnd": 2_200, "claimEnd": 3_200}
PERIODS = {"freezePeriod": 250, "submitPeriod": 250, "finalizePeriod": 250, "answerPeriod": 60}

Move = tuple[Any, str]
Action = Callable[["Part"], Move | None]


@dataclass
class Part:
    """One study of the walk, what happened in it, and what its events say it holds."""

    study: Study
    consents: list[list[Consent]]
    cohorts: list[Cohort] = field(default_factory=list)
    demands: list[tuple[Cohort, int]] = field(default_factory=list)
    tree: Tree | None = None
    paid: Counter[bytes] = field(default_factory=Counter)
    revoked: list[Consent] = field(default_factory=list)
    bonds: int = 0
    deposits: int = 0

    def heard(self, log: tuple[Any, ...]) -> None:
        """Keeps the books of bonds and deposits from events alone."""
        match log[0]:
            case "PatientPaid":
                self.paid[log[3]] += 1
            case "BondReturned" | "BondTaken":
                self.bonds -= log[3]
            case "DepositTaken":
                self.deposits += log[3]
            case "DepositWithdrawn":
                self.deposits -= log[3]


class Walk:
    """Chooses calls at random, and checks the money after each."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chosen = random.Random(seed)
        self.done: Counter[str] = Counter()
        start = world.now + SETUP_S
        times = {name: start + after for name, after in TIMES.items()}
        times["refundAt"] = start + 3_900
        auditors = [world.auditor, world.auditor2]
        self.parts = []
        for rule in (0, 1):
            study = settlement.found(
                world, HOSPITALS, auditors, rule=rule, maxRounds=30, **times, **PERIODS
            )
            study.patients = 10_000 * rule
            consents = [study.grant(hospital, 6) for hospital in range(HOSPITALS)]
            self.parts.append(Part(study, consents, bonds=HOSPITALS * study.terms.bond))
        world.at(start)  # from here on a seed gives one walk, however fast the machine is
        world.mine()

    def step(self) -> None:
        """One call by somebody, which succeeds or is refused by name."""
        running = self.world.now < self.parts[0].study.terms.endBy
        wait = self.chosen.randint(1, 10 if running else 30)
        self.world.at(self.world.now + wait)
        part = self.chosen.choice(self.parts)
        any_time = self.chosen.random() < 0.25
        actions = self.always() if any_time else self.early() if running else self.late()
        action = self.chosen.choice(actions)
        found = action(part)
        if found is None or not self.attempt(action.__name__, part, *found):
            self.world.mine()  # time goes on
        self.check()

    def attempt(self, name: str, part: Part, call: Any, sender: str) -> bool:
        """Sends the call where it is not refused; a panic is no refusal."""
        tx = {"from": sender, "to": call.address, "data": call._encode_transaction_data()}
        try:
            self.world.rpc("eth_call", {**tx, "gas": hex(16_777_216)}, "pending")
        except settlement.kit.Reverted as refusal:
            if refusal.name == "Unknown":
                raise
            return False
        receipt = self.world.send(call, sender)
        self.done[name] += 1
        for log in self.world.logs(receipt):
            part.heard(log)
        return True

    def always(self) -> list[Action]:
        """What somebody may try at any time, allowed or not."""
        return [
            *[self.fund, self.revoke, self.open_round, self.freeze, self.submit, self.finalize],
            *[self.abort, self.lapse, self.challenge, self.demand, self.answer, self.expire],
            *[self.withdraw, self.claim, self.bonus, self.post_root, self.reject_root],
            *[self.claim_hospital, self.claim_by_root, self.return_bond, self.refund],
        ]

    def early(self) -> list[Action]:
        """What moves a study on."""
        round_ = [*[self.open_round, self.finalize] * 2, *[self.freeze, self.submit] * 5]
        return [*round_, self.claim, self.demand, *[self.answer] * 2, self.challenge]

    def late(self) -> list[Action]:
        """What settles it."""
        patients = [*[self.claim] * 6, *[self.bonus] * 5]
        hospitals = [*[self.claim_hospital] * 4, *[self.claim_by_root] * 2, self.return_bond]
        return [*patients, *hospitals, self.demand, self.expire, self.challenge, self.refund]

    # ------------------------------------------------------------ money in and consents

    def fund(self, part: Part) -> Move:
        amount = self.chosen.randint(1, 500)
        return self.world.escrow.fund(part.study.number, amount), self.world.auditor

    def revoke(self, part: Part) -> Move:
        hospital = self.hospital()
        consent = self.chosen.choice(part.consents[hospital][:3])
        part.revoked.append(consent)
        withdrawal = (consent.key.address, consent.agreement, consent.nonce, 2)
        call = self.world.consents.revokeByHospital([withdrawal])
        return call, part.study.hospitals[hospital]

    # ------------------------------------------------------------ rounds

    def open_round(self, part: Part) -> Move:
        call = self.world.rounds.open(part.study.number, 0, settlement.STATE)
        return call, self.world.center

    def freeze(self, part: Part) -> Move | None:
        number = self.last(part)
        if not number:
            return None
        round_ = part.study.round(number)
        hospital = self.one_of(round_.enrolled & ~round_.frozen)
        careless = self.chosen.random() < 0.05
        known = [c for c in part.consents[hospital] if careless or c not in part.revoked]
        chosen = self.chosen.sample(known, self.chosen.randint(2, len(known)))
        fields = {"n": 1, "weight": 1} if self.chosen.random() < 0.05 else {}
        cohort = part.study.cohort(number, hospital, chosen, **fields)
        part.cohorts.append(cohort)
        return self.world.rounds.freeze(cohort.freeze), part.study.hospitals[hospital]

    def submit(self, part: Part) -> Move | None:
        number = self.last(part)
        if not number:
            return None
        round_ = part.study.round(number)
        hospital = self.one_of(round_.frozen & ~round_.submitted)
        return part.study.submission(number), part.study.hospitals[hospital]

    def finalize(self, part: Part) -> Move | None:
        number = self.last(part)
        if not number:
            return None
        round_ = part.study.round(number)
        included = round_.submitted & ~round_.voided
        return part.study.finalization(number, included), self.world.center

    def leave_out(self, part: Part) -> Move | None:
        """As `finalize`, by a center that leaves out one of those who submitted."""
        number = self.last(part)
        if not number:
            return None
        round_ = part.study.round(number)
        standing = round_.submitted & ~round_.voided
        included = standing & ~(1 << self.one_of(standing))
        return part.study.finalization(number, included), self.world.center

    def abort(self, part: Part) -> Move | None:
        number = self.last(part)
        call = self.world.rounds.abort(part.study.number, number)
        return (call, self.world.center) if self.chosen.random() < 0.2 else None

    def lapse(self, part: Part) -> Move:
        call = self.world.rounds.lapse(part.study.number, self.last(part))
        return call, self.world.stranger

    # ------------------------------------------------------------ challenges

    def challenge(self, part: Part) -> Move | None:
        cohort = self.cohort(part)
        if cohort is None:
            return None
        evidence = cohort.evidence(self.chosen.randrange(len(cohort.leaves)))
        return self.world.challenges.challengeLeaf(*evidence), self.world.stranger

    def demand(self, part: Part) -> Move | None:
        cohort = self.cohort(part)
        if cohort is None:
            return None
        leaf = self.chosen.randrange(len(cohort.leaves))
        part.demands.append((cohort, leaf))
        sender = self.chosen.choice([self.world.auditor, self.world.h3, self.world.h3])
        return self.world.challenges.demand(cohort.freeze, leaf), sender

    def answer(self, part: Part) -> Move | None:
        if not part.demands:
            return None
        cohort, leaf = self.chosen.choice(part.demands)
        return self.world.challenges.answer(*cohort.evidence(leaf)), self.world.relayer

    def expire(self, part: Part) -> Move | None:
        if not part.demands or self.chosen.random() < 0.5:
            return None
        cohort, leaf = self.chosen.choice(part.demands)
        return self.world.challenges.expire(cohort.freeze, leaf), self.world.relayer

    def restore(self, part: Part) -> Move | None:
        rounds = self.last(part)
        if not rounds:
            return None
        number = self.chosen.randint(1, rounds)
        index = self.one_of(self.world.rounds.restorable(part.study.number, number).call())
        sender = self.chosen.choice([self.world.auditor, self.world.auditor2])
        return self.world.challenges.restore(part.study.number, number, index), sender

    def withdraw(self, part: Part) -> Move:
        account = self.chosen.choice(part.study.hospitals)
        return self.world.escrow.withdrawDeposit(part.study.number, account), account

    # ------------------------------------------------------------ claims

    def claim(self, part: Part) -> Move | None:
        cohort = self.cohort(part)
        if cohort is None:
            return None
        position = self.chosen.randrange(len(cohort.leaves))
        return part.study.claim_call(cohort, position, self.world.stranger), self.world.relayer

    def bonus(self, part: Part) -> Move:
        consent = self.chosen.choice(self.chosen.choice(part.consents))
        return part.study.bonus_call(consent, self.world.stranger), self.world.relayer

    def post_root(self, part: Part) -> Move:
        amounts = [150_000, 0, 200_000]
        number = part.study.number
        leaves = [reward_leaf(number, i, amount) for i, amount in enumerate(amounts)]
        part.tree = Tree.over(leaves)
        total = self.chosen.choice([350_000, 350_000, 349_999, 500_001])
        return self.world.escrow.postRewardRoot(number, part.tree.root, total), self.world.center

    def reject_root(self, part: Part) -> Move | None:
        if self.chosen.random() < 0.8:
            return None
        sender = self.chosen.choice([self.world.auditor, self.world.auditor2])
        return self.world.escrow.rejectRewardRoot(part.study.number), sender

    def claim_hospital(self, part: Part) -> Move:
        call = self.world.escrow.claimHospital(part.study.number, self.hospital())
        return call, self.world.stranger

    def claim_by_root(self, part: Part) -> Move | None:
        if part.tree is None:
            return None
        index = self.chosen.choice([0, 2])
        amount, proof = [150_000, 0, 200_000][index], part.tree.proof(index)
        call = self.world.escrow.claimHospitalByRoot(part.study.number, index, amount, proof)
        return call, self.world.stranger

    def return_bond(self, part: Part) -> Move:
        hospital = self.chosen.choice(part.study.hospitals)
        return self.world.escrow.returnBond(part.study.number, hospital), self.world.stranger

    def refund(self, part: Part) -> Move:
        return self.world.escrow.refund(part.study.number), self.world.stranger

    # ------------------------------------------------------------ choices

    def hospital(self) -> int:
        return self.chosen.randrange(HOSPITALS)

    def one_of(self, mask: int) -> int:
        """A hospital of the set; any where it is empty."""
        members = [i for i in range(HOSPITALS) if mask >> i & 1]
        return self.chosen.choice(members or list(range(HOSPITALS)))

    def last(self, part: Part) -> int:
        return int(self.world.rounds.count(part.study.number).call())

    def cohort(self, part: Part) -> Cohort | None:
        return self.chosen.choice(part.cohorts) if part.cohorts else None

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        assert self.held() == sum(self.owed(part) for part in self.parts), "to the unit"

    def held(self) -> int:
        return self.parts[0].study.balance(self.world.contracts["escrow"].address)

    def owed(self, part: Part) -> int:
        """All that could still be claimed from one study, after checking each bound of it."""
        account = part.study.account
        claimed = account.paidPatients + account.paidHospitals
        assert claimed + account.refunded <= account.funded
        assert account.paidPatients <= account.reserved
        assert account.paidHospitals <= account.setAside
        assert account.potPaid <= account.pot
        assert not part.paid or max(part.paid.values()) == 1, "nobody is paid twice"
        assert sum(part.paid.values()) == account.patients
        rest = account.funded - claimed - account.refunded
        return int(rest + account.pot - account.potPaid + part.bonds + part.deposits)

    # ------------------------------------------------------------ the end

    def settle(self) -> None:
        """Everybody takes what is theirs; what stays is what no patient claimed of the pots."""
        self.world.at(max(self.world.now + 1, self.parts[0].study.terms.refundAt))
        for part in self.parts:
            for cohort, leaf in part.demands:
                call = self.world.challenges.expire(cohort.freeze, leaf)
                self.attempt("expire", part, call, self.world.stranger)
            for hospital in part.study.hospitals:
                number = part.study.number
                bond = self.world.escrow.returnBond(number, hospital)
                self.attempt("return_bond", part, bond, self.world.stranger)
                deposit = self.world.escrow.withdrawDeposit(number, hospital)
                self.attempt("withdraw", part, deposit, self.world.stranger)
            self.attempt("refund", part, *self.refund(part))
            self.check()
        pots = [part.study.account for part in self.parts]
        assert self.held() == sum(account.pot - account.potPaid for account in pots)


PATH = {"open_round", "freeze", "submit", "claim", "refund", "return_bond"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_escrow_can_always_pay_what_it_owes(world: World, seed: int) -> None:
    walk = Walk(world, seed)
    for _ in range(STEPS):
        walk.step()
    walk.settle()
    assert walk.done.keys() >= PATH, "the walk went through a whole study"
    assert walk.done.keys() & {"claim_hospital", "claim_by_root"}
