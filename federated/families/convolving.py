"""The convolutions of a cnn, in torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as nn
from torch import Tensor

from federated.codec import Config
from federated.families.layers import normalised


def convolved(
    parameters: Mapping[str, Tensor], images: Tensor, config: Config, *, training: bool
) -> Tensor:
    """All layers of convolution.  # (n, channels, height, width) → (n, features)"""
    average, last = config.get("average", False), len(config["channels"]) - 1
    for layer in range(last + 1):
        name = f"conv{layer}"
        images = nn.conv2d(
            images, parameters[f"{name}.weight"], parameters[f"{name}.bias"], padding="same"
        )
        if f"norm{layer}.gain" in parameters:
            groups = config.get("groups", 1)
            images = normalised(parameters, f"norm{layer}", images, groups, training=training)
        if layer < last or not average:
            images = _halved(images)
        images = torch.relu(images)  # after the maximum, which it leaves alone: a quarter to do
    return images.mean(dim=(2, 3)) if average else images.flatten(1)


def _halved(images: Tensor) -> Tensor:
    """The maximum of each two by two; the very bits of either layout, a third of the time in this.

    # (n, channels, height, width) → (n, channels, height / 2, width / 2)
    """
    interleaved = images.contiguous(memory_format=torch.channels_last)
    return nn.max_pool2d(interleaved, 2).contiguous()
