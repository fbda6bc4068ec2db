"""A study's search for settings as a table."""

from __future__ import annotations

from api.cli.show import table
from federated.chosen import Searched, search_table
from federated.party import Party
from federated.study import Study

COLUMNS = ("candidate", "settings", "rounds", "validation loss", "people", "hospitals", "chosen")


def print_search(party: Party, study: Study) -> None:
    """What was tried and what hospitals said of it; nothing without a search."""
    if rows := search_table(party, study, party.head()):
        table("search", COLUMNS, [cells(row) for row in rows])


def cells(row: Searched) -> tuple[str, ...]:
    """A candidate's cells; the loss is in nats a person."""
    first, last = row.rounds
    return (
        str(row.candidate),
        row.settings,
        str(first) if first == last else f"{first} to {last}",
        "" if row.loss is None else f"{row.loss:.4f}",
        str(row.people),
        str(row.hospitals),
        "" if row.chosen is None else "yes" if row.chosen else "no",
    )
