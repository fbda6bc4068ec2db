"""Money, consents and rounds as hypothesis plays with them, on an EVM written in Python.

What is asserted never restates the contracts: sums that must agree, and pasts that must not change.
`make prove` plays more games than `make test`: MACHINE_GAMES, MACHINE_STEPS.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.chain.py_evm import PyEvm
from tests.contracts import kit, settlement
from tests.contracts.kit import World, connected, deploy_world
from tests.contracts.settlement import Consent
from tests.contracts.test_money_invariant import HOSPITALS, Walk

GAMES, STEPS = (int(os.environ.get(f"MACHINE_{x}", n)) for x, n in (("GAMES", 1), ("STEPS", 5)))
FOURTH = 4_000_003  # the patient's number whose key the fourth hospital has
MONEY = ("fund", "claim", "bonus", "claim_hospital", "refund", "return_bond", "withdraw", "demand")
ROUNDS = (
    *("open_round", "freeze", "submit", "finalize", "leave_out", "abort", "lapse"),
    *("challenge", "answer", "restore"),
)
ENDS = ("endBy", "settleBy", "challengeEnd", "claimEnd")
MASKS = ("frozen", "submitted", "voided", "restored")
TOLD = ("state", "included", "inputs", "manifest")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def founded() -> Iterator[Walk]:
    """Two studies with their patients' consents; nothing else has happened."""
    with PyEvm(is_sealing=False, keys=[bytes(kit.patient(FOURTH).key)]) as evm:
        yield Walk(deploy_world(connected(evm.url)), 1)


