"""Every condition of the contracts, when it errs, is found out by a test that is noted by name.

`tools/mutate.py --write` asks the tests and notes; here the notes are held to the contracts.
"""

from __future__ import annotations

import re
import sys

import pytest

from tests.tooling.kit import ROOT, load

sys.path.append(str(ROOT / "tools"))

conditions = load(ROOT / "tools" / "conditions.py")
mutate = load(ROOT / "tools" / "mutate.py")


def test_a_condition_within_another_has_a_switch_of_its_own() -> None:
    text = "contract C { function f() private pure { if (x(1) && (y || z)) revert E(); } }"
    outer = text.index("x(1)"), text.index(") revert")
    inner = text.index("y ||"), text.index("y ||") + 1
    found = conditions.switched(text, [outer, inner])
    assert "if (mutated_(x(1) && (mutated_(y, 4) || z), 1)) revert E();" in found
    assert "private view {" in found
    assert found.count("function mutated_") == 1
    assert found.rstrip().endswith("}\n}")


def test_conditions_that_begin_together_are_closed_in_their_order() -> None:
    found = conditions.switched("contract C { a && b }", [(13, 19), (13, 14), (18, 19)])
    assert "mutated_(mutated_(a, 4) && mutated_(b, 7), 1)" in found


@pytest.mark.engine("solc")
def test_every_change_to_a_condition_was_found_out_by_a_test_that_is_still_there() -> None:
    every = {mutant.key for mutant in conditions.mutants()}
    assert len(every) > 400
    noted = mutate.recorded()
    same = set(mutate.EQUIVALENT)
    assert same <= every, f"no condition is so named any more: {sorted(same - every)}"
    unknown, gone = sorted(every - same - set(noted)), sorted(set(noted) - (every - same))
    assert not unknown, f"run `python tools/mutate.py --new --write` for {unknown[:3]}"
    assert not gone, f"take away from {mutate.RECORD.name} what no condition is: {gone[:3]}"
    for test in set(noted.values()):
        path, name = test.split("[")[0].split("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), test


def test_what_changes_nothing_that_anybody_sees_has_its_reason() -> None:
    for key, reason in mutate.EQUIVALENT.items():
        assert len(reason) > 20, key
