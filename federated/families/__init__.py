"""Model families, by name: what a study's `model` may be. No code travels.

Tensors and settings are known without torch; what computes is imported where it is called. A family
that is not built in is named with the digest of its code, and runs only where that is installed.
"""

from __future__ import annotations

from federated.errors import SpecError
from federated.families.base import Family, Shapes, is_normalisation, is_running
from federated.families.cnn import Cnn
from federated.families.declared import check_declared
from federated.families.logistic import Logistic
from federated.families.mlp import Mlp
from federated.families.resnet import ResNet
from federated.families.running import load
from federated.spec import Choice

__all__ = [
    "FAMILIES",
    "Family",
    "Shapes",
    "family_of",
    "is_normalisation",
    "is_running",
    "shapes_of",
]

FAMILIES: dict[str, Family] = {
    family.name: family for family in (Logistic(), Mlp(), Cnn(), ResNet())
}


def family_of(model: Choice) -> Family:
    """What computes a model: built in, or imported after its digest was checked.

    Raises `SpecError` for an unknown name, `FamilyError` for code that is not there or other code.
    """
    return _built_in(model) if model.digest is None else load(model.name, model.digest)


def shapes_of(model: Choice, shape: tuple[int, ...], outputs: int) -> Shapes:
    """A model's tensors, without running any code that is not built in. Raises `SpecError`."""
    if model.digest is None:
        if model.tensors is not None:
            raise SpecError("model.tensors", "a built-in family knows them; leave them out")
        return _built_in(model).shapes(model.config, shape, outputs)
    if model.name in FAMILIES:
        raise SpecError("model.digest", f"{model.name} is built in; leave the digest out")
    return check_declared(model, outputs)


def _built_in(model: Choice) -> Family:
    if model.name not in FAMILIES:
        known = ", ".join(FAMILIES)
        message = f"unknown family {model.name[:40]!r}; known: {known}; others need a digest"
        raise SpecError("model.name", message)
    return FAMILIES[model.name]
