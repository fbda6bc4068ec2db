"""What hospitals report about models: signed integer losses over their own validation cohorts.

A report is about one round, for a contribution rule. It judges the model that the center proposes
and those that the round would give without other included hospitals, before the round is
finalized. It tells losses in half nats, of how many people they are, and nothing else: from finer
losses whoever knows the patients' features reckons their labels. `context` binds it to chain,
deployment, round and the proposed model. A hospital with too few people of a class reports no
evaluations: a loss that is kept back is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from federated.canonical import Digest, Value, decode, encode
from federated.contribution.coalitions import MOST, in_order, members, set_of
from federated.errors import CanonicalError, RewardError
from federated.metrics import LOSS_CAP, LOSS_STEP, LOSS_UNIT
from federated.results import LEAST_COUNT

_FORMAT = "consilium/report/2"
_KEYS = {"format", "context", "study", "round", "hospital", "root", "people", "evaluations"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model's loss, summed over the people judged, in half nats.

    `without` is the set of hospitals left out, 0 for the model itself.
    """

    state: Digest
    without: int
    loss: int


@dataclass(frozen=True, slots=True)
class Report:
    """A hospital's evaluations in a round, all of the same `people`; `root` is its cohort's."""

    context: bytes
    study: int
    round_number: int
    hospital: int
    root: bytes
    people: int
    evaluations: tuple[Evaluation, ...]

    @property
    def states(self) -> dict[int, bytes]:
        """State digests that it judges, by the set of hospitals left out."""
        return {item.without: item.state for item in self.evaluations}

    def to_bytes(self) -> bytes:
        """Canonical bytes, to be signed by the hospital. Raises `RewardError`."""
        check_report(self)
        rows = [[item.state, list(members(item.without)), item.loss] for item in self.evaluations]
        content: Value = {"study": self.study, "round": self.round_number, "root": self.root}
        content |= {"context": self.context, "people": self.people}
        return encode(
            {"format": _FORMAT, **content, "hospital": self.hospital, "evaluations": rows}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Report:
        """The report whose canonical bytes these are. Raises `RewardError`."""
        try:
            tree = decode(data)
            if set(tree) != _KEYS or tree["format"] != _FORMAT:
                raise RewardError(f"report: the format is not {_FORMAT}")
            rows = tuple(
                Evaluation(state, set_of(without), loss)
                for state, without, loss in tree["evaluations"]
            )
            place = (tree["context"], tree["study"], tree["round"], tree["hospital"])
            report = cls(*place, tree["root"], tree["people"], rows)
        except (CanonicalError, TypeError, ValueError) as exc:
            raise RewardError(f"report: not bytes of {_FORMAT}; ask the hospital again") from exc
        check_report(report)
        return report


def check_report(report: Report) -> None:
    """Raise `RewardError` unless types, order and counts are ones that a hospital can report.

    Evaluations are none, or ordered: the model itself, then those that leave hospitals out, as
    `contribution.order_key` has them, each once, and never the reporting one. The people are 0
    where nothing is judged, else enough to be some of each label.
    """
    where = "report"
    if any(type(x) is not int or x < 0 for x in (report.study, report.round_number)):
        raise RewardError(f"{where}: study and round are whole numbers")
    if type(report.hospital) is not int or not 0 <= report.hospital < 256:
        raise RewardError(f"{where}: the hospital's index lies in [0, 256)")
    where = f"report of hospital {report.hospital} in round {report.round_number}"
    for item32 in (report.root, report.context):
        if type(item32) is not bytes or len(item32) != 32:
            raise RewardError(f"{where}: the cohort's root and the context have 32 bytes")
    least = 2 * LEAST_COUNT if report.evaluations else 0
    if type(report.people) is not int or not least <= report.people < 1 << 32:
        raise RewardError(f"{where}: {least} people or more are expected")
    if report.people and not report.evaluations:
        raise RewardError(f"{where}: people are counted, and no model is judged")
    if report.evaluations:
        _check_evaluations(report, where)


def _check_evaluations(report: Report, where: str) -> None:
    for item in report.evaluations:
        _check_evaluation(item, report.people, where)
    order = [item.without for item in report.evaluations]
    if order[0] or order != in_order(order):
        raise RewardError(f"{where}: the model comes first, then those without others, once each")
    if any(without >> report.hospital & 1 for without in order):
        raise RewardError(f"{where}: a hospital does not judge its own contribution")


def _check_evaluation(item: Evaluation, people: int, where: str) -> None:
    if type(item.state) is not bytes or len(item.state) != 32:
        raise RewardError(f"{where}: a state digest has 32 bytes")
    if type(item.without) is not int or not 0 <= item.without < 1 << MOST:
        raise RewardError(f"{where}: a hospital left out has an index in [0, {MOST})")
    if type(item.loss) is not int or item.loss < 0:
        raise RewardError(f"{where}: a loss is a whole number of half nats, not negative")
    if item.loss * LOSS_STEP > people * LOSS_CAP * LOSS_UNIT:
        raise RewardError(f"{where}: the loss exceeds {LOSS_CAP} nats a record")
