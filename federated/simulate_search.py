"""The search of a simulated study: where each round starts, with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from federated.errors import SpecError
from federated.evaluation.disclosure import enough
from federated.left_out import loss_of
from federated.reports import Evaluation, Report
from federated.schema import Parameters
from federated.search import effective, ends, judging_rounds, line, search_choice
from federated.spec import StudySpec
from federated.state import GlobalState, state_digest
from federated.training import Records

_NONE = bytes(32)


class Course:
    """A study's way through its rounds; without a search, from each to the next.

    `validation` are the hospitals' records that judge, a round each. Raises `SpecError` where a
    search has fewer.
    """

    def __init__(self, spec: StudySpec, validation: Sequence[Mapping[str, Records]]) -> None:
        if len(validation) < ends(spec):
            raise SpecError("search", "validation records are needed to choose; give some a round")
        self._spec = spec
        self._validation = validation
        self._reports: list[list[Report]] = []
        self._kept: list[dict[str, Parameters]] = []
        self.chosen: int | None = None

    def begin(
        self, number: int, states: Sequence[GlobalState], kept: dict[str, Parameters]
    ) -> tuple[StudySpec, GlobalState]:
        """A round's settings and its start; what hospitals keep is set to what belongs to it."""
        spec = self._spec
        if spec.search is None:
            return spec, states[-1]
        if number == ends(spec) + 1:
            self.chosen = search_choice(spec, self._reports)
            _replace(kept, self._kept[self.chosen])
        elif number <= ends(spec) and not line(spec, number, None):
            _replace(kept, {})
        start = max(line(spec, number, self.chosen), default=0)
        return effective(spec, number, self.chosen), states[start]

    def end(self, number: int, state: GlobalState, kept: Mapping[str, Parameters]) -> None:
        """Have a candidate's model judged by every hospital with enough patients of each label."""
        if number not in judging_rounds(self._spec):
            return
        self._kept.append(dict(kept))
        digest = state_digest(self._spec, state)
        reports = []
        for index, (inputs, labels) in enumerate(self._validation[number - 1].values()):
            if enough(labels):
                loss = loss_of(self._spec, state.parameters, inputs, labels)
                rows = (Evaluation(digest, 0, loss),)
                reports.append(Report(_NONE, 1, number, index, _NONE, len(labels), rows))
        self._reports.append(reports)


def _replace(kept: dict[str, Parameters], by: Mapping[str, Parameters]) -> None:
    kept.clear()
    kept.update(by)
