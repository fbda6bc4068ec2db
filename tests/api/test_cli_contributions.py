"""How `consilium center settle` shows what was measured."""

from __future__ import annotations

from api.cli.contributions import Contributions
from federated.contribution import Confidence


def test_measured_contributions_have_an_interval_and_the_error_of_drawn_orders() -> None:
    found = Contributions(
        {
            0: Confidence(1.5, 0.25, -0.5, 3.5, 2),
            1: Confidence(-0.125, 0.0, None, None, 1),
            2: Confidence(0.5, None, 0.25, 0.75, 3),
        }
    )
    assert found.columns == ("contribution, nats", "95 % interval", "error of drawn orders")
    assert found.row(0) == ("+1.50", "-0.50 to +3.50", "0.25")
    assert found.row(1) == ("-0.12", "", "")
    assert found.row(2) == ("+0.50", "+0.25 to +0.75", "")
    assert found.row(3) == ("0", "", "")  # nobody judged it


def test_a_study_that_pays_by_count_has_no_such_columns() -> None:
    assert Contributions(None).columns == Contributions(None).row(0) == ()
