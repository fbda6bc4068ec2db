"""Images in torch: brought to one exposure, moved and resized."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as nn
from numpy.random import Generator
from torch import Tensor

from federated.codec import Config
from federated.families.images import planes


def images_of(inputs: Tensor, config: Config, shape: tuple[int, ...]) -> Tensor:
    """As the first layer sees them.  # (n, width) → (n, channels, height, width)"""
    images = inputs.reshape(-1, *planes(shape))
    return _standardise(images) if config.get("standardise", False) else images


def vary_images(
    inputs: Tensor, vary: Mapping[str, float], size: tuple[int, int, int], order: Generator
) -> Tensor:
    """Moved, resized and exposed by what `order` draws.  # (n, width) → (n, width)"""
    n, (_, height, width) = len(inputs), size
    draws = torch.from_numpy(order.uniform(-1, 1, (n, 4)).astype(np.float32))  # (n, 4)
    moves = 2 * vary["shift"] * draws[:, :2] / torch.tensor([width, height])  # of half a side
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = 1 + vary["zoom"] * draws[:, 2]
    affine[:, :, 2] = moves
    images = inputs.reshape(-1, *size)
    places = nn.affine_grid(affine, list(images.shape), align_corners=False)
    images = nn.grid_sample(images, places, padding_mode="border", align_corners=False)
    power = (1 + vary["exposure"]) ** draws[:, 3]  # as often darker as lighter
    shade = ((images + 2) / 4).clamp(0, 1) ** power[:, None, None, None]  # inputs span -2 to 2
    result: Tensor = (shade * 4 - 2).reshape(n, -1)
    return result


def _standardise(images: Tensor) -> Tensor:
    """Each image with mean 0 and variance 1 over its own pixels; one of a single level is all 0."""
    centred = images - images.mean(dim=(2, 3), keepdim=True)  # (n, channels, height, width)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True).sqrt() + 1e-6)