class Game(RuleBasedStateMachine):
    """Anybody tries anything at any time; each game begins with the founded studies."""

    founded: Walk

    def __init__(self) -> None:
        super().__init__()
        self.world: World = self.founded.world
        self.before = self.world.rpc("evm_snapshot")
        self.walk = copy.copy(self.founded)
        self.walk.parts = [copy.copy(part) for part in self.founded.parts]
        for part in self.walk.parts:
            part.cohorts, part.demands, part.revoked = [], [], []
            part.paid, part.tree = copy.copy(part.paid), None
        self.signed = {c.id for part in self.walk.parts for group in part.consents for c in group}
        self.forged: set[bytes] = set()
        self.seen: dict[int, dict[bytes, bool]] = {}
        self.rounds: dict[tuple[int, int], Any] = {}

    def teardown(self) -> None:
        """The next game finds the chain as this one did."""
        self.world.rpc("evm_revert", self.before)

    @initialize()
    def begin(self) -> None:
        """Alone, single steps seldom come so far: a round that leaves one out."""
        self.whole_round(0, 3)

    # ------------------------------------------------------------ what anybody may try

    @rule(name=st.sampled_from(MONEY), part=st.integers(0, 1), seed=st.integers(0, 2**16))
    def money(self, name: str, part: int, seed: int) -> None:
        """Somebody pays in, or asks for money."""
        self.attempt(name, part, seed)

    @rule(name=st.sampled_from(ROUNDS), part=st.integers(0, 1), seed=st.integers(0, 2**16))
    def round_(self, name: str, part: int, seed: int) -> None:
        """Somebody moves a round on, or challenges it."""
        self.attempt(name, part, seed)

    @rule(part=st.integers(0, 1), seed=st.integers(0, 2**16))
    def whole_round(self, part: int, seed: int) -> None:
        """Each does its part, in order; the center may leave one out."""
        self.attempt("open_round", part, seed)
        for name in ("freeze", "submit"):
            for place in range(2 * HOSPITALS):
                self.attempt(name, part, seed + place)
        self.attempt("leave_out" if seed % 3 == 0 else "finalize", part, seed)

    @rule(part=st.integers(0, 1), hospital=st.integers(0, HOSPITALS - 1), who=st.integers(0, 5))
    def revoke(self, part: int, hospital: int, who: int) -> None:
        """A withdrawal on paper, of one who may have withdrawn before."""
        chosen = self.walk.parts[part]
        consent = chosen.consents[hospital][who]
        chosen.revoked.append(consent)
        withdrawal = (consent.key.address, consent.agreement, consent.nonce, 2)
        call = self.world.consents.revokeByHospital([withdrawal])
        self.walk.attempt("revoke", chosen, call, chosen.study.hospitals[hospital])

    @rule(
        part=st.integers(0, 1),
        hospital=st.integers(0, HOSPITALS - 1),
        number=st.integers(0, 3),
        nonce=st.integers(0, 2),
        is_forged=st.booleans(),
    )
    def grant(self, part: int, hospital: int, number: int, nonce: int, is_forged: bool) -> None:
        """A grant that is new, comes again, skips a nonce, or is signed by another key."""
        chosen = self.walk.parts[part]
        agreement = chosen.consents[hospital][0].agreement
        consent = Consent(kit.patient(7_000 + number, agreement), agreement, nonce)
        message = settlement.grant_message(self.world, consent)
        if is_forged:
            other = Consent(kit.patient(8_000 + number, agreement), agreement, nonce)
            forged = settlement.signature(other.key, self.digest(consent))
            message = (*message[:3], *kit.compact(forged))
            self.forged.add(consent.id)
        else:
            self.signed.add(consent.id)
        call = self.world.consents.grantBatch(agreement, [message], 0, b"")
        self.walk.attempt("grant", chosen, call, chosen.study.hospitals[hospital])

    @rule(end=st.sampled_from(ENDS))
    def time_passes(self, end: str) -> None:
        """One of the studies' periods ends."""
        then = getattr(self.walk.parts[0].study.terms, end) + 1
        if then > self.world.now:
            self.world.at(then)
            self.world.mine()

    @rule(seconds=st.integers(1, 300))
    def some_time_passes(self, seconds: int) -> None:
        """A phase of a round may end."""
        self.world.at(self.world.now + seconds)
        self.world.mine()

    # ------------------------------------------------------------ what must hold

    @invariant()
    def the_escrow_can_pay_all_that_it_owes(self) -> None:
        """To the unit, and nobody was paid twice."""
        self.walk.check()

    @invariant()
    def the_past_of_a_consent_does_not_change(self) -> None:
        """What was active at a block stays so; no key of another grants; none comes back."""
        known = sorted(self.signed | self.forged)
        self.world.mine()  # what is asked of is over
        now = self.world.block - 1
        self.seen[now] = self.activity(known, now)
        assert not any(self.seen[now][name] for name in self.forged - self.signed)
        first = min(self.seen)
        again = self.activity(list(self.seen[first]), first)
        assert again == self.seen[first]
        for name, was in self.seen[first].items():
            ended = self.world.consents.consent(name).call()[1] if was else 0
            assert not (was and ended) or not self.seen[now][name]

    @invariant()
    def what_a_round_has_told_stands(self) -> None:
        """Sets only grow, each within the one before; a finalized round says the same for ever."""
        for part in self.walk.parts:
            for number in range(1, self.walk.last(part) + 1):
                found = part.study.round(number)
                assert not found.frozen & ~found.enrolled
                assert not found.submitted & ~found.frozen
                assert not found.included & ~found.submitted
                found.restored = self.world.rounds.restored(part.study.number, number).call()
                assert not found.restored & ~(found.submitted & ~found.included)
                before = self.rounds.get((part.study.number, number))
                if before is not None:
                    assert all(not getattr(before, x) & ~getattr(found, x) for x in MASKS)
                    if before.finalized:
                        assert all(getattr(before, x) == getattr(found, x) for x in TOLD)
                self.rounds[part.study.number, number] = found

    # ------------------------------------------------------------ how

    def attempt(self, name: str, place: int, seed: int) -> None:
        part = self.walk.parts[place]
        self.walk.chosen = random.Random(seed)
        move = getattr(self.walk, name)(part)
        if move is not None:
            self.walk.attempt(name, part, *move)

    def activity(self, names: list[bytes], block: int) -> dict[bytes, bool]:
        (words,) = (self.world.consents.activeAt(names, block).call(),)
        return {name: bool(words[n // 256] >> n % 256 & 1) for n, name in enumerate(names)}

    def digest(self, consent: Consent) -> bytes:
        forever = settlement.FOREVER
        call = self.world.consents.hashGrant(consent.id, consent.agreement, consent.nonce, forever)
        return bytes(call.call())


def test_no_game_breaks_money_consents_or_rounds(founded: Walk) -> None:
    Game.founded = founded
    run_state_machine_as_test(
        Game,
        settings=settings(
            max_examples=GAMES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="MACHINE_GAMES" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert founded.done["freeze"], "some game got into a round"
