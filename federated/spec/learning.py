"""What is trained, how, and on which grid updates lie."""

from __future__ import annotations

from dataclasses import dataclass, field

from federated.codec import Config
from federated.schema import Tensor


@dataclass(frozen=True, slots=True)
class Choice:
    """A registered model family or strategy, by name, and its settings.

    A family that is not built in has the `digest` of its code (64 hexadecimal digits), and declares
    its `tensors` in the order of their names' bytes: who runs no model needs no code.
    """

    name: str
    config: Config = field(default_factory=dict)
    digest: str | None = None
    tensors: tuple[Tensor, ...] | None = None

    @property
    def listed_as(self) -> str:
        """The name, and of what is not built in the digest of its code, as policies list it."""
        return self.name if self.digest is None else f"{self.name}@{self.digest}"


@dataclass(frozen=True, slots=True)
class Training:
    """Local training by stochastic gradient descent in each round.

    With `updates`, a hospital takes that many steps however many records it has, and `epochs` is 1:
    the batches of one pass after the other until they are taken.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    updates: int | None = None

    def steps(self, records: int) -> int:
        """How many steps a round's training on so many records takes."""
        if self.updates is not None:
            return self.updates
        return self.epochs * -(-records // self.batch_size)


@dataclass(frozen=True, slots=True)
class GridTerms:
    """L2 bound of an update, its fixed-point fraction bits, the largest weight of one hospital."""

    clip_norm: float
    grid_bits: int
    max_weight: int


@dataclass(frozen=True, slots=True)
class Late:
    """Updates that miss their round. `rule` "next-round": a later round takes them while the model
    moved on `most` times or fewer since they were begun (`federated.staleness`).
    """

    rule: str
    most: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """Each round is for so many of the enrolled hospitals, drawn anew (`federated.drawing`)."""

    hospitals: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate of a search: settings of `training` and of `strategy.config` in the place of the
    spec's; what is left out stays as it is there.
    """

    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    updates: int | None = None
    strategy: Config | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """The study's first rounds try settings, `rounds` each; the best are the rest's.

    `reports` is how many hospitals must have judged a candidate's model for it to be chosen
    (`federated.search`).
    """

    rounds: int
    candidates: tuple[Tried, ...]
    reports: int = 1
