"""Strategies as docs/protocol.md tells them, in plain Python: whole numbers, fractions, floats.

It imports nothing of the project but the reader of byte strings, which was written from that page.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.federated.test_protocol_vectors import FOLDER, cbor, sha, tensors

FILE = json.loads((Path(FOLDER) / "strategies.json").read_text())
BITS: int = FILE["grid_bits"]
WEIGHTS: list[int] = FILE["weights"]
SHAPES = {"out.bias": [1], "out.weight": [1, 2]}

Steps = list[list[int]]
Config = dict[str, Any]


def ratio(numerator: int, denominator: int) -> float:
    return float(Fraction(numerator, denominator))


def weighted(steps: Steps, config: Config) -> list[float]:
    del config
    whole = sum(WEIGHTS) << BITS
    return [
        ratio(sum(w * v for w, v in zip(WEIGHTS, column, strict=True)), whole)
        for column in zip(*steps, strict=True)
    ]


def median(steps: Steps, config: Config) -> list[float]:
    del config
    n = len(steps)
    ordered = [sorted(column) for column in zip(*steps, strict=True)]
    return [ratio(c[(n - 1) // 2] + c[n // 2], 2 << BITS) for c in ordered]


def trimmed_mean(steps: Steps, config: Config) -> list[float]:
    n, cut = len(steps), math.floor(config["trimmed"] * len(steps))
    ordered = [sorted(column)[cut : n - cut] for column in zip(*steps, strict=True)]
    return [ratio(sum(column), (n - 2 * cut) << BITS) for column in ordered]


def apart(left: Sequence[int], right: Sequence[int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(left, right, strict=True))


def krum(steps: Steps, config: Config) -> list[float]:
    n, m = len(steps), config.get("m", 1)
    scores = []
    for i, one in enumerate(steps):
        others = sorted(apart(one, other) for j, other in enumerate(steps) if j != i)
        scores.append((sum(others[: n - config["f"] - 2]), i))
    chosen = [steps[i] for _, i in sorted(scores)[:m]]
    return [ratio(sum(column), m << BITS) for column in zip(*chosen, strict=True)]


def geometric_median(steps: Steps, config: Config) -> list[float]:
    def point(shares: list[float]) -> list[float]:
        found = [0.0] * len(steps[0])
        for share, update in zip(shares, steps, strict=True):
            found = [x + share * v for x, v in zip(found, update, strict=True)]
        return found

    def normal(weights: list[float]) -> list[float]:
        total = math.fsum(weights)
        return [weight / total for weight in weights]

    least = config["smoothing"] * 2.0**BITS
    shares = normal([float(w) for w in WEIGHTS])
    for _ in range(config["iterations"]):
        at = [round(x) for x in point(shares)]  # half to even
        away = [max(least, math.sqrt(apart(update, at))) for update in steps]
        shares = normal([w / d for w, d in zip(WEIGHTS, away, strict=True)])
    return [x * 2.0**-BITS for x in point(shares)]


def norm_bounding(steps: Steps, config: Config) -> list[float]:
    norms = [apart(update, [0] * len(update)) for update in steps]
    if config["norm"] == "median":
        bound = sorted(norms)[(len(norms) - 1) // 2]
    else:
        bound = math.floor(config["norm"] * 2**BITS) ** 2
    bounded = []
    for update, norm in zip(steps, norms, strict=True):
        if norm > bound:
            q = math.isqrt((bound << 62) // norm)
            update = [(1 if v >= 0 else -1) * (abs(v) * q >> 31) for v in update]
        bounded.append(update)
    return weighted(bounded, config)


MEANS: dict[str, Callable[[Steps, Config], list[float]]] = {
    "median": median,
    "trimmed-mean": trimmed_mean,
    "krum": krum,
    "multi-krum": krum,
    "geometric-median": geometric_median,
    "norm-bounding": norm_bounding,
}


def moments(name: str, config: Config, server: Config, mean: list[float]) -> list[float]:
    """What is added to the parameters; m and v in `server` become the next ones."""
    tau, beta1 = config["tau"], config["beta1"]
    m = server.get("m", [0.0] * len(mean))
    v = server.get("v", [tau * tau] * len(mean))
    s = [x * x for x in mean]
    server["m"] = [a * beta1 + x * (1 - beta1) for a, x in zip(m, mean, strict=True)]
    pairs = list(zip(v, s, strict=True))
    if name == "fedadam":
        server["v"] = [a * config["beta2"] + b * (1 - config["beta2"]) for a, b in pairs]
    elif name == "fedyogi":
        server["v"] = [a - (b * (1 - config["beta2"])) * ((a > b) - (a < b)) for a, b in pairs]
    else:
        server["v"] = [a + b for a, b in pairs]
    moved = zip(server["m"], server["v"], strict=True)
    return [(a * config["learning_rate"]) / (math.sqrt(b) + tau) for a, b in moved]


def by_name(kind: str, values: Sequence[float]) -> dict[str, str]:
    """Bias, then weights, as hexadecimal."""
    return {
        "out.bias": struct.pack(f"<{kind}", values[0]).hex(),
        "out.weight": struct.pack(f"<2{kind}", *values[1:]).hex(),
    }


def packed(kind: str, width: int, parts: dict[str, str]) -> bytes:
    return tensors(kind, width, {n: (SHAPES[n], bytes.fromhex(parts[n])) for n in SHAPES})


def digest_of(number: int, parameters: dict[str, str], server: dict[str, dict[str, str]]) -> str:
    content = {
        "format": "consilium/state/1",
        "round": number,
        "parameters": sha(packed("F32", 4, parameters)),
        "server": {name: sha(packed("F64", 8, parts)) for name, parts in server.items()},
    }
    return sha(cbor(content)).hex()


@pytest.mark.parametrize("vector", FILE["strategies"], ids=lambda v: v["name"])
def test_two_rounds_lead_to_the_state_that_the_page_tells(vector: Any) -> None:
    name, config = vector["name"], vector["config"]
    controls = [f"control:{tensor}" for tensor in SHAPES] if name == "scaffold" else []
    assert vector["order"] == [*controls, *SHAPES]
    begin = bytes.fromhex("".join(vector["start_f32"][tensor] for tensor in SHAPES))
    parameters: Sequence[float] = struct.unpack("<3f", begin)
    server: Config = {}
    for number, made in enumerate(vector["rounds"], start=1):
        mean = MEANS.get(name, weighted)(made["steps"], config)
        assert made["mean_f64"] == struct.pack(f"<{len(mean)}d", *mean).hex()
        change = mean
        if name == "scaffold":
            server["c"], change = mean[:3], [x * config["learning_rate"] for x in mean[3:]]
        elif name.startswith("fedad") or name == "fedyogi":
            change = moments(name, config, server, mean)
        after = [a + b for a, b in zip(parameters, change, strict=True)]
        parameters = struct.unpack("<3f", struct.pack("<3f", *after))
        assert made["parameters_f32"] == by_name("f", parameters)
        assert made["server_f64"] == {key: by_name("d", x) for key, x in server.items()}
        assert made["state"] == digest_of(number, made["parameters_f32"], made["server_f64"])


MODEL = {
    "dense0.bias": [1],
    "dense0.weight": [1, 2],
    "norm0.bias": [1],
    "norm0.gain": [1],
    "norm0.mean": [1],
    "norm0.variance": [1],
    "out.bias": [1],
    "out.weight": [1, 1],
}


def test_layers_that_normalise_are_in_the_state_as_they_began_and_in_no_update() -> None:
    vector = FILE["own_layers"]
    assert vector["name"] == "fedbn"
    shared = [name for name in MODEL if not name.startswith("norm")]
    assert vector["order"] == shared
    held = {name: bytes.fromhex(vector["start_f32"][name]) for name in MODEL}
    assert held["norm0.variance"] == struct.pack("<f", 1)
    assert not any(b"".join(held[f"norm0.{part}"] for part in ("bias", "gain", "mean")))
    for number, made in enumerate(vector["rounds"], start=1):
        mean = weighted(made["steps"], {})
        assert made["mean_f64"] == struct.pack("<5d", *mean).hex()
        left = list(mean)
        for name in shared:
            size = len(held[name]) // 4
            values = struct.unpack(f"<{size}f", held[name])
            after = [a + left.pop(0) for a in values]
            held[name] = struct.pack(f"<{size}f", *after)
        assert made["parameters_f32"] == {name: data.hex() for name, data in held.items()}
        file = tensors("F32", 4, {name: (MODEL[name], held[name]) for name in MODEL})
        content = {"format": "consilium/state/1", "round": number, "parameters": sha(file)}
        assert made["state"] == sha(cbor(content | {"server": {}})).hex()
        assert made["server_f64"] == {}
