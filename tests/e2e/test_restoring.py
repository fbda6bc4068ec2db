"""Weights that auditors restore: paid by count, replayed by the audit, and held to the rules."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain.node import Node
from chain.types import Address, Log, RoundNumber
from federated.auditor import Level, Verdict, replay
from federated.center import finalize, open_round, settle
from federated.challenging import freeze_of
from federated.exclusion import ExclusionCode
from federated.judging import Judged
from federated.missing import confirm_missing
from federated.outcome import outcomes
from federated.rewards import split
from federated.shares import shares_tree
from tests.api.serving import serving
from tests.e2e import kit
from tests.e2e.kit import HOSPITALS, World
from tests.e2e.test_tampering_hospital import _submit_anothers
from tests.e2e.test_tampering_money import _claim_by_root, _cross_challenges, _paid

pytestmark = pytest.mark.engine("anvil")

Patch = pytest.MonkeyPatch
collecting = importlib.import_module("federated.center.inputs")
VALLEY = "valley"
FALSE = "exclusion"
"""What a keyed audit says of a code that the rule does not give."""


def _leave_out(world: World, patch: Patch) -> None:
    """From here on the center leaves valley out behind a made-up code."""
    valley, honest = world.index(VALLEY), collecting.judge_submission

    def cheat(party: Any, study: Any, frozen: Any, event: Any, into: Any = None) -> Judged:
        if event.index == valley:
            return Judged(None, ExclusionCode.OVER_CLIP)
        judged: Judged = honest(party, study, frozen, event, into)
        return judged

    patch.setattr(collecting, "judge_submission", cheat)


def _restore(world: World, number: int) -> None:
    """The vote of the one auditor whom these studies name."""
    chain = world.auditor.chain
    chain.client.send(
        chain.challenges.restore(world.study, RoundNumber(number), world.index(VALLEY))
    )


def _weights(world: World, left_out: tuple[int, ...] = ()) -> dict[int, int]:
    """Frozen weights over the study's rounds, without valley's in those that are named."""
    rounds = range(
        1, world.center.chain.rounds.count(world.study, block_identifier=_now(world)) + 1
    )
    return {
        world.index(name): sum(
            kit.freeze_of(world, number, name).weight
            for number in rounds
            if (name, number) not in {(VALLEY, out) for out in left_out}
        )
        for name in HOSPITALS
    }


def _now(world: World) -> Any:
    return world.center.head()


def _claim_by_count(world: World) -> None:
    escrow, client = world.relayer.chain.escrow, world.relayer.chain.client
    for index in range(len(HOSPITALS)):
        client.send(escrow.claim_hospital(world.study, index))


# -------------------------------------------------------------------- by count


def test_a_restored_weight_is_paid_and_the_audit_agrees_before_and_after(
    submitted: World, monkeypatch: Patch
) -> None:
    _leave_out(submitted, monkeypatch)
    finalize(submitted.center, submitted.study, RoundNumber(2))
    found = {(FALSE, 2, VALLEY)}
    assert kit.found_at(submitted, Level.KEYED) == found
    pool = submitted.read().terms.hospital_pool
    assert settle(submitted.center, submitted.study) == split(pool, _weights(submitted, (2,)))
    _restore(submitted, 2)
    due = split(pool, _weights(submitted))
    assert settle(submitted.center, submitted.study) == due
    assert kit.found_at(submitted, Level.KEYED) == found, "what the center did stays false"
    keyless = submitted.audit(Level.KEYLESS, "relayer")
    assert not keyless.failures
    (note,) = [check for check in keyless.notes if check.name == "restored"]
    assert (note.round_number, note.hospital) == (2, submitted.index(VALLEY))
    assert "its weight counts" in note.detail
    told = outcomes(submitted.center, submitted.read(), RoundNumber(2), _now(submitted))
    assert told[submitted.index(VALLEY)].said == "excluded: over-clip, restored by auditors"
    with serving(submitted) as served:
        items = served.get("/v1/studies/1/rounds/2/submissions")["items"]
    valley = submitted.index(VALLEY)
    assert [(item["included"], item["restored"]) for item in items] == [
        (index != valley, index == valley) for index in range(len(HOSPITALS))
    ]
    _cross_challenges(submitted)
    _claim_by_count(submitted)
    assert _paid(submitted) == due
    assert kit.found_at(submitted, Level.KEYED) == found


def test_auditors_who_restore_what_a_rule_excludes_are_found(granted: World) -> None:
    _submit_anothers(granted)
    finalize(granted.center, granted.study, RoundNumber(1))
    kit.assert_sound(granted)
    _restore(granted, 1)
    assert kit.found_at(granted, Level.KEYED) == {("restored", 1, VALLEY)}
    assert kit.found_at(granted, Level.KEYLESS) == set(), "without a key nobody can tell"


def test_an_auditor_who_takes_back_its_own_word_on_a_list_is_found_without_a_key(
    granted: World,
) -> None:
    first = open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, first)
    frozen = freeze_of(granted.auditor, granted.read(), first, granted.index(VALLEY))
    kit.lose(granted, frozen.freeze.leaf_list)
    confirm_missing(granted.auditor, frozen)
    finalize(granted.center, granted.study, first)
    kit.assert_sound(granted)
    _restore(granted, first)
    for level in Level.KEYLESS, Level.KEYED:
        assert kit.found_at(granted, level) == {("restored", 1, VALLEY)}


# -------------------------------------------------------------------- nodes that lie


@dataclass(frozen=True)
class Lie:
    """What a node makes of the logs of one event."""

    contract: str
    event: str
    of: Callable[[list[Log]], list[Log]]


def _none(_: list[Log]) -> list[Log]:
    return []


def _heavier(logs: list[Log]) -> list[Log]:
    return [replace(log, data=(9_999).to_bytes(32, "big")) for log in logs]


def _of_another(logs: list[Log]) -> list[Log]:
    zero = bytes(32)
    return [replace(log, topics=(*log.topics[:3], zero)) for log in logs]


def _by_strangers(logs: list[Log]) -> list[Log]:
    return [replace(log, data=bytes(31) + b"\x07" + log.data[32:]) for log in logs]


LIES = {
    "no weight was restored": Lie("rounds", "Restored", _none),
    "a larger one was": Lie("rounds", "Restored", _heavier),
    "another hospital's was": Lie("rounds", "Restored", _of_another),
    "nobody voted": Lie("challenges", "RestoreVoted", _none),
    "others than the study's auditors did": Lie("challenges", "RestoreVoted", _by_strangers),
}


class Lying(Node):
    """A node that answers one question about logs falsely."""

    def __init__(self, url: str, topic: bytes, lie: Lie) -> None:
        super().__init__(url)
        self.topic, self.lie = topic, lie

    def logs(
        self, address: Address, topics: list[str | None], *, from_block: int, to_block: int
    ) -> list[Log]:
        found = super().logs(address, topics, from_block=from_block, to_block=to_block)
        return [
            log
            for each in found
            for log in (self.lie.of([each]) if each.topics[0] == self.topic else [each])
        ]


@contextmanager
def _audit_at(world: World, folder: Path, lie: Lie) -> Iterator[Verdict]:
    wrapper = getattr(world.center.chain, lie.contract)
    node = Lying(world.anvil.url, wrapper._abi.events[lie.event].hash, lie)
    folder.mkdir()
    (folder / "store").symlink_to(world.folder / "store")
    keys = world.keys["auditor"]
    party = kit.make_party(folder, "auditor", keys, world.anvil.url, world.deployment, node)
    yield replay(party, world.study, level=Level.KEYLESS)
    party.chain.client.outbox.close()


def test_a_node_that_lies_about_restored_weights_is_caught_and_nobody_is_accused(
    submitted: World, monkeypatch: Patch, tmp_path: Path
) -> None:
    _leave_out(submitted, monkeypatch)
    finalize(submitted.center, submitted.study, RoundNumber(2))
    _restore(submitted, 2)
    for place, (said, lie) in enumerate(LIES.items()):
        with _audit_at(submitted, tmp_path / f"node{place}", lie) as verdict:
            (found,) = verdict.failures
            assert (found.name, found.round_number, found.hospital) == ("restored", None, None), (
                said
            )
            assert "ask another" in found.detail, said


# -------------------------------------------------------------------- by a posted root


def test_a_restore_makes_no_posted_root_false_whenever_it_comes(
    contributing: World, monkeypatch: Patch
) -> None:
    _leave_out(contributing, monkeypatch)
    others = [name for name in HOSPITALS if name != VALLEY]
    kit.report_all(contributing, RoundNumber(1), others)
    finalize(contributing.center, contributing.study, RoundNumber(1))
    shares = settle(contributing.center, contributing.study)
    found = {(FALSE, 1, VALLEY)}
    assert kit.found_at(contributing, Level.KEYLESS) == set()
    _restore(contributing, 1)
    assert kit.found_at(contributing, Level.KEYED) == found
    _cross_challenges(contributing)
    _claim_by_root(contributing, shares)
    assert _paid(contributing) == {index: amount for index, amount in shares.items() if amount}
    assert kit.found_at(contributing, Level.KEYED) == found


def test_auditors_who_reject_the_root_too_have_the_restored_hospital_paid(
    contributing: World, monkeypatch: Patch
) -> None:
    _leave_out(contributing, monkeypatch)
    others = [name for name in HOSPITALS if name != VALLEY]
    kit.report_all(contributing, RoundNumber(1), others)
    finalize(contributing.center, contributing.study, RoundNumber(1))
    _restore(contributing, 1)
    shares = settle(contributing.center, contributing.study)
    block, escrow = contributing.center.head(), contributing.auditor.chain.escrow
    posted = escrow.reward_root(contributing.study, block_identifier=block).root
    assert posted == shares_tree(contributing.study, shares).root
    assert shares[contributing.index(VALLEY)] == 0
    assert kit.found_at(contributing, Level.KEYED) == {(FALSE, 1, VALLEY)}
    contributing.auditor.chain.client.send(escrow.reject_reward_root(contributing.study))
    _cross_challenges(contributing)
    _claim_by_count(contributing)
    pool = contributing.read().terms.hospital_pool
    assert _paid(contributing) == split(pool, _weights(contributing))
    assert kit.found_at(contributing, Level.KEYED) == {(FALSE, 1, VALLEY)}
