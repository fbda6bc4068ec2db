"""Logistic: a weighted sum of the inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from federated.codec import Config
from federated.families import settings
from federated.families.base import Family, Shapes

if TYPE_CHECKING:
    from torch import Tensor


class Logistic(Family):
    """No settings."""

    name = "logistic"

    def shapes(self, config: Config, shape: tuple[int, ...], outputs: int) -> Shapes:
        """A weight of each input for each output."""
        settings.keys(config, ())
        return settings.dense("out", math.prod(shape), outputs)

    def forward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        config: Config,
        shape: tuple[int, ...],
        *,
        training: bool = False,
    ) -> Tensor:
        """One layer."""
        from federated.families.layers import dense

        del config, shape, training
        return dense(parameters, "out", inputs)
