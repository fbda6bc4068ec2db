"""Model families, by name: what a study's `model` may be. No code travels.

Tensors and settings are known without torch; what computes is imported where it is called.
"""

from __future__ import annotations

from federated.errors import SpecError
from federated.families.base import Family, Shapes, is_normalisation, is_running
from federated.families.cnn import Cnn
from federated.families.logistic import Logistic
from federated.families.mlp import Mlp
from federated.families.resnet import ResNet
from federated.spec import Choice

__all__ = ["FAMILIES", "Family", "Shapes", "family_of", "is_normalisation", "is_running"]

FAMILIES: dict[str, Family] = {
    family.name: family for family in (Logistic(), Mlp(), Cnn(), ResNet())
}


def family_of(model: Choice) -> Family:
    """The registered family. Raises `SpecError` for an unknown name."""
    if model.name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise SpecError("model.name", f"unknown family {model.name[:40]!r}; known: {known}")
    return FAMILIES[model.name]
