"""The study spec: everything that a hospital approves by one digest before it takes part.

`StudySpec` ↔ canonical bytes (hashed, on-chain by digest) ↔ TOML or JSON (written by people). Times
are seconds; those of `Terms` count from the opening of the study, those of `Phases` from the
opening of a round and each from the end of the phase before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from chain.types import Wei
from federated.canonical import Digest, digest, encode
from federated.codec import Address, Config, Form, to_tree
from federated.errors import SpecError
from federated.schema import Tensor

FORMAT = "consilium/study/1"


@dataclass(frozen=True, slots=True)
class Feature:
    """An input of the model: one number, or an array of `shape` (an image).

    `minimum` and `maximum` are the plausible range in `unit` (UCUM): values outside are quarantined
    by the hospital, and inputs are scaled by it.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """What is predicted, in the column `name`; the study's task says which other keys it has.

    `positive` and `negative` are its two values; in a survival study that of a patient who had the
    event, and of one last seen without it. `classes` are its values in the order that they are
    shown in. `unit` (UCUM) and `minimum`, `maximum` are of an amount, and in a survival study of
    the column `time`, which counts from 0 to the event or to when the patient was last seen.
    """

    name: str
    positive: str | None = None
    negative: str | None = None
    classes: tuple[str, ...] | None = None
    time: str | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def range(self) -> tuple[float, float]:
        """What is plausible of the amount, or of the time. Raises `SpecError`."""
        low = 0.0 if self.time is not None else self.minimum
        if low is None or self.maximum is None:
            missing = "minimum" if low is None else "maximum"
            raise SpecError(f"data.label.{missing}", "missing key; this task needs it")
        return low, self.maximum

    @property
    def words(self) -> tuple[str, ...]:
        """The column's values by the number that stands for them; none for an amount."""
        if self.classes is not None:
            return self.classes
        return () if self.positive is None else (self.negative or "", self.positive)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A patient is eligible when the feature `field` lies in [minimum, maximum]."""

    field: str
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Data:
    """The dictionary that each hospital maps its records to."""

    dictionary: str
    features: tuple[Feature, ...]
    label: Label
    eligibility: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Fractions of a hospital's records that train on nothing; the rest trains."""

    validation: float
    test: float


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
class Phases:
    """Length of each phase of a round; `unmask_s` is 0 exactly in open mode."""

    freeze_s: int
    submit_s: int
    unmask_s: int
    finalize_s: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Ends of the study's periods, seconds after its opening, and the rules for demands.

    `end_by_s`: last finalize. `settle_s`: last reward root. `challenge_s`: last challenge.
    `claim_s`: last claim. `refund_s`: what is left returns to the center. `max_patients`: cap on
    the consents that one hospital may admit.
    """

    end_by_s: int
    settle_s: int
    challenge_s: int
    claim_s: int
    refund_s: int
    answer_s: int
    demand_deposit_wei: Wei
    max_demands: int
    max_patients: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """Each round is for so many of the enrolled hospitals, drawn anew (`federated.drawing`)."""

    hospitals: int


@dataclass(frozen=True, slots=True)
class Late:
    """Updates that miss their round. `rule` "next-round": a later round takes them while the model
    moved on `most` times or fewer since they were begun (`federated.staleness`).
    """

    rule: str
    most: int


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


@dataclass(frozen=True, slots=True)
class Reward:
    """How hospitals share `hospitals_wei` of the budget; `contribution.RULES` has the rules.

    `config` holds the settings of a rule that has some.
    """

    rule: str
    budget_wei: Wei
    hospitals_wei: Wei
    bond_wei: Wei
    config: Config | None = None


@dataclass(frozen=True, slots=True)
class Auditor:
    """An auditor whom updates are sealed to, and whose vote counts."""

    address: Address


@dataclass(frozen=True, slots=True)
class StudySpec:
    """A study, whole. `seed` drives initial parameters, splits and shuffles.

    `after_void`: "go-on" keeps a model that descends from a voided update (flagged), "go-back"
    opens the next round from the last one that does not. Without `late`, what comes after
    `submitBy` is dropped. Without `sampling`, each round is for all hospitals. Without `search`,
    all rounds have the settings of `training` and `strategy`.
    """

    format: str
    name: str
    title: str
    question: str
    purposes: tuple[str, ...]
    task: str
    mode: str
    seed: int
    rounds: int
    min_hospitals: int
    max_hospitals: int
    data: Data
    split: Split
    model: Choice
    strategy: Choice
    training: Training
    grid: GridTerms
    phases: Phases
    terms: Terms
    reward: Reward
    auditors: tuple[Auditor, ...] = ()
    auditor_quorum: int = 0
    threshold: int = 0
    after_void: str = "go-back"
    late: Late | None = None
    sampling: Sampling | None = None
    search: Search | None = None

    @property
    def masked(self) -> bool:
        """Whether the center sees only the sum of the updates."""
        return self.mode == "masked"

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return encode(to_tree(self, StudySpec, Form.CANONICAL))

    def digest(self) -> Digest:
        """sha2-256 of the canonical bytes: what hospitals approve and the chain holds."""
        return digest(self.to_bytes())

    def to_json(self) -> str:
        """The text form as JSON, to be read by `spec_files.read_json`."""
        return json.dumps(to_tree(self, StudySpec, Form.TEXT), indent=2, ensure_ascii=False) + "\n"
