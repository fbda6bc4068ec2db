"""What families of images share: the image's shape, and how training may vary it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from federated.codec import Config
from federated.errors import SpecError
from federated.families import settings
from federated.families.base import Family

if TYPE_CHECKING:
    from numpy.random import Generator
    from torch import Tensor

VARY = {"shift": 16.0, "zoom": 0.5, "exposure": 4.0}
"""How training may vary images, and the most of each: pixels, shares."""


class ImageFamily(Family):
    """Optional `standardise` first brings each image to mean 0 and variance 1 over its own pixels,
    so that the exposure of one hospital's machine plays no part; `vary` changes images in training.
    """

    def varied(
        self, inputs: Tensor, config: Config, shape: tuple[int, ...], order: Generator
    ) -> Tensor:
        """Moved, resized and exposed a little otherwise each time, where `vary` asks for it."""
        if not (vary := config.get("vary")):
            return inputs
        from federated.families.pixels import vary_images

        return vary_images(inputs, vary, planes(shape), order)


def planes(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(channels, height, width) of an image, which has one channel unless it says otherwise."""
    if len(shape) not in (2, 3):
        wanted = "[height, width] or [channels, height, width]"
        raise SpecError("model.name", f"images need exactly one feature, of shape {wanted}")
    channels, height, width = shape if len(shape) == 3 else (1, *shape)
    return channels, height, width


def check(config: Config) -> None:
    """Raise `SpecError` for a `standardise` or `vary` that is none."""
    settings.flag(config, "standardise")
    vary: Any = config.get("vary", VARY)
    if not isinstance(vary, Mapping) or set(vary) != set(VARY):
        raise SpecError("model.config.vary", f"a table of {', '.join(VARY)} is expected")
    for key, most in VARY.items():
        if type(vary[key]) not in (int, float) or not 0 <= vary[key] <= most:
            raise SpecError(f"model.config.vary.{key}", f"a number from 0 to {most} is expected")
