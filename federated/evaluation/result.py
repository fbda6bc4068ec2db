"""What a comparison of a study's models shows: figures alone, no record and no label.

It may leave the hospitals, so it withholds what would tell about few patients. See `disclosure`.
"""

from __future__ import annotations

from dataclasses import dataclass

from federated.evaluation.calibration import Calibration
from federated.evaluation.paired import Difference
from federated.evaluation.roc import Point
from federated.metrics import Estimate, Scores

FEDERATED = "federated"
CENTRALISED = "centralised"
POOLED = "pooled"


def own_model(hospital: str) -> str:
    """The name of the model that a hospital learns alone."""
    return f"local:{hospital}"


@dataclass(frozen=True, slots=True)
class TestSet:
    """A hospital's test records, or all of them ("pooled"); counts are None where withheld.

    `withheld` says that there are too few of a label for any figure of these records.
    """

    __test__ = False  # no test for pytest

    name: str
    count: int | None
    positives: int | None
    withheld: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A model on test records; figures are None where withheld or where none can be told."""

    model: str
    test: str
    scores: Scores


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """The global model after a round (0: as the study begins) on a hospital's validation records,

    or on all test records ("pooled", without a loss). `loss` is in nats a record.
    """

    round_number: int
    where: str
    loss: float | None
    auc: Estimate | None


@dataclass(frozen=True, slots=True)
class Roc:
    """The curve of a model on test records."""

    model: str
    test: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The calibration of a model on test records."""

    model: str
    test: str
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Comparison:
    """The federated model and a rival on the same test records, federated minus rival.

    `auc` and `accuracy` above 0 and `brier` below 0 speak for the federated model. `accuracy` is
    None where they decide differently on too few patients to show or to tell anything.
    """

    rival: str
    test: str
    auc: Difference
    brier: Difference
    accuracy: Difference | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All of it; `pool_rounded` says that pooled figures are rounded to hide a withheld hospital.

    `unlearned` names hospitals with too few validation records of a label for a learning curve.
    """

    tests: tuple[TestSet, ...]
    cells: tuple[Cell, ...]
    learning: tuple[LearningPoint, ...]
    rocs: tuple[Roc, ...]
    calibrations: tuple[Calibrated, ...]
    comparisons: tuple[Comparison, ...]
    unlearned: tuple[str, ...]
    pool_rounded: bool

    def cell(self, model: str, test: str) -> Scores:
        """The figures of one cell. Raises `KeyError` where there is none."""
        for item in self.cells:
            if (item.model, item.test) == (model, test):
                return item.scores
        raise KeyError((model, test))

    def comparison(self, rival: str, test: str) -> Comparison | None:
        """The comparison with a rival on test records; None where withheld."""
        for item in self.comparisons:
            if (item.rival, item.test) == (rival, test):
                return item
        return None
