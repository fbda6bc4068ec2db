"""CNN: convolutions of `channels` (ReLU, 2×2 maximum), then dense."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from federated.codec import Config
from federated.errors import SpecError
from federated.families import images, settings
from federated.families.base import Shapes

if TYPE_CHECKING:
    from torch import Tensor

_OPTIONAL = ("hidden", "groups", "normalise", "average", "standardise", "vary")


class Cnn(images.ImageFamily):
    """Optional: `groups` normalises what each convolution gives over so many groups of its
    channels, `normalise = "batch"` over the batch; `average` puts the mean over the image in place
    of the last maximum; no `hidden`, no dense layer; what `ImageFamily` says.
    """

    name = "cnn"

    def shapes(self, config: Config, shape: tuple[int, ...], outputs: int) -> Shapes:
        """The convolutions, a dense layer, the output."""
        settings.keys(config, ("channels", "kernel"), _OPTIONAL)
        first, *sides = images.planes(shape)
        channels, average = settings.sizes(config, "channels", 6), settings.flag(config, "average")
        images.check(config)
        if settings.whole(config, "kernel", 11) % 2 == 0:
            raise SpecError("model.config.kernel", "an odd number is expected")
        shapes = _convolutions(config, [first, *channels])
        places = math.prod(side >> len(channels) - average for side in sides)
        if not places:
            raise SpecError("model.config.channels", "the image is too small for so many layers")
        features = channels[-1] * (1 if average else places)
        if "hidden" in config:
            hidden = settings.whole(config, "hidden", 4096)
            shapes, features = shapes | settings.dense("dense0", features, hidden), hidden
        return shapes | settings.dense("out", features, outputs)

    def forward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        config: Config,
        shape: tuple[int, ...],
        *,
        training: bool = False,
    ) -> Tensor:
        """All convolutions, then what is dense."""
        from federated.families.convolving import convolved
        from federated.families.layers import dense
        from federated.families.pixels import images_of

        seen = images_of(inputs, config, shape)
        hidden = convolved(parameters, seen, config, training=training)  # (n, features)
        if "hidden" in config:
            hidden = dense(parameters, "dense0", hidden).relu()
        return dense(parameters, "out", hidden)


def _convolutions(config: Config, channels: list[int]) -> Shapes:
    batch = settings.word(config, "normalise", ("batch",)) == "batch"
    groups, kernel = settings.groups(config, channels[1:]), config["kernel"]
    shapes: Shapes = {}
    for layer, (before, after) in enumerate(itertools.pairwise(channels)):
        shapes[f"conv{layer}.weight"] = (after, before, kernel, kernel)
        shapes[f"conv{layer}.bias"] = (after,)
        if batch or groups:
            shapes |= settings.norm(f"norm{layer}", after, batch=batch)
    return shapes
