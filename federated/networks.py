"""What each registered model family computes, in torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as nn
from numpy.random import Generator
from torch import Tensor
from torch.utils import deterministic as memory

from federated.codec import Config
from federated.models import input_shape
from federated.schema import Array, Parameters
from federated.spec import StudySpec

_BATCH = 4096


@contextmanager
def deterministic() -> Iterator[None]:
    """One intra-op thread and deterministic algorithms, and what was set before afterwards."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    filling = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms imports a compiler
    # Of use to whoever reads memory that nothing wrote; nothing here does, and it takes a tenth.
    memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


def to_torch(parameters: Parameters) -> dict[str, Tensor]:
    """Copies as torch tensors, by name."""
    return {name: torch.from_numpy(np.array(array)) for name, array in parameters.items()}


def logits(parameters: Mapping[str, Tensor], inputs: Tensor, spec: StudySpec) -> Tensor:
    """Log odds of the positive label.  # (n, width) → (n,)"""
    hidden = inputs
    if spec.model.name == "cnn":
        images = inputs.reshape(-1, 1, *input_shape(spec))
        if spec.model.config.get("standardise", False):
            images = _standardise(images)
        hidden = _convolutions(parameters, images, spec.model.config)
    layer = 0
    while f"dense{layer}.weight" in parameters:
        hidden = torch.relu(_dense(parameters, f"dense{layer}", hidden))  # (n, fan_out)
        layer += 1
    return _dense(parameters, "out", hidden).squeeze(1)


def probabilities(parameters: Parameters, inputs: Array, spec: StudySpec) -> Array:
    """Probability of the positive label.  # (n, width) float32 → (n,) float64"""
    tensors = to_torch(parameters)
    with deterministic(), torch.no_grad():
        parts = [
            torch.sigmoid(logits(tensors, torch.from_numpy(inputs[i : i + _BATCH]), spec).double())
            for i in range(0, len(inputs), _BATCH)
        ]
    result: Array = torch.cat(parts).numpy() if parts else np.zeros(0)
    return result


def varied(inputs: Tensor, spec: StudySpec, order: Generator) -> Tensor:
    """Inputs as training sees them: moved, resized and exposed a little otherwise each time.

    Only a cnn's `vary` asks for it; all else is given back as it is.  # (n, width) → (n, width)
    """
    vary = spec.model.config.get("vary") if spec.model.name == "cnn" else None
    if not vary:
        return inputs
    n, (height, width) = len(inputs), input_shape(spec)
    draws = torch.from_numpy(order.uniform(-1, 1, (n, 4)).astype(np.float32))  # (n, 4)
    moves = 2 * vary["shift"] * draws[:, :2] / torch.tensor([width, height])  # of half a side
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = 1 + vary["zoom"] * draws[:, 2]
    affine[:, :, 2] = moves
    images = inputs.reshape(-1, 1, height, width)
    places = nn.affine_grid(affine, list(images.shape), align_corners=False)
    images = nn.grid_sample(images, places, padding_mode="border", align_corners=False)
    power = (1 + vary["exposure"]) ** draws[:, 3]  # as often darker as lighter
    shade = ((images + 2) / 4).clamp(0, 1) ** power[:, None, None, None]  # inputs span -2 to 2
    result: Tensor = (shade * 4 - 2).reshape(n, -1)
    return result


def _dense(parameters: Mapping[str, Tensor], name: str, inputs: Tensor) -> Tensor:
    return nn.linear(inputs, parameters[f"{name}.weight"], parameters[f"{name}.bias"])


def _halved(images: Tensor) -> Tensor:
    """The maximum of each two by two; the very bits of either layout, a third of the time in this.

    # (n, channels, height, width) → (n, channels, height / 2, width / 2)
    """
    interleaved = images.contiguous(memory_format=torch.channels_last)
    return nn.max_pool2d(interleaved, 2).contiguous()


def _standardise(images: Tensor) -> Tensor:
    """Each image with mean 0 and variance 1 over its own pixels; one of a single level is all 0."""
    centred = images - images.mean(dim=(2, 3), keepdim=True)  # (n, 1, height, width)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True).sqrt() + 1e-6)


def _convolutions(parameters: Mapping[str, Tensor], images: Tensor, config: Config) -> Tensor:
    """All layers of convolution.  # (n, 1, height, width) → (n, features)"""
    groups, average = config.get("groups", 0), config.get("average", False)
    last = len(config["channels"]) - 1
    for layer in range(last + 1):
        name = f"conv{layer}"
        images = nn.conv2d(
            images, parameters[f"{name}.weight"], parameters[f"{name}.bias"], padding="same"
        )
        if groups:
            gain, bias = 1 + parameters[f"norm{layer}.gain"], parameters[f"norm{layer}.bias"]
            images = nn.group_norm(images, groups, gain, bias)
        if layer < last or not average:
            images = _halved(images)
        images = torch.relu(images)  # after the maximum, which it leaves alone: a quarter to do
    return images.mean(dim=(2, 3)) if average else images.flatten(1)
