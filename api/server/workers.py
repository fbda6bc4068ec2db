"""Threads for the blocking reads: a bounded number, each with a node session of its own.

web3 keeps HTTP sessions by thread, and would make its own (which ask a proxy of the environment)
in any thread but the one that made the node's.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from api.server.cache import CachedStore, Cohorts, States
from api.server.problems import ApiProblem, TooSlow
from api.server.settings import Settings
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import Deployment
from chain.errors import WrongChain
from chain.node import Node
from chain.types import BlockNumber, StudyId
from federated.journal import Journal
from federated.party import Party
from federated.study import Study, read_study
from storage.keys import Identity
from storage.signing import Sender, SigningKey
from storage.store import BlockStore

T = TypeVar("T")


class DeadlineNode(Node):
    """A node that is asked nothing more once a request's time is over."""

    until = math.inf

    def request(self, method: str, *params: Any) -> Any:
        """See Node; raises `TooSlow` past `until` (a reading of the monotonic clock)."""
        if time.monotonic() > self.until:
            raise TooSlow("the time of this request is over")
        return super().request(method, *params)


@dataclass(frozen=True, slots=True)
class View:
    """What one request sees: a party without keys, and the block at which it reads."""

    party: Party
    cohorts: Cohorts
    states: States
    block: BlockNumber

    @property
    def chain(self) -> Contracts:
        """The contracts."""
        return self.party.chain

    @property
    def store(self) -> BlockStore:
        """The store."""
        return self.party.store

    def require_study(self, number: int) -> StudyId:
        """The study's number. Raises `ApiProblem` where the chain has none such."""
        known = self.chain.studies.count(block_identifier=self.block)
        if not 1 <= number <= known:
            raise ApiProblem(
                "no-such-study", f"this chain has studies 1 to {known}: see /v1/studies"
            )
        return StudyId(number)

    def study(self, number: int) -> Study:
        """The whole study. Raises `ApiProblem`, and what the store raises."""
        return read_study(self.chain, self.store, self.require_study(number), self.block)


class Workers:
    """Runs what blocks. Withdrawals have threads of their own: no other work delays them."""

    def __init__(
        self, settings: Settings, rpc: str, deployment: Deployment, store: BlockStore
    ) -> None:
        self._settings, self._url, self._deployment = settings, rpc, deployment
        self._store = CachedStore(store, settings.cache_bytes)
        self._cohorts, self._states = Cohorts(settings.cache_leaves), States()
        self._threads = ThreadPoolExecutor(settings.threads, "reads")
        self._urgent = ThreadPoolExecutor(2, "withdrawals")
        self._local = threading.local()
        self._keys = (Sender(bytes(20), SigningKey.generate()), Identity.generate())
        self._folder = tempfile.TemporaryDirectory(prefix="consilium-api-")

    async def run(self, work: Callable[[View], T], *, urgent: bool = False) -> T:
        """What `work` gives for a view of the newest block. Raises what it raises, `TooSlow`."""
        until = time.monotonic() + self._settings.request_s
        pool = self._urgent if urgent else self._threads
        future = asyncio.get_running_loop().run_in_executor(pool, self._work, work, until)
        try:
            # A call to the node that is under way may end after the request's time.
            return await asyncio.wait_for(future, self._settings.request_s + 1)
        except TimeoutError as exc:
            raise TooSlow("the time of this request is over") from exc

    def close(self) -> None:
        """End the threads once their work is done; drop what waits."""
        for pool in (self._threads, self._urgent):
            pool.shutdown(wait=True, cancel_futures=True)
        self._folder.cleanup()

    def _work(self, work: Callable[[View], T], until: float) -> T:
        node = self._node()
        node.until = until
        party = self._local.party
        return work(View(party, self._cohorts, self._states, node.latest()))

    def _node(self) -> DeadlineNode:
        found: DeadlineNode | None = getattr(self._local, "node", None)
        if found is None:
            found = DeadlineNode(self._url, timeout_s=self._settings.node_s)
            if found.block(BlockNumber(0)).hash != self._deployment.genesis:
                raise WrongChain(f"{found.name} serves another chain than the deployment's")
            self._local.party = self._party(found)
            self._local.node = found
        return found

    def _party(self, node: Node) -> Party:
        """Keys made for this run: they sign nothing that anyone would believe, and open nothing."""
        sender, identity = self._keys
        return Party(
            name="visitor",
            chain=Contracts(Client(node), self._deployment),
            store=self._store,
            sender=sender,
            identity=identity,
            journal=Journal(Path(self._folder.name)),
        )
