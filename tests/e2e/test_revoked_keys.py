"""Keys that an account revoked: what was signed before stands for its time, later words do not."""

from __future__ import annotations

import importlib
import os
from dataclasses import replace
from typing import Any

import pytest

from chain.participants import KeysRevoked
from chain.types import BlockNumber, Receipt, RoundNumber
from federated.auditor import Level, Outcome
from federated.center import finalize, open_round
from federated.challenging import freeze_of
from federated.erasing import erase_own
from federated.exclusion import ExclusionCode
from federated.judging import Judged
from federated.missing import confirm_missing, confirmed_missing
from federated.party import Held, Party, keys_between, signers_between
from federated.published import read_result
from storage.erasure import erase
from storage.keys import publish_key
from storage.signing import Sender, Signer, SigningKey
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.test_erasing import BOTH, REASON, end, nodes_of, update_of

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)
inputs = importlib.import_module("federated.center.inputs")


def _renewed(party: Party) -> Party:
    """The same party with another signing key, which it publishes."""
    after = replace(party, sender=Sender(party.sender.address, SigningKey(os.urandom(32))))
    kit.register(after)
    return after


def _revoke(party: Party) -> BlockNumber:
    receipt = party.chain.client.send(party.chain.participants.revoke_keys())
    (event,) = party.chain.participants.in_receipt(KeysRevoked, receipt)
    return event.block


def _signer(party: Party) -> Signer:
    return party.sender.signer


def test_a_key_counts_up_to_its_revocation_and_no_further(granted: World) -> None:
    north, chain = granted.party("north"), granted.center.chain
    first = granted.center.head()
    exchanged = _renewed(north)
    before = granted.center.head()
    revoked = _revoke(exchanged)
    granted.clock.nudge()
    between = granted.center.head()
    newest = _renewed(exchanged)
    head, account = granted.center.head(), north.address

    old, then, now = _signer(north), _signer(exchanged), _signer(newest)
    assert signers_between(chain, account, first, before) == [then, old]
    assert signers_between(chain, account, first, between) == []
    assert signers_between(chain, account, first, head) == [now]
    assert keys_between(chain, account, first, head) == [
        Held(now, None),
        Held(then, revoked),
        Held(old, revoked),
    ]
    assert keys_between(chain, account, revoked, head) == [Held(now, None)]
    assert keys_between(chain, account, revoked, between) == []
    assert keys_between(chain, account, BlockNumber(revoked - 1), between) == [Held(then, revoked)]


def test_keys_revoked_twice_end_at_the_first_time(granted: World) -> None:
    north, chain = granted.party("north"), granted.center.chain
    first = granted.center.head()
    revoked = _revoke(north)
    granted.clock.nudge()
    _revoke(north)
    found = keys_between(chain, north.address, first, granted.center.head())
    assert found == [Held(_signer(north), revoked)]


def test_keys_revoked_and_set_anew_in_one_block_are_not_merely_exchanged(granted: World) -> None:
    north, chain = granted.party("north"), granted.center.chain
    first = granted.center.head()
    key = SigningKey(os.urandom(32))
    participants, sealing = (
        north.chain.participants,
        publish_key(north.store, north.identity.recipient),
    )
    calls = [
        (participants.revoke_keys(), "revoke"),
        (participants.set_keys(key.public, sealing), "set"),
    ]
    done = [item for item in north.chain.client.send_many(calls) if isinstance(item, Receipt)]
    assert len({item.block for item in done}) == 1
    assert len(done) == 2
    newest = Signer(north.sender.address, key.public)
    assert signers_between(chain, north.address, first, granted.center.head()) == [newest]
    assert keys_between(chain, north.address, first, granted.center.head()) == [
        Held(newest, None),
        Held(_signer(north), done[0].block),
    ]


