"""A residual network's blocks, in torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as nn
from torch import Tensor

from federated.families.layers import normalised
from federated.families.resnet import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """One set of parameters in use."""

    parameters: Mapping[str, Tensor]
    groups: int
    training: bool

    def begin(self, images: Tensor) -> Tensor:
        """The first convolution.  # (n, planes, height, width) → (n, channels, height, width)"""
        return self._convolved("conv", "norm", images, 1).relu()

    def add(self, block: Block, values: Tensor) -> Tensor:
        """ReLU of the block's two convolutions plus what goes by them."""
        name = block.name
        inner = self._convolved(f"{name}.conv0", f"{name}.norm0", values, block.stride).relu()
        inner = self._convolved(f"{name}.conv1", f"{name}.norm1", inner, 1)
        if block.projects:
            values = self._convolved(f"{name}.conv2", f"{name}.norm2", values, block.stride)
        return (inner + values).relu()

    def _convolved(self, conv: str, norm: str, values: Tensor, stride: int) -> Tensor:
        weight = self.parameters[f"{conv}.weight"]
        values = nn.conv2d(values, weight, stride=stride, padding=weight.shape[-1] // 2)
        return normalised(self.parameters, norm, values, self.groups, training=self.training)
