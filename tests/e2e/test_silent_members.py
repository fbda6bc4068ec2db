"""An audit while a member is down that alone has what shares are computed from."""

from __future__ import annotations

import pytest

from chain.types import RoundNumber
from federated.auditor import Level, Outcome
from federated.center import finalize, settle
from federated.published import read_result
from tests.e2e import kit
from tests.e2e.kit import World
from tests.e2e.stores import Swarm
from tests.e2e.test_erasing import _lose_until_the_end
from tests.e2e.test_tampering_money import _claim_by_root, _cross_challenges
from tests.storage.kit import LONG, eventually, paused

pytestmark = [
    pytest.mark.engine("anvil"),
    pytest.mark.engine("kubo"),
    pytest.mark.parametrize("backend", ["kubo"], indirect=True),
    LONG,
]


def test_hospitals_paid_by_a_root_stand_unaccused_while_a_report_is_at_a_silent_member(
    contributing: World,
) -> None:
    stores, first = contributing.stores, RoundNumber(1)
    assert isinstance(stores, Swarm)
    kit.report_all(contributing, first)
    finalize(contributing.center, contributing.study, first)
    shares = settle(contributing.center, contributing.study)
    _cross_challenges(contributing)
    _claim_by_root(contributing, shares)
    kit.assert_sound(contributing)  # the auditor's node has copies of all now
    center = contributing.center
    manifest, _, _ = read_result(center, contributing.read(), first, center.head())
    own, kept = stores.swarm.nodes["harbor"].repo, 0
    for copies in map(stores.copies, manifest.reports):
        elsewhere = [path for path in copies if not path.is_relative_to(own)]
        if len(elsewhere) < len(copies):
            kept += 1
            for path in elsewhere:
                _lose_until_the_end(contributing, path)
    assert kept
    with paused(stores.swarm, "harbor"):
        verdict = contributing.audit(Level.KEYLESS)
        assert verdict.outcome is Outcome.INCOMPLETE, verdict.failures
        found = [(check.name, check.hospital) for check in verdict.failures]
        paid = [("hospital-share", index) for index, amount in shares.items() if amount]
        assert ("reward-root", None) in found
        assert [item for item in found if item[0] == "hospital-share"] == paid
    assert eventually(lambda: contributing.audit(Level.KEYLESS).ok)
