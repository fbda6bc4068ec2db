"""Registered model families: their settings, tensors and initial parameters. No torch here.

A study names a family and its settings; no code travels. What a family computes is in `networks`.

Initial parameters are drawn from the raw 64-bit words of Philox, keyed by (seed, tensor name), and
only scaled by IEEE operations, so every machine and numpy version gives the same bits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from federated.canonical import tagged_hash
from federated.codec import Config
from federated.errors import SpecError
from federated.grid import Grid
from federated.schema import Array, Schema
from federated.spec import StudySpec
from federated.strategies import strategy_of

MAX_PARAMETERS = 100_000_000
VARY = {"shift": 16.0, "zoom": 0.5, "exposure": 4.0}
"""How a cnn's training may vary its images, and the most of each."""

Shapes = dict[str, tuple[int, ...]]


def _logistic(config: Config, inputs: tuple[int, ...]) -> Shapes:
    _keys(config, ())
    return _dense("out", math.prod(inputs), 1)


def _mlp(config: Config, inputs: tuple[int, ...]) -> Shapes:
    """Dense layers of `hidden` units with ReLU, then one output."""
    _keys(config, ("hidden",))
    widths = [math.prod(inputs), *_sizes(config, "hidden", 8)]
    shapes: Shapes = {}
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        shapes |= _dense(f"dense{layer}", fan_in, fan_out)
    return shapes | _dense("out", widths[-1], 1)


def _cnn(config: Config, inputs: tuple[int, ...]) -> Shapes:
    """Convolutions of `channels` (ReLU, 2×2 maximum), a dense layer of `hidden`, one output.

    Optional: `groups` normalises what each convolution gives over so many groups of its channels;
    `average` puts the mean over the image in place of the last maximum; no `hidden`, no dense
    layer; `standardise` first brings each image to mean 0 and variance 1 over its own pixels, so
    that the exposure of one hospital's machine plays no part; `vary` changes images in training
    (`networks.varied`).
    """
    _keys(config, ("channels", "kernel"), ("hidden", "groups", "average", "standardise", "vary"))
    if len(inputs) != 2:
        raise SpecError("model.name", "a cnn needs exactly one feature, of shape [height, width]")
    channels, average = _sizes(config, "channels", 6), _flag(config, "average")
    _flag(config, "standardise")
    _check_vary(config)
    if (kernel := _whole(config, "kernel", 11)) % 2 == 0:
        raise SpecError("model.config.kernel", "an odd number is expected")
    shapes = _convolutions(channels, kernel, _groups(config, channels))
    halvings = len(channels) - average
    places = math.prod(side >> halvings for side in inputs)
    if not places:
        raise SpecError("model.config.channels", "the image is too small for so many layers")
    features = channels[-1] * (1 if average else places)
    if "hidden" in config:
        hidden = _whole(config, "hidden", 4096)
        shapes, features = shapes | _dense("dense0", features, hidden), hidden
    return shapes | _dense("out", features, 1)


def _convolutions(channels: Sequence[int], kernel: int, groups: int) -> Shapes:
    shapes: Shapes = {}
    for layer, (before, after) in enumerate(itertools.pairwise((1, *channels))):
        shapes[f"conv{layer}.weight"] = (after, before, kernel, kernel)
        shapes[f"conv{layer}.bias"] = (after,)
        if groups:  # the gain is kept as its distance from 1
            shapes |= {f"norm{layer}.gain": (after,), f"norm{layer}.bias": (after,)}
    return shapes


def _groups(config: Config, channels: Sequence[int]) -> int:
    if "groups" not in config:
        return 0
    groups = _whole(config, "groups", 65536)
    if any(size % groups for size in channels):
        raise SpecError("model.config.groups", "a number that divides every size in channels")
    return groups


