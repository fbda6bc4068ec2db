"""What a spec declares of a family that is not built in."""

from __future__ import annotations

import re

from federated.errors import SpecError
from federated.families.base import Shapes
from federated.spec import Choice

_MOST = 4096
_LARGEST = 1 << 31


def check_declared(model: Choice, outputs: int) -> Shapes:
    """The tensors by name. Raises `SpecError` that names the key of what no model can have.

    The last layer is dense and called `out`: predictions are explained by what it reads.
    """
    if not re.fullmatch("[a-z0-9-]{1,32}", model.name):
        raise SpecError("model.name", "1 to 32 of a-z, 0-9 and '-' are expected")
    if not re.fullmatch("[0-9a-f]{64}", model.digest or ""):
        raise SpecError("model.digest", "64 of 0-9 and a-f are expected")
    tensors = model.tensors or ()
    if not 0 < len(tensors) <= _MOST:
        raise SpecError("model.tensors", f"1 to {_MOST} are expected, as the family has them")
    for i, tensor in enumerate(tensors):
        key = f"model.tensors[{i}]"
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}(\.[a-z0-9_]{1,32}){1,6}", tensor.name):
            raise SpecError(key, "a name is parts of a-z, 0-9 and '_' with dots between")
        if len(tensor.shape) > 8 or not all(0 < size < _LARGEST for size in tensor.shape):
            raise SpecError(key, "a shape has at most 8 sizes, each from 1 to 2^31 − 1")
    names = [tensor.name for tensor in tensors]
    if names != sorted(set(names), key=str.encode):
        raise SpecError("model.tensors", "sort names, each once")
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    last = shapes.get("out.weight", ())
    if len(last) != 2 or last[0] != outputs or shapes.get("out.bias") != (outputs,):
        raise SpecError("model.tensors", f"out.weight and out.bias must give {outputs} outputs")
    return shapes
