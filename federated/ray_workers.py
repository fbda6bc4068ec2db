"""Simulations on Ray: on this machine's cores, or on a cluster that exists already.

Whoever may talk to Ray runs programs as its user, and Ray listens on every interface. What is
started here therefore asks for a token that only this process and its children have.
https://docs.ray.io/en/latest/ray-security/token-auth.html
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

from federated.errors import TrainingError
from federated.workers import AHEAD, in_order

T = TypeVar("T")
R = TypeVar("R")

_STORE_BYTES = 256 << 20  # shared memory; pieces under way are few


class RayWorkers:
    """Ray's workers; a context manager, which ends the Ray that it started."""

    def __init__(self, count: int | None = None, *, address: str | None = None) -> None:
        """`count` workers at once; `address` of a cluster, whose token the environment has."""
        self._count = count or os.cpu_count() or 1
        self._address = address
        self._ray: Any = None

    @property
    def address(self) -> str:
        """HOST:PORT of the Ray that is in use."""
        found: str = self._ray.get_runtime_context().gcs_address
        return found

    def map(self, work: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
        """See Workers. What a piece raises is raised here."""
        if self._ray is None:
            raise RuntimeError("Ray is not started: use `with`")
        remote = self._ray.remote(num_cpus=1, max_retries=1)(work)
        return in_order(remote.remote, self._result, pieces, AHEAD * self._count)

    def _result(self, begun: Any) -> Any:
        try:
            return self._ray.get(begun)
        except self._ray.exceptions.RayTaskError as exc:
            raise exc.cause from exc

    def __enter__(self) -> Self:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would tell strangers
        os.environ["RAY_AUTH_MODE"] = "token"
        if self._address is None:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        try:
            import ray
        except ImportError as exc:
            raise TrainingError("Ray is not installed: install the extra `ray`") from exc
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address is None:
            ray.init(
                num_cpus=self._count,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                **quiet,
            )
        else:
            ray.init(address=self._address, **quiet)
        self._ray = ray
        return self

    def __exit__(self, *_: object) -> None:
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None
