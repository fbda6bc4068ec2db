"""The study spec, whole: everything that a hospital approves by one digest."""

from __future__ import annotations

import json
from dataclasses import dataclass

from federated.canonical import Digest, digest, encode
from federated.codec import Form, to_tree
from federated.spec.data import Data, Split
from federated.spec.learning import Choice, GridTerms, Late, Sampling, Search, Training
from federated.spec.terms import Auditor, Phases, Reward, Terms

FORMAT = "consilium/study/1"


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
