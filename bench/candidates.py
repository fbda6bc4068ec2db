"""What `bench.selection` tries for each study, and why each was worth trying.

The reasons were there before the figures. PneumoniaMNIST's children of the official test split came
to the clinic apart from those of the other splits, as a new hospital's would: images vary in
position, size and exposure more than they do within the training hospitals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from federated.codec import Config
from federated.spec import Choice, StudySpec, Training

_FLAT: Config = {"channels": [8, 16], "kernel": 3, "hidden": 128}
_DEEP: Config = {"channels": [8, 24, 48], "kernel": 3, "hidden": 192, "groups": 4}
_VARY: Config = {"vary": {"shift": 2, "zoom": 0.1, "exposure": 0.3}}
_STANDARD: Config = {"standardise": True}

STRESS: Config = {**_FLAT, "vary": {"shift": 3, "zoom": 0.15, "exposure": 0.5}}
"""How validation images are changed: half as far again as any candidate's training does."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change of the study's spec, and the reason that was known before it ran."""

    name: str
    reason: str
    change: Callable[[StudySpec], StudySpec]


def _images(
    name: str, reason: str, config: Config, *, rounds: int, epochs: int, decay: float = 0.0005
) -> Candidate:
    def change(spec: StudySpec) -> StudySpec:
        training = Training(epochs, 16, learning_rate=0.03, momentum=0.9, weight_decay=decay)
        return replace(spec, model=Choice("cnn", config), training=training, rounds=rounds)

    return Candidate(name, reason, change)


def _table(
    name: str, reason: str, *, rounds: int, epochs: int, rate: float, decay: float
) -> Candidate:
    def change(spec: StudySpec) -> StudySpec:
        training = Training(epochs, 16, learning_rate=rate, momentum=0.9, weight_decay=decay)
        return replace(spec, training=training, rounds=rounds)

    return Candidate(name, reason, change)


CANDIDATES: Mapping[str, Sequence[Candidate]] = {
    "pneumonia": (
        _images(
            "flat",
            "two layers of convolution, a strong decay: where the study began",
            {**_FLAT, **_STANDARD},
            rounds=14,
            epochs=1,
            decay=0.005,
        ),
        _images(
            "flat, varied",
            "varied images stand for machines and positions that no hospital has",
            {**_FLAT, **_VARY},
            rounds=14,
            epochs=1,
        ),
        _images(
            "deep, varied",
            "a third layer sees larger shapes; groups, because the mean of skewed hospitals' "
            "models has no common scale without them",
            {**_DEEP, **_VARY},
            rounds=14,
            epochs=1,
        ),
        _images(
            "deep, varied, 10 × 2",
            "varied images are learned from longer; fewer rounds pay for it",
            {**_DEEP, **_VARY},
            rounds=10,
            epochs=2,
        ),
        _images(
            "deep, varied, 10 × 2, standardised",
            "each image at one mean and contrast, whatever the exposure",
            {**_DEEP, **_VARY, **_STANDARD},
            rounds=10,
            epochs=2,
        ),
        _images(
            "deep, 10 × 2",
            "the same without variation, to see what it brings",
            _DEEP,
            rounds=10,
            epochs=2,
        ),
    ),
    "heart": (
        _table("6 × 3", "the study's own", rounds=6, epochs=3, rate=0.01, decay=0.03),
        _table("6 × 3, slower", "few records", rounds=6, epochs=3, rate=0.003, decay=0.03),
        _table("6 × 3, faster", "a linear model", rounds=6, epochs=3, rate=0.03, decay=0.03),
        _table("6 × 3, less decay", "13 weights", rounds=6, epochs=3, rate=0.01, decay=0.003),
        _table("6 × 10", "longer, which drifts more", rounds=6, epochs=10, rate=0.01, decay=0.03),
        _table("12 × 3", "more rounds", rounds=12, epochs=3, rate=0.01, decay=0.03),
    ),
}
