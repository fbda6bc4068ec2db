"""Layers that families share, in torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as nn
from torch import Tensor

_PACE = 0.1  # of a running mean and variance towards those of a batch


def dense(parameters: Mapping[str, Tensor], name: str, inputs: Tensor) -> Tensor:
    """A weighted sum and a bias.  # (n, fan-in) → (n, fan-out)"""
    return nn.linear(inputs, parameters[f"{name}.weight"], parameters[f"{name}.bias"])


def normalised(
    parameters: Mapping[str, Tensor], name: str, values: Tensor, groups: int, *, training: bool
) -> Tensor:
    """Over groups of channels or, where the layer keeps a running mean, over the batch.

    # (n, channels, …) → the same. While training a batch of which there is one value of each
    channel has no variance: the running tensors serve.
    """
    gain, bias = 1 + parameters[f"{name}.gain"], parameters[f"{name}.bias"]
    if f"{name}.mean" not in parameters:
        return nn.group_norm(values, groups, gain, bias)
    running = parameters[f"{name}.mean"], parameters[f"{name}.variance"]
    own = training and values.numel() > values.shape[1]
    return nn.batch_norm(values, *running, gain, bias, training=own, momentum=_PACE)