def test_a_tombstone_outlives_the_key_that_signed_it(finished: World) -> None:
    """As when a hospital erases what it may, and then leaves."""
    end(finished)
    owner, digest = finished.party("harbor"), update_of(finished, 2, "harbor")
    assert erase_own(owner, finished.study, digest, nodes_of(owner), REASON).complete
    finished.clock.advance(10)
    _revoke(owner)
    for level in BOTH:
        assert finished.audit(level).outcome is Outcome.ERASED


def test_a_tombstone_of_after_its_key_was_revoked_excuses_nothing(finished: World) -> None:
    end(finished)
    owner, digest = finished.party("harbor"), update_of(finished, 2, "harbor")
    _revoke(owner)
    finished.clock.advance(10)
    now = finished.clock.now()
    erase(nodes_of(owner), digest, sender=owner.sender, reason=REASON, now=now, keep_until=0)
    for level in BOTH:
        assert finished.audit(level).outcome is Outcome.TAMPERED


def test_a_thiefs_tombstone_of_a_later_time_hides_no_genuine_one(finished: World) -> None:
    end(finished)
    owner, digest = finished.party("harbor"), update_of(finished, 2, "harbor")
    assert erase_own(owner, finished.study, digest, nodes_of(owner), REASON).complete
    finished.clock.advance(10)
    _revoke(owner)
    for now in finished.clock.now() + 10, 2**62:
        erase(nodes_of(owner), digest, sender=owner.sender, reason="x", now=now, keep_until=0)
    for level in BOTH:
        assert finished.audit(level).outcome is Outcome.ERASED


def test_an_auditors_word_by_a_revoked_key_leaves_no_hospital_out(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    frozen = granted.center.chain.rounds.freezes(
        granted.study, FIRST, to_block=granted.center.head()
    )[granted.index("valley")]
    kit.lose(granted, frozen.freeze.leaf_list)
    study = granted.read()
    _revoke(granted.auditor)
    confirm_missing(granted.auditor, frozen)  # by a thief of the key
    assert not confirmed_missing(granted.center, study, frozen)
    confirm_missing(_renewed(granted.auditor), frozen)
    assert confirmed_missing(granted.center, study, frozen)


def test_an_auditors_word_stands_when_its_key_is_revoked_after_the_round(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    frozen = granted.center.chain.rounds.freezes(
        granted.study, FIRST, to_block=granted.center.head()
    )[granted.index("valley")]
    kit.lose(granted, frozen.freeze.leaf_list)
    confirm_missing(granted.auditor, frozen)
    finalize(granted.center, granted.study, FIRST)
    manifest, _, _ = read_result(granted.center, granted.read(), FIRST, granted.center.head())
    codes = {entry.hospital: entry.code for entry in manifest.entries}
    assert codes[granted.index("valley")] is ExclusionCode.LIST_MISSING
    granted.clock.nudge()
    _revoke(granted.auditor)
    assert granted.audit(Level.KEYLESS, "relayer").outcome is Outcome.OK


def test_whoever_steals_an_auditors_key_after_a_round_can_still_sign_the_word_that_it_lacked(
    granted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What remains (ADR 19): a word has no date. What was audited before is not taken back."""
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    valley = granted.index("valley")
    frozen = freeze_of(granted.auditor, granted.read(), FIRST, valley)
    honest = inputs.judge_submission

    def cheat(party: Any, study: Any, frozen: Any, event: Any, into: Any = None) -> Judged:
        if event.index == valley:
            return Judged(None, ExclusionCode.LIST_MISSING)
        judged: Judged = honest(party, study, frozen, event, into)
        return judged

    monkeypatch.setattr(inputs, "judge_submission", cheat)
    finalize(granted.center, granted.study, FIRST)
    assert kit.found_at(granted, Level.KEYLESS) == {("exclusion", 1, "valley")}
    granted.clock.nudge()
    _revoke(granted.auditor)
    assert kit.found_at(granted, Level.KEYLESS) == {("exclusion", 1, "valley")}
    confirm_missing(granted.auditor, frozen)  # by a thief of the key
    assert granted.audit(Level.KEYLESS, "relayer").outcome is Outcome.OK
