"""What speaks for and against, shown on an X-ray."""

from __future__ import annotations

from typing import Any

import numpy as np

from api.bedside.text import percent
from api.errors import ApiError
from federated.bedside.overlay import Legend, overlay
from federated.hospital.bedside import Bedside
from federated.hospital.predict import Prediction


def picture_of(bedside: Bedside, item: Prediction, tree: dict[str, Any]) -> bytes:
    """A PNG file: the X-ray, and beside it the parts of its explanation.

    Raises `ApiError` where the case has no explanation.
    """
    pixels = item.case.values[0]
    if item.explanation is None or not isinstance(pixels, bytes):
        raise ApiError(
            "--picture: this case has no explanation whose parts sum to it: leave it out"
        )
    shape = bedside.spec.data.features[0].shape
    label = bedside.spec.data.label
    origin = tree["provenance"]
    chance = tree["cases"][0]["probability"]
    kind = "calibrated" if tree["cases"][0]["calibrated"] else "not calibrated"
    legend = Legend(
        title=f"{bedside.spec.title}: {label.name} {label.positive} {percent(chance)} ({kind})",
        speaks_for=f"speaks for {label.positive}",
        speaks_against=f"speaks against {label.positive}",
        lines=(
            "Left the picture as the model reads it; right what moves the model, by integrated "
            "gradients",
            f"against the average of {tree['cases'][0]['explanation']['reference_patients']} "
            f"training patients. Study {origin['study']}, round {origin['round']}, model "
            f"{tree['model']['kind']}.",
            "It shows what the model looks at, not where disease is.",
            "A reference, never a verdict.",
        ),
    )
    levels = np.frombuffer(pixels, np.uint8).reshape(shape)
    return overlay(levels, item.explanation.parts.reshape(shape), legend)
