"""What every bench prints: the machine, versions, and its claims."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import Any

PACKAGES = ("numpy", "torch", "web3", "cryptography")


@dataclass(frozen=True)
class Claim:
    """`value` is compared with `limit` by `sense`; a quick run never judges (`ok` is None)."""

    id: str
    ours: float
    peer: float
    unit: str
    value: float
    sense: str
    limit: float
    ok: bool | None


def ratio(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    limit: float,
    runs: int,
    judge: bool,
) -> Claim:
    """Seconds of both in turn, `runs` times; the value is the median of the pairs' ratios."""
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(runs)]
    value = median(a / b for a, b in pairs)
    own, other = (median(pair[side] for pair in pairs) for side in (0, 1))
    return Claim(name, own, other, "s", value, "<=", limit, value <= limit if judge else None)


def report(claims: list[Claim]) -> dict[str, Any]:
    """The JSON object of a run."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "date": datetime.now(UTC).date().isoformat(),
        "claims": [asdict(claim) for claim in claims],
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
