"""What a model family is: its settings, its tensors, and what it computes from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from federated.codec import Config

if TYPE_CHECKING:  # torch takes seconds: a family imports it in what computes, and nowhere else
    from numpy.random import Generator
    from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
"""Tensors by name. A layer whose name begins with `norm` normalises (`is_normalisation`)."""


class Family(ABC):
    """A registered kind of model. `shape` is that of one patient's inputs, `width` its product."""

    name: ClassVar[str]

    @abstractmethod
    def shapes(self, config: Config, shape: tuple[int, ...], outputs: int) -> Shapes:
        """The tensors of a model with these settings. Raises `SpecError` for impossible ones."""

    @abstractmethod
    def forward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        config: Config,
        shape: tuple[int, ...],
        *,
        training: bool = False,
    ) -> Tensor:
        """What the last layer gives.  # (n, width) → (n, outputs)

        While `training`, batch normalisation moves its running tensors in place.
        """

    def varied(
        self, inputs: Tensor, config: Config, shape: tuple[int, ...], order: Generator
    ) -> Tensor:
        """Inputs as training sees them this time.  # (n, width) → (n, width)"""
        del config, shape, order
        return inputs


def is_normalisation(tensor: str) -> bool:
    """Whether a tensor belongs to a layer that normalises: "norm0.gain", "stage1.norm2.bias"."""
    return any(part.startswith("norm") for part in tensor.split(".")[:-1])


def is_running(tensor: str) -> bool:
    """Whether it is a batch normalisation's running mean or variance, which no gradient moves."""
    return is_normalisation(tensor) and tensor.endswith((".mean", ".variance"))