def _check_vary(config: Config) -> None:
    """`shift` in pixels; `zoom` and `exposure` as shares."""
    vary: Any = config.get("vary", VARY)
    if not isinstance(vary, Mapping) or set(vary) != set(VARY):
        raise SpecError("model.config.vary", f"a table of {', '.join(VARY)} is expected")
    for key, most in VARY.items():
        if type(vary[key]) not in (int, float) or not 0 <= vary[key] <= most:
            raise SpecError(f"model.config.vary.{key}", f"a number from 0 to {most} is expected")


FAMILIES: dict[str, Callable[[Config, tuple[int, ...]], Shapes]] = {
    "logistic": _logistic,
    "mlp": _mlp,
    "cnn": _cnn,
}


def input_shape(spec: StudySpec) -> tuple[int, ...]:
    """Shape of one patient's inputs: that of the only feature, or (number of values,)."""
    features = spec.data.features
    if len(features) == 1 and features[0].shape:
        return features[0].shape
    return (sum(math.prod(feature.shape) for feature in features),)


def parameter_schema(spec: StudySpec) -> Schema:
    """The model's tensors, float32. Raises `SpecError` for an unknown family or setting."""
    if spec.model.name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise SpecError("model.name", f"unknown family {spec.model.name[:40]!r}; known: {known}")
    shapes = FAMILIES[spec.model.name](spec.model.config, input_shape(spec))
    schema = Schema.of("F32", shapes)
    if schema.size > MAX_PARAMETERS:
        raise SpecError("model.config", f"{schema.size} parameters; at most {MAX_PARAMETERS}")
    return schema


def update_schema(spec: StudySpec) -> Schema:
    """An update's tensors, integers on the study's grid: the model's, and what a strategy adds."""
    declared = strategy_of(spec.strategy.name).declared(parameter_schema(spec))
    return declared.with_dtype(Grid.of(spec.grid).dtype)


def initial_parameters(spec: StudySpec) -> dict[str, Array]:
    """Weights uniform in ±1/√fan-in, biases and gains zero; float32."""
    parameters: dict[str, Array] = {}
    for tensor in parameter_schema(spec).tensors:
        if tensor.name.endswith((".bias", ".gain")):
            parameters[tensor.name] = np.zeros(tensor.shape, dtype=np.float32)
            continue
        key = tagged_hash("consilium/initial/1", spec.seed, tensor.name)
        words = np.random.Philox(key=int.from_bytes(key[:16], "big")).random_raw(tensor.size)
        unit = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53  # [0, 1)
        bound = 1 / math.sqrt(math.prod(tensor.shape[1:]))
        values = (unit * 2 - 1) * bound
        parameters[tensor.name] = values.astype(np.float32).reshape(tensor.shape)
    return parameters


def _dense(name: str, fan_in: int, fan_out: int) -> Shapes:
    return {f"{name}.weight": (fan_out, fan_in), f"{name}.bias": (fan_out,)}


def _keys(config: Config, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    for key in config:
        if key not in (*needed, *optional):
            choices = ", ".join((*needed, *optional)) or "none"
            raise SpecError(f"model.config.{key[:40]}", f"unknown setting; known: {choices}")
    for key in needed:
        if key not in config:
            raise SpecError(f"model.config.{key}", "missing setting; add it")


def _sizes(config: Config, key: str, most: int) -> list[int]:
    sizes: Any = config[key]
    if not isinstance(sizes, list | tuple) or not 1 <= len(sizes) <= most:
        raise SpecError(f"model.config.{key}", f"a list of 1 to {most} sizes is expected")
    if any(type(size) is not int or not 1 <= size <= 65536 for size in sizes):
        raise SpecError(f"model.config.{key}", "sizes are whole numbers from 1 to 65536")
    return list(sizes)


def _whole(config: Config, key: str, most: int) -> int:
    value: Any = config[key]
    if type(value) is not int or not 1 <= value <= most:
        raise SpecError(f"model.config.{key}", f"a whole number from 1 to {most} is expected")
    return value


def _flag(config: Config, key: str) -> bool:
    value: Any = config.get(key, False)
    if type(value) is not bool:
        raise SpecError(f"model.config.{key}", "true or false is expected")
    return value
