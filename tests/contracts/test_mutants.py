"""Every condition of the contracts is found, and negating it changes that condition alone.

`make prove` compiles the mutants and runs the tests on each.
"""

from __future__ import annotations

import pytest

from tests.tooling.kit import ROOT, load

mutate = load(ROOT / "tools" / "mutate.py")


def test_a_condition_over_lines_and_parentheses_is_negated_as_a_whole() -> None:
    text = "a;\nif (x(1) &&\n  (y || z)) revert E();\nif (q) f(); else if (r) g();"
    found = list(mutate.mutants("C", text))
    assert [mutant.line for mutant in found] == [2, 4, 4]
    assert found[0].source(text).startswith("a;\nif (!(x(1) &&\n  (y || z))) revert E();")
    assert found[2].source(text).endswith("if (q) f(); else if (!(r)) g();")


@pytest.mark.parametrize("contract", mutate.JUDGES)
def test_every_condition_of_a_contract_becomes_a_mutant(contract: str) -> None:
    text = (ROOT / "contracts" / f"{contract}.sol").read_text("utf-8")
    code = "\n".join(line.split("//")[0] for line in text.splitlines())
    assert len(list(mutate.mutants(contract, text))) == code.count("if (") > 5
    for name in mutate.JUDGES[contract]:
        assert (ROOT / "tests" / "contracts" / f"{name}.py").is_file()
