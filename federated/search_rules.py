"""What a search for settings does not go with; `federated.rules` tries each candidate."""

from __future__ import annotations

from federated.canonical import encode
from federated.codec import Form, to_tree
from federated.models import parameter_schema
from federated.requiring import require
from federated.search import ends
from federated.spec import Search, StudySpec, Tried
from federated.strategies import strategy_of

MOST_CANDIDATES = 16


def check_search(spec: StudySpec) -> None:
    """Raise `SpecError` for the first rule that a spec's search breaks; none without one."""
    if (search := spec.search) is None:
        return
    _check_size(spec, search)
    _check_reports(spec)
    drawn = "drawn hospitals would judge each candidate by other patients; leave one of them out"
    require(spec.sampling is None, "sampling", drawn)
    late = "an update trained with one candidate's settings would enter another's; leave it out"
    require(spec.late is None, "late", late)


def _check_size(spec: StudySpec, search: Search) -> None:
    count = len(search.candidates)
    some = f"1 to {MOST_CANDIDATES} are expected"
    require(1 <= count <= MOST_CANDIDATES, "search.candidates", some)
    different = {encode(to_tree(item, Tried, Form.CANONICAL)) for item in search.candidates}
    require(len(different) == count, "search.candidates", "two are the same")
    require(1 <= search.rounds <= 256, "search.rounds", "1 to 256 are expected")
    few = f"the search takes {ends(spec)} of them, and at least one must follow; add rounds"
    require(spec.rounds > ends(spec), "rounds", few)
    heard = 1 <= search.reports <= spec.max_hospitals
    require(heard, "search.reports", "1 to max_hospitals are expected")


def _check_reports(spec: StudySpec) -> None:
    """Hospitals must be able to judge a model of all before its round is finalized."""
    masks = "masked mode gives no model before a round is unmasked; use open, or leave it out"
    require(not spec.masked, "search", masks)
    counted = f"hospitals report on two labels, and a {spec.task} study has none; leave it out"
    require(spec.task == "binary", "search", counted)
    strategy, schema = strategy_of(spec.strategy.name), parameter_schema(spec)
    own = f"{strategy.name} {strategy.unpaid}; leave it out"
    require(strategy.declared(schema).size >= schema.size, "search", own)
    require(spec.split.validation > 0, "split.validation", "a search needs some")
