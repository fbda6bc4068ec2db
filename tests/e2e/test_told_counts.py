"""A hospital's signed counts of two rounds, subtracted from each other by whoever reads both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.types import RoundNumber
from federated.hospital import publish_results
from federated.hospital.freeze import frozen_members
from records.splits import Part
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)


@pytest.fixture
def learned(tmp_path: Path) -> Iterator[World]:
    """One round of a study that tests on half of its patients."""
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        spec = kit.study_spec(world)
        split = replace(spec.split, validation=0.1, test=0.5)
        # Enough of each group, whichever five stay out.
        kit.enrol_all(world, replace(spec, split=split), patients=100)
        kit.open_tiers(world)
        kit.ask_all(world)
        kit.run_round(world)
        yield world


def test_counts_around_one_withdrawal_do_not_give_that_patient(learned: World) -> None:
    world, node = learned, learned.node("north")
    first = publish_results(node, world.study, FIRST, Part.TEST)
    members = frozen_members(node, world.read(), FIRST)
    tested = [member for member in members if member.part is Part.TEST]
    assert first.counts is not None
    assert first.counts.total == len(tested)
    gone = next(x for x in world.patients if x.local_key == tested[0].record.key)
    kit.revoke(world, gone)
    number = kit.run_round(world)
    world.forget()  # what a hospital told it remembers over a restart
    second = publish_results(world.node("north"), world.study, number, Part.TEST)
    assert second.counts is not None
    assert first.counts.total - second.counts.total == 5
    again = publish_results(world.node("north"), world.study, number, Part.TEST)
    assert again.counts == second.counts  # no other four stay out the second time
