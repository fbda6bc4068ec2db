"""How a study's search is shown: on the screen, in the report, and what it will cost."""

from __future__ import annotations

import re
from dataclasses import replace

from api.cli.searching import cells
from api.report.page import render
from federated.chosen import Searched
from federated.search_cost import search_cost
from federated.spec import Search, Tried
from federated.studies import wisconsin_spec
from tests.api.report_sample import sample

ROWS = (
    Searched(1, "learning_rate 0.1", (1, 2), None, 0, 0, chosen=False),
    Searched(2, "as in the spec", (3, 4), 0.43219, 85, 3, chosen=True),
)


def test_a_candidates_cells_say_what_was_judged_and_chosen() -> None:
    assert cells(ROWS[0]) == ("1", "learning_rate 0.1", "1 to 2", "", "0", "0", "no")
    assert cells(ROWS[1]) == ("2", "as in the spec", "3 to 4", "0.4322", "85", "3", "yes")
    assert cells(replace(ROWS[1], rounds=(2, 2), chosen=None))[2::4] == ("2", "")


def test_the_report_shows_the_search_where_there_was_one() -> None:
    data = sample()
    assert "search-table" not in render(data)
    page = render(replace(data, search=ROWS))
    found = page[page.index("The search for settings") :].partition("</table>")[0]
    lines = re.findall(r"<tr>\s*(.*?)</tr>", found.partition("<tbody>")[2], re.DOTALL)
    texts = [re.findall(r"<t[hd][^>]*>(?:<strong>)?(.*?)<", line) for line in lines]
    assert texts[0] == ["1", "learning_rate 0.1", "1 to 2", "–", "0", "0", "no"]
    assert texts[1] == ["2", "as in the spec", "3 to 4", "0.4322", "85", "3", "yes"]


def test_the_cost_of_a_search_is_that_of_its_rounds() -> None:
    """Two candidates of one round each, four hospitals: 2 · (2 + 2 · 4) transactions."""
    spec = wisconsin_spec(rounds=4, hospitals=4)
    assert search_cost(spec) is None
    cost = search_cost(replace(spec, search=Search(1, (Tried(epochs=2), Tried()))))
    assert cost is not None
    assert (cost.rounds, cost.of_rounds, cost.transactions) == (2, 4, 20)
    assert cost.gas == 2 * (460_000 + 4 * 175_000)
    phases = spec.phases
    assert cost.longest_s == 2 * (phases.freeze_s + phases.submit_s + phases.finalize_s)
    assert str(cost).startswith("tries 2 candidates in 2 of the study's 4 rounds: up to 20 ")
