"""The study spec: everything that a hospital approves by one digest before it takes part.

`StudySpec` ↔ canonical bytes (hashed, on-chain by digest) ↔ TOML or JSON (written by people).
"""

from federated.spec.data import Criterion, Data, Feature, Label, Split
from federated.spec.learning import Choice, GridTerms, Late, Sampling, Search, Training, Tried
from federated.spec.study import FORMAT, StudySpec
from federated.spec.terms import Auditor, Phases, Reward, Terms

__all__ = [
    "FORMAT",
    "Auditor",
    "Choice",
    "Criterion",
    "Data",
    "Feature",
    "GridTerms",
    "Label",
    "Late",
    "Phases",
    "Reward",
    "Sampling",
    "Search",
    "Split",
    "StudySpec",
    "Terms",
    "Training",
    "Tried",
]
