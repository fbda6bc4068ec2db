"""What hospitals report about models: signed integer counts over their own validation cohorts.

A report is about one round, for a contribution rule. It judges the model that the center proposes
and those that the round would give without other included hospitals, before the round is
finalized. `context` binds it to chain, deployment, round and the proposed model. A hospital with
too few people of a class reports no evaluations: a count that is kept back is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from federated.canonical import Digest, Value, decode, encode
from federated.contribution.coalitions import MOST, in_order, members, set_of
from federated.errors import CanonicalError, RewardError
from federated.metrics import LOSS_CAP, LOSS_UNIT, Confusion
from federated.results import LEAST_COUNT

_FORMAT = "consilium/report/2"
_KEYS = {"format", "context", "study", "round", "hospital", "root", "evaluations"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Counts of one model; `without` is the set of hospitals left out, 0 for the model itself."""

    state: Digest
    without: int
    counts: Confusion


@dataclass(frozen=True, slots=True)
class Report:
    """A hospital's evaluations in a round; `root` is that of its frozen cohort."""

    context: bytes
    study: int
    round_number: int
    hospital: int
    root: bytes
    evaluations: tuple[Evaluation, ...]

    @property
    def states(self) -> dict[int, bytes]:
        """State digests that it judges, by the set of hospitals left out."""
        return {item.without: item.state for item in self.evaluations}

    def to_bytes(self) -> bytes:
        """Canonical bytes, to be signed by the hospital. Raises `RewardError`."""
        check_report(self)
        rows = [
            [item.state, list(members(item.without)), _counts(item.counts)]
            for item in self.evaluations
        ]
        content: Value = {"study": self.study, "round": self.round_number, "root": self.root}
        content["context"] = self.context
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
                Evaluation(state, set_of(without), Confusion(*counts))
                for state, without, counts in tree["evaluations"]
            )
            place = (tree["context"], tree["study"], tree["round"], tree["hospital"])
            report = cls(*place, tree["root"], rows)
        except (CanonicalError, TypeError, ValueError) as exc:
            raise RewardError(f"report: not bytes of {_FORMAT}; ask the hospital again") from exc
        check_report(report)
        return report


def check_report(report: Report) -> None:
    """Raise `RewardError` unless types, order and counts are ones that a hospital can report.

    Evaluations are none, or ordered: the model itself, then those that leave hospitals out, as
    `contribution.order_key` has them, each once, and never the reporting one. All are over the
    same records, so they agree in the number of positives and of negatives, and there are enough
    of both.
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
    if report.evaluations:
        _check_evaluations(report, where)


def _check_evaluations(report: Report, where: str) -> None:
    for item in report.evaluations:
        _check_evaluation(item, where)
    order = [item.without for item in report.evaluations]
    if order[0] or order != in_order(order):
        raise RewardError(f"{where}: the model comes first, then those without others, once each")
    if any(without >> report.hospital & 1 for without in order):
        raise RewardError(f"{where}: a hospital does not judge its own contribution")
    sizes = {(x.counts.tp + x.counts.fn, x.counts.tn + x.counts.fp) for x in report.evaluations}
    if len(sizes) != 1:
        raise RewardError(f"{where}: evaluations are over different records")
    if min(min(size) for size in sizes) < LEAST_COUNT:
        raise RewardError(f"{where}: fewer than {LEAST_COUNT} people of a class are counted")


def _check_evaluation(item: Evaluation, where: str) -> None:
    if type(item.state) is not bytes or len(item.state) != 32:
        raise RewardError(f"{where}: a state digest has 32 bytes")
    if type(item.without) is not int or not 0 <= item.without < 1 << MOST:
        raise RewardError(f"{where}: a hospital left out has an index in [0, {MOST})")
    if any(type(count) is not int or not 0 <= count < 1 << 53 for count in _counts(item.counts)):
        raise RewardError(f"{where}: counts are whole numbers, not negative")
    if item.counts.loss > item.counts.total * LOSS_CAP * LOSS_UNIT:
        raise RewardError(f"{where}: the loss exceeds {LOSS_CAP} nats a record")


def _counts(counts: Confusion) -> list[int]:
    return [counts.tp, counts.fp, counts.tn, counts.fn, counts.loss]
