"""ResNet: stages of residual blocks of 3×3 convolutions, and the mean over the image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from federated.codec import Config
from federated.errors import SpecError
from federated.families import images, settings
from federated.families.base import Shapes

if TYPE_CHECKING:
    from torch import Tensor

_OPTIONAL = ("groups", "normalise", "standardise", "vary")
_GROUPS = 8


@dataclass(frozen=True, slots=True)
class Block:
    """Two convolutions, of which the first takes every `stride`-th place.

    What goes by them is brought to their shape by a third, of one pixel, where that is another.
    """

    name: str
    before: int
    after: int
    stride: int

    @property
    def projects(self) -> bool:
        """Whether there is a third."""
        return self.stride > 1 or self.before != self.after

    @property
    def kernels(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the convolutions' weights."""
        first = (self.after, self.before, 3, 3)
        found = first, (self.after, self.after, 3, 3), (self.after, self.before, 1, 1)
        return found if self.projects else found[:2]


class ResNet(images.ImageFamily):
    """A small residual network (He et al. 2016): `channels` of each stage, `blocks` in each.

    A first convolution, then the stages; each after the first halves the image. Every convolution
    is normalised over `groups` of its channels, by default the largest divisor of all sizes up to 8
    (Wu and He 2018), or with `normalise = "batch"` over the batch; also what `ImageFamily` says.
    """

    name = "resnet"

    def shapes(self, config: Config, shape: tuple[int, ...], outputs: int) -> Shapes:
        """The first convolution, the blocks, the output."""
        settings.keys(config, ("channels", "blocks"), _OPTIONAL)
        first, *sides = images.planes(shape)
        channels = settings.sizes(config, "channels", 6)
        settings.whole(config, "blocks", 16)
        settings.groups(config, channels)
        images.check(config)
        if min(sides) >> len(channels) - 1 == 0:
            raise SpecError("model.config.channels", "the image is too small for so many stages")
        batch = settings.word(config, "normalise", ("batch",)) == "batch"
        shapes: Shapes = {"conv.weight": (channels[0], first, 3, 3)}
        shapes |= settings.norm("norm", channels[0], batch=batch)
        for block in blocks_of(config):
            for place, kernel in enumerate(block.kernels):
                shapes[f"{block.name}.conv{place}.weight"] = kernel
                shapes |= settings.norm(f"{block.name}.norm{place}", kernel[0], batch=batch)
        return shapes | settings.dense("out", channels[-1], outputs)

    def forward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        config: Config,
        shape: tuple[int, ...],
        *,
        training: bool = False,
    ) -> Tensor:
        """All blocks, the mean over the image, the output."""
        from federated.families.layers import dense
        from federated.families.pixels import images_of
        from federated.families.residual import Residual

        network = Residual(parameters=parameters, groups=groups_of(config), training=training)
        values = network.begin(images_of(inputs, config, shape))
        for block in blocks_of(config):
            values = network.add(block, values)  # (n, channels, height, width)
        return dense(parameters, "out", values.mean(dim=(2, 3)))


def blocks_of(config: Config) -> Iterator[Block]:
    """All blocks in their order."""
    before = config["channels"][0]
    for stage, after in enumerate(config["channels"]):
        for place in range(config["blocks"]):
            stride = 2 if stage and not place else 1
            yield Block(f"stage{stage}.block{place}", before, after, stride)
            before = after


def groups_of(config: Config) -> int:
    """The setting, or the largest number up to 8 that divides every size."""
    common = math.gcd(*config["channels"])
    default = next(size for size in range(_GROUPS, 0, -1) if common % size == 0)
    return int(config.get("groups", default))
