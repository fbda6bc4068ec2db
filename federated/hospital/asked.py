"""What is told of a case whatever the task: its explanation, similar patients, how far it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from federated.bedside.similar import Reach, beyond, distances, nearest, reach
from federated.errors import ExplanationError
from federated.hospital.bedside import Bedside, spaces_of
from federated.hospital.data import CLEANING, values_array
from federated.hospital.node import dictionary_of
from federated.schema import Array
from federated.spec import StudySpec
from records.case import Case, Reading
from records.case_files import read_cases
from records.outcomes import Outcome
from records.record import LocalKey, Record
from records.splits import Part

if TYPE_CHECKING:
    from federated.bedside.explain import Explanation
    from federated.bedside.reading import Reader

SIMILAR = 3


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A consented past case of this hospital, its label in words; it leaves it in no form."""

    key: LocalKey
    label: str
    distance: float


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What is told of one case.

    `beyond` is −1 or 1 for each input below or above every training patient's; `reaches` say of
    each space how far the case lies from training patients. `explanation` is None where its parts
    do not sum to what they explain.
    """

    case: Case
    inputs: Array
    explanation: Explanation | None
    similar: tuple[Neighbour, ...]
    beyond: Array
    reaches: dict[str, Reach | None]


Said = TypeVar("Said", bound=Answer)


def read_file_of_cases(file: Path, spec: StudySpec, *, fit: bool = False) -> list[Case]:
    """Cases by the study's dictionary and the hospital's cleaning. Raises `RecordsError`s."""
    dictionary = dictionary_of(spec)
    return read_cases(file, Reading(dictionary, CLEANING.get(dictionary.name), fit))


def ask(
    bedside: Bedside, cases: Sequence[Case], say: Callable[[Case, Array, Array, Any], Said]
) -> list[Said]:
    """What `say` makes of each case, its inputs (width,), the model's output for it, and spaces."""
    inputs = values_array([case.values for case in cases], bedside.spec)
    outputs, spaces = bedside.reader.outputs(inputs), spaces_of(bedside.reader, inputs)
    return [
        say(case, inputs[i], outputs[i], {name: space[i] for name, space in spaces.items()})
        for i, case in enumerate(cases)
    ]


def about(
    bedside: Bedside, case: Case, inputs: Array, spaces: dict[str, Array], reader: Reader
) -> dict[str, Any]:
    """The fields of an `Answer`; `reader` reads what is explained."""
    train = bedside.rows(Part.TRAIN)
    return {
        "case": case,
        "inputs": inputs,
        "explanation": _explanation(bedside, inputs, reader),
        "similar": _similar(bedside, case, spaces),
        "beyond": beyond(inputs, bedside.inputs[train]),
        "reaches": {
            name: reach(spaces[name], space[train], bedside.between[name])
            for name, space in bedside.spaces.items()
        },
    }


def _explanation(bedside: Bedside, inputs: Array, reader: Reader) -> Explanation | None:
    from federated.bedside.explain import explain

    try:
        return explain(reader, inputs, bedside.reference)
    except ExplanationError:
        return None  # the answer says that there is none: a sum that is off would mislead


def _similar(bedside: Bedside, case: Case, spaces: dict[str, Array]) -> tuple[Neighbour, ...]:
    """In what the model's last layer reads; the case's own record, if it names it, is left out."""
    name, outcome = list(bedside.spaces)[-1], dictionary_of(bedside.spec).outcome
    found = distances(spaces[name], bedside.spaces[name])
    others = [i for i, m in enumerate(bedside.members) if m.record.key != case.key]
    chosen = [others[place] for place in nearest(found[others], SIMILAR)]
    return tuple(_neighbour(bedside.members[i].record, outcome, float(found[i])) for i in chosen)


def _neighbour(record: Record, outcome: Outcome, distance: float) -> Neighbour:
    return Neighbour(record.key, outcome.tell(record.label), distance)
