"""Runs the tests of the contracts on code that tells of itself, and gathers what it tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mutant_tests import FOLDER, ROOT, Node
from web3 import HTTPProvider, Web3

from chain.artifacts import Artifact
from tests.contracts import kit

# Nothing is there: a call to it succeeds and does nothing.
NOBODY = 0xC011EC7ED
# What measures the committed code itself, or needs no node.
APART = {"test_gas", "test_hardhat", "test_mutants", "test_errors"}
TRACE = {"tracer": "callTracer"}


class Telling(HTTPProvider):
    """Asks the node for the trace of each call and transaction that goes through it."""

    def __init__(self, url: str, heard: set[int]) -> None:
        super().__init__(url)
        self._heard = heard
        self._waiting: list[str] = []
        self._sent = 0

    def make_request(self, method: Any, params: Any) -> Any:
        """The node's answer, as without."""
        if method == "evm_revert":
            self._hears_waiting()
        if method == "eth_sendTransaction":
            params = [self._unlike_others(dict(params[0]))]
        answer = super().make_request(method, params)
        if method == "eth_call":
            tx, block = params[0], params[1] if len(params) > 1 else "latest"
            trace: Any = "debug_traceCall"
            self._hears(super().make_request(trace, [tx, block, TRACE]))
        elif method == "eth_sendTransaction" and "result" in answer:
            self._waiting.append(answer["result"])
        if self._waiting and method != "evm_setAutomine":
            self._hears_waiting()
        return answer

    def _unlike_others(self, tx: dict[str, Any]) -> dict[str, Any]:
        """Tests that begin from one snapshot send the same: each is to have a hash of its own."""
        self._sent += 1
        return {**tx, "gas": hex(int(tx["gas"], 16) - self._sent)}

    def _hears_waiting(self) -> None:
        mined: Any = "eth_getTransactionReceipt"
        trace: Any = "debug_traceTransaction"
        for tx_hash in list(self._waiting):
            # Before it is mined its trace is there, and empty.
            if super().make_request(mined, [tx_hash]).get("result"):
                self._waiting.remove(tx_hash)
                self._hears(super().make_request(trace, [tx_hash, TRACE]))

    def _hears(self, answer: Any) -> None:
        waiting = [answer.get("result") or {}]
        while waiting:
            call = waiting.pop()
            if int(call.get("to") or "0x0", 16) == NOBODY:
                self._heard.add(int(call["input"], 16))
            waiting += call.get("calls", [])


def hits(code: Mapping[str, Artifact], names: Sequence[str]) -> set[int]:
    """Numbers of the spots that the tests (all, where none is named) ran; they must pass."""
    files = sorted(path for path in FOLDER.glob("test_*.py") if path.stem not in APART)
    tests = list(names) or [str(path) for path in files]
    heard: set[int] = set()
    plain = kit.started

    @contextmanager
    def telling() -> Iterator[kit.World]:
        with plain() as world:
            node = Node(world)
            for name, artifact in code.items():
                node.puts(name, artifact)
            yield node.over(Web3(Telling(node.url, heard)))

    kit.started = telling
    options = ["-q", "-p", "no:cacheprovider", "--timeout", "1800", "--rootdir", str(ROOT)]
    status = pytest.main([*options, *[str(Path(test)) for test in tests]])
    if status:
        raise SystemExit(f"coverage: tests fail on code that tells of itself: {status}")
    return heard
