"""The hospital's own policy: what a study may ask for, decided by the hospital and nobody else.

Each rule is one field; what it demands and why stands in its metadata, from which `policy init` and
docs/policy.md are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from federated.codec import Address


def _rule(default: Any, says: str, why: str, example: str = "") -> Any:
    return field(default=default, metadata={"says": says, "why": why, "example": example})


@dataclass(frozen=True, slots=True)
class Policy:
    """What studies may ask of this hospital. An empty list, 0 as a least and None set no rule."""

    purposes: tuple[str, ...] = _rule(
        (),
        "The study's purposes must be covered, as by a tier of these DUO codes: a permission "
        "includes what it implies, a restriction must bind the study too",
        "the data were collected for something",
        '["HMB", "NCU"]',
    )
    modes: tuple[str, ...] = _rule(
        (),
        "Modes of a study: open, masked",
        "in open mode the center and the auditors read each update",
        '["masked"]',
    )
    tasks: tuple[str, ...] = _rule(
        (), "Tasks that a model may have", "what may be predicted of people", '["binary"]'
    )
    models: tuple[str, ...] = _rule(
        (),
        "Model families; one that is not built in by NAME@DIGEST, and never without being listed",
        "a large model can learn people by heart; and code that somebody installed runs on records",
        '["logistic", "mlp"]',
    )
    most_parameters: int = _rule(
        100_000_000, "Parameters of the model, at most", "as for `models`; and time and disk"
    )
    strategies: tuple[str, ...] = _rule(
        (), "Strategies of the rounds", "some send more than the model's parameters", '["fedavg"]'
    )
    most_rounds: int = _rule(256, "Rounds, at most", "each round tells something of the cohort")
    most_epochs: int = _rule(
        1000, "Passes over the records in a round, at most", "more passes fit single people closer"
    )
    least_hospitals: int = _rule(
        1,
        "Hospitals that a round needs, at least",
        "the model of a round of one hospital is that hospital's update",
    )
    least_cohort: int = _rule(
        20, "People in a cohort, at least", "what few people share tells of each"
    )
    least_training: int = _rule(
        5,
        "People of a cohort who train, at least",
        "a large cohort of which all but a few are set aside to judge hides nobody",
    )
    least_per_class: int = _rule(
        0, "People of each class who train, at least", "the only ill one stands out"
    )
    dictionaries: tuple[str, ...] = _rule(
        (), "Data dictionaries (tables)", "which records may be used", '["heart-disease/1"]'
    )
    denied_features: tuple[str, ...] = _rule(
        (),
        "Fields that are no input, label or criterion of any model, however they are spelt",
        "some fields never serve",
        '["postcode"]',
    )
    centers: tuple[Address, ...] = _rule(
        (), "Centers that may ask", "the center reads what leaves", '["0x…"]'
    )
    denied_centers: tuple[Address, ...] = _rule(
        (), "Centers that may not ask", "as for `centers`", '["0x…"]'
    )
    auditors: tuple[Address, ...] = _rule(
        (),
        "Auditors whom the study must name, all of them",
        "whose word on aggregates the hospital trusts",
        '["0x…"]',
    )
    least_auditors: int = _rule(
        0,
        "Named auditors besides the center, at least",
        "without one nobody but the center can recompute an aggregate; each also reads updates",
    )
    rewards: tuple[str, ...] = _rule(
        (),
        "Reward rules: count, leave-one-out, tmc-shapley, gtg-shapley",
        "for all but count hospitals judge the models without each other, and so can tell what "
        "each one's update was",
        '["count"]',
    )
    after_void: tuple[str, ...] = _rule(
        (),
        "What follows a void: go-back, go-on",
        "going on keeps a model that descends from a false update",
        '["go-back"]',
    )
    tokens: tuple[Address, ...] = _rule(
        (), "Tokens that the study pays in", "the center chooses it, and can control it", '["0x…"]'
    )
    most_studies: int = _rule(
        16, "Studies at once, at most", "several models of one cohort tell more than one"
    )
    epsilon_per_study: float | None = _rule(
        None,
        "ε that a study may spend. Studies carry no privacy noise yet and declare no budget: while "
        "this rule stands, every study is refused",
        "a limit that nothing keeps must not look kept",
        "1.0",
    )
    epsilon_per_year: float | None = _rule(
        None, "ε that all studies may spend in a year; refuses as the rule above", "the same", "3.0"
    )
