"""Everything that a report shows, as it lies in report.json; amounts in the token's smallest unit.

Hospitals are named, and elsewhere given by their index in the study. Digests are hexadecimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federated.chosen import Searched
from federated.evaluation.result import Evaluation
from federated.metrics import Estimate, Scores
from federated.outcome import Fate

FORMAT = "consilium/report/5"


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What was asked, and how it was to be learned."""

    number: int
    name: str
    title: str
    question: str
    purposes: tuple[str, ...]
    seed: int
    model: str
    parameters: int
    features: int
    strategy: str
    mode: str
    rounds: int
    outcome: str
    positive: str
    negative: str
    reward_rule: str
    after_void: str
    spec_digest: str


@dataclass(frozen=True, slots=True)
class Consents:
    """People over the whole study; `cohorts` by round, then by hospital (None: none frozen)."""

    asked: int
    granted: int
    refused: int
    revoked: int
    cohorts: tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Cells that one cleaning rule altered; None where 1 to 4."""

    rule: str
    cells: int | None


@dataclass(frozen=True, slots=True)
class Quality:
    """A hospital's file by counts; None where 1 to 4, and `rows` where they would give these."""

    hospital: str
    rows: int | None
    quarantined: int | None
    cleaned: tuple[Cleaned, ...]


@dataclass(frozen=True, slots=True)
class Contribution:
    """A measured contribution in nats, as `federated.contribution.Confidence` says it."""

    value: float
    orders_se: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """What a hospital gave and got.

    `weight` is what the chain counted; `contribution` is in nats over all other hospitals' reports
    and all rounds, None where the study does not measure it.
    """

    hospital: str
    weight: int
    contribution: Contribution | None
    paid: int


@dataclass(frozen=True, slots=True)
class Money:
    """The escrow's account at the end; `refunded` went back to the center.

    `gains` are by reporting hospital, then by the others: what the latter's updates spared the
    former's validation records over all rounds, in 1/65536 nats, rounded. Empty where the study
    does not measure it, None where nothing is reported.
    """

    budget: int
    paid: int
    refunded: int
    patients: int
    patients_total: int
    shares: tuple[Share, ...]
    gains: tuple[tuple[int | None, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Transfer:
    """One sealed update on its way: bytes of the payload, seconds for each leg."""

    backend: str
    round_number: int
    hospital: str
    bytes: int
    upload_s: float
    download_s: float
    chain_s: float


@dataclass(frozen=True, slots=True)
class StoreCase:
    """One line of the comparison of a private store alone with the store and a record on chain."""

    what: str
    bytes: int
    repeats: int
    ipfs_upload_s: float
    ipfs_download_s: float
    recorded_upload_s: float
    recorded_download_s: float


@dataclass(frozen=True, slots=True)
class CheckGroup:
    """An audit's results of one name."""

    name: str
    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """One result that does not hold."""

    name: str
    round_number: int | None
    hospital: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The verdict, and up to which block."""

    level: str
    block: int
    ok: bool
    groups: tuple[CheckGroup, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """A hospital in a round, as `federated.outcome.Outcome` tells it.

    `manifest` names the sealed update; what is included and voided was voided afterwards.
    """

    hospital: str
    fate: Fate
    people: int
    weight: int
    manifest: str
    code: str
    included: bool
    staleness: int
    restored: bool


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """A round as the chain tells it; `state` is empty where it was not finalized."""

    number: int
    parent: int
    phase: str
    contaminated: bool
    start_state: str
    state: str
    manifest: str
    updates: tuple[Update, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """From the study's spec to the final model."""

    first_state: str
    rounds: tuple[RoundFacts, ...]
    final_round: int
    final_state: str


@dataclass(frozen=True, slots=True)
class Signed:
    """The final model on a hospital's own test patients, from counts that the hospital signed."""

    hospital: str
    scores: Scores


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A model on test records; no figures where withheld, and `people` where they are told."""

    model: str
    test: str
    figures: Mapping[str, Estimate | None]
    withheld: bool
    people: int | None = None


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """Of a study of another task than two labels: what hospitals signed, what was simulated."""

    names: tuple[str, ...]
    signed: tuple[TaskRow, ...]
    simulated: tuple[TaskRow, ...]


@dataclass(frozen=True, slots=True)
class ReportData:
    """One report."""

    format: str
    study: StudyFacts
    hospitals: tuple[str, ...]
    evaluation: Evaluation
    signed: tuple[Signed, ...]
    consents: Consents
    quality: tuple[Quality, ...]
    money: Money
    transfers: tuple[Transfer, ...]
    stores: tuple[StoreCase, ...]
    audit: Audit
    provenance: Provenance
    search: tuple[Searched, ...] = ()
    figures: TaskFigures | None = None
