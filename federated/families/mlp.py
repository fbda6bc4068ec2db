"""MLP: dense layers of `hidden` units with ReLU."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from federated.codec import Config
from federated.families import settings
from federated.families.base import Family, Shapes

if TYPE_CHECKING:
    from torch import Tensor


class Mlp(Family):
    """`hidden` are the layers' widths. Optional `normalise` brings what each layer gives to mean 0
    and variance 1 before ReLU: "layer" over a patient's units, "batch" over the batch's patients.
    """

    name = "mlp"

    def shapes(self, config: Config, shape: tuple[int, ...], outputs: int) -> Shapes:
        """The hidden layers, then the output."""
        settings.keys(config, ("hidden",), ("normalise",))
        normalise = settings.word(config, "normalise", ("layer", "batch"))
        widths = [math.prod(shape), *settings.sizes(config, "hidden", 8)]
        shapes: Shapes = {}
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            shapes |= settings.dense(f"dense{layer}", fan_in, fan_out)
            if normalise:
                shapes |= settings.norm(f"norm{layer}", fan_out, batch=normalise == "batch")
        return shapes | settings.dense("out", widths[-1], outputs)

    def forward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        config: Config,
        shape: tuple[int, ...],
        *,
        training: bool = False,
    ) -> Tensor:
        """Layer after layer."""
        from federated.families.layers import dense, normalised

        del shape
        hidden = inputs
        for layer in range(len(config["hidden"])):
            hidden = dense(parameters, f"dense{layer}", hidden)  # (n, fan_out)
            if "normalise" in config:
                hidden = normalised(parameters, f"norm{layer}", hidden, 1, training=training)
            hidden = hidden.relu()
        return dense(parameters, "out", hidden)
