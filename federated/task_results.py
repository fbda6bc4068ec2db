"""A hospital's signed figures for a study of another task than two labels, as integers.

Two labels have counts that add up over hospitals (`results`); other tasks have figures with their
intervals, each hospital's own, told in the task's steps and no finer. A hospital that has fewer
than five people of one of the task's groups publishes `suppressed`, which is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from federated.errors import RecordError
from federated.metrics import Estimate
from federated.results import LEAST_COUNT, results_topic
from federated.spec import StudySpec
from federated.tasks import TASKS, Figures, task_of
from storage.cid import Cid, Codec
from storage.signed import Shape, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore

TAG = "consilium/task-results/2"
_MOST = 1 << 53
_BODY: Shape = {
    "context": 32,
    "figures": list,
    "hospital": int,
    "people": int,
    "round": int,
    "split": str,
    "state": 32,
    "study": int,
    "suppressed": bool,
    "task": str,
}


@dataclass(frozen=True, slots=True)
class TaskResults:
    """A task's figures for the model with this state digest on so many people.

    `split` is "validation" or "test"; `figures` are [name, value, low, high] in the task's steps.
    They are empty, and people 0, where `suppressed`.
    """

    context: bytes
    study: int
    round_number: int
    hospital: int
    state: bytes
    split: str
    task: str
    suppressed: bool
    people: int
    figures: tuple[tuple[str, int, int, int], ...]

    def estimates(self, spec: StudySpec) -> Figures:
        """The figures by name; those that are not there are None."""
        task = TASKS[self.task]
        found = {
            name: Estimate(*(x * task.step(name, spec) for x in rest))
            for name, *rest in self.figures
        }
        return {name: found.get(name) for name in task.figures}


def in_steps(figures: Figures, spec: StudySpec) -> tuple[tuple[str, int, int, int], ...]:
    """What `TaskResults` holds of figures: those that the records can tell."""
    rows = []
    for name, x in figures.items():
        step = task_of(spec.task).step(name, spec)
        if x is not None and max(abs(x.low), abs(x.high)) / step < _MOST:
            rows.append((name, round(x.value / step), round(x.low / step), round(x.high / step)))
    return tuple(rows)


def write_task_results(store: BlockStore, results: TaskResults, sender: Sender) -> bytes:
    """Sign, keep and announce results; returns its digest."""
    body: dict[str, Any] = {
        key: getattr(results, key) for key in _BODY if key not in ("round", "figures")
    }
    body |= {"round": results.round_number, "figures": [list(row) for row in results.figures]}
    cid = store.put_block(Codec.DAG_CBOR, sign_record(TAG, body, sender))
    store.pin(cid)
    store.announce(results_topic(results.state), cid)
    return cid.digest


def read_task_results(store: BlockStore, cid: Cid) -> tuple[TaskResults, Signer]:
    """Results and who signed it. Raises `RecordError` and what the store raises."""
    record = open_record(TAG, store.get_block(cid), _BODY)
    fields = {key: value for key, value in record.body.items() if key not in ("round", "figures")}
    rows = tuple(_row(row, cid) for row in record.body["figures"])
    results = TaskResults(round_number=record.body["round"], figures=rows, **fields)
    _check(results, cid)
    return results, record.signer


def _row(row: Any, cid: Cid) -> tuple[str, int, int, int]:
    if isinstance(row, list) and len(row) == 4 and isinstance(row[0], str):
        name, *numbers = row
        if all(type(x) is int and abs(x) < _MOST for x in numbers):
            value, low, high = numbers
            if low <= value <= high:
                return name, value, low, high
    raise RecordError(f"results {cid}: a figure is a name, a value and its interval")


def _check(results: TaskResults, cid: Cid) -> None:
    if results.split not in ("validation", "test"):
        raise RecordError(f"results {cid}: the split is neither validation nor test")
    if results.task not in TASKS or TASKS[results.task].counted:
        raise RecordError(f"results {cid}: {results.task[:40]!r} is no task that has figures")
    names = [name for name, *_ in results.figures]
    if len(set(names)) != len(names) or not set(names) <= set(TASKS[results.task].figures):
        raise RecordError(f"results {cid}: figures that the task does not have, or one twice")
    if min(results.hospital, results.people, results.study, results.round_number) < 0:
        raise RecordError(f"results {cid}: a number or the hospital's index is negative")
    if results.suppressed and (results.people or names):
        raise RecordError(f"results {cid}: they are suppressed and yet give numbers")
    if not results.suppressed and results.people < LEAST_COUNT:
        raise RecordError(f"results {cid}: figures of fewer than {LEAST_COUNT} people")
