"""A hospital's signed results: how a global model does on its own patients, as integers.

Counts are disclosure: with very few patients of a class they tell about single ones. A hospital
whose split has too few of either class publishes `suppressed`, which is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from federated.canonical import tagged_hash
from federated.errors import RecordError
from federated.metrics import FIGURE_STEP, Confusion, Estimate
from storage.cid import Cid, Codec
from storage.signed import Shape, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore

TAG = "consilium/results/2"
LEAST_COUNT = 5
"""Fewest people of either class for which counts leave a hospital."""

NUMBERS = ("tp", "fp", "tn", "fn", "auc", "auc_low", "auc_high")
_BODY: Shape = {
    "context": 32,
    "hospital": int,
    "round": int,
    "split": str,
    "state": 32,
    "study": int,
    "suppressed": bool,
    **dict.fromkeys(NUMBERS, int),
}


@dataclass(frozen=True, slots=True)
class Results:
    """Counts at the study's operating point for the model with this state digest.

    `split` is "validation" or "test"; `auc` and its 95 % interval are in hundredths, and there is
    no loss: either, told finely of each round's model, gives labels to who knows the features.
    All numbers are 0 where `suppressed`.
    """

    context: bytes
    study: int
    round_number: int
    hospital: int
    state: bytes
    split: str
    suppressed: bool
    tp: int
    fp: int
    tn: int
    fn: int
    auc: int
    auc_low: int
    auc_high: int

    @property
    def counts(self) -> Confusion | None:
        """The counts; None where suppressed, so that nobody adds up zeros that are none."""
        if self.suppressed:
            return None
        return Confusion(self.tp, self.fp, self.tn, self.fn)

    @property
    def area(self) -> Estimate | None:
        """The AUC with its interval; None where suppressed."""
        if self.suppressed:
            return None
        return Estimate(*(x * FIGURE_STEP for x in (self.auc, self.auc_low, self.auc_high)))


def results_topic(state: bytes) -> bytes:
    """Where results of the model with this state digest are announced (32 bytes)."""
    return tagged_hash("consilium/results-topic/1", state)


def write_results(store: BlockStore, results: Results, sender: Sender) -> bytes:
    """Sign, keep and announce results; returns its digest."""
    body = {"round": results.round_number} | {
        key: getattr(results, key) for key in _BODY if key != "round"
    }
    cid = store.put_block(Codec.DAG_CBOR, sign_record(TAG, body, sender))
    store.pin(cid)
    store.announce(results_topic(results.state), cid)
    return cid.digest


def read_results(store: BlockStore, cid: Cid) -> tuple[Results, Signer]:
    """Results and who signed it. Raises `RecordError` and what the store raises."""
    record = open_record(TAG, store.get_block(cid), _BODY)
    fields = {key: value for key, value in record.body.items() if key != "round"}
    results = Results(round_number=record.body["round"], **fields)
    if results.split not in ("validation", "test"):
        raise RecordError(f"results {cid}: the split is neither validation nor test")
    if min(results.hospital, *(getattr(results, key) for key in NUMBERS)) < 0:
        raise RecordError(f"results {cid}: a count or the hospital's index is negative")
    if results.suppressed and any(getattr(results, key) for key in NUMBERS):
        raise RecordError(f"results {cid}: they are suppressed and yet give numbers")
    if not results.auc_low <= results.auc <= results.auc_high <= round(1 / FIGURE_STEP):
        raise RecordError(f"results {cid}: the AUC lies in its interval, of hundredths to 100")
    return results, record.signer
