"""Asks the tests about mutants: collected once, on one anvil, a fork for each mutant."""

from __future__ import annotations

import inspect
import json
import os
import traceback
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import conditions
import pytest
from conditions import Mutant
from web3 import Web3

from chain import verify
from chain.artifacts import Artifact
from chain.deploy import MINTABLE, WIRING
from chain.types import Address
from tests.contracts import kit

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "contracts"
# Which tests are asked of which contract.
JUDGES = {
    "Consents": "test_consents test_amending test_escrow test_access",
    "Rounds": "test_rounds test_masked_rounds test_drawn_rounds test_hospital_shares "
    "test_restoring test_escrow test_access",
    "Challenges": "test_challenges test_demands test_masked_rounds test_restoring test_access",
    "Escrow": "test_escrow test_hospital_shares test_demands test_studies test_challenges "
    "test_access",
}
RECENT = 10  # tests that found the last mutants out are asked early: so many of them


class Judge:
    """A plugin of pytest that runs the tests on each mutant instead of once."""

    def __init__(
        self,
        mutants: Sequence[Mutant],
        known: Mapping[str, str],
        told: Callable[[Mutant, str | None], None],
    ) -> None:
        self._mutants = mutants
        self._known = known
        self._told = told
        self._killers: dict[str, list[str]] = {}
        self._sound: set[str] = set()

    def asks(self) -> None:
        """Runs pytest; `told` hears of each mutant the test that found it out, or None."""
        contracts = {mutant.contract for mutant in self._mutants}
        names = {name for contract in contracts for name in JUDGES[contract].split()}
        tests = [str(FOLDER / f"{name}.py") for name in sorted(names)]
        options = ["-s", "-qq", "--tb=no", "-m", "not slow", "-p", "no:cacheprovider"]
        status = pytest.main([*options, "--rootdir", str(ROOT), *tests], plugins=[self])
        if status:
            raise SystemExit(f"mutate: the tests could not be collected: {status}")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """For each mutant, until a test fails, all of its contract's."""
        with kit.started() as world:
            node = Node(world)
            for contract in sorted({mutant.contract for mutant in self._mutants}):
                node.puts(contract, conditions.compiled(contract))
            for mutant in self._mutants:
                before = node.throws(mutant.contract, mutant.switch)
                found = self._in_a_fork(self._ordered(mutant, session.items), node)
                node.restores(before)
                killers = self._killers.setdefault(mutant.contract, [])
                if found:
                    self._hold_sound(found, session.items, node)
                    self._killers[mutant.contract] = [*(k for k in killers if k != found), found]
                self._told(mutant, found or None)
        return True

    def _hold_sound(self, found: str, items: Sequence[pytest.Item], node: Node) -> None:
        """Who fails though no switch is thrown, as a bound on gas does, found nothing out."""
        if found not in self._sound:
            if self._in_a_fork([item for item in items if item.nodeid == found], node):
                raise SystemExit(f"mutate: {found} fails though nothing is changed: mend it first")
            self._sound.add(found)

    def _ordered(self, mutant: Mutant, items: Sequence[pytest.Item]) -> list[pytest.Item]:
        """Who found it out, who names the error behind it, who found others out, the rest."""
        files = {f"{name}.py" for name in JUDGES[mutant.contract].split()}
        recent = self._killers.get(mutant.contract, [])[::-1][:RECENT]
        promise = {name: 2 + place for place, name in enumerate(recent)}
        promise[self._known.get(mutant.key, "")] = 0

        def place(item: pytest.Item) -> int:
            source = inspect.getsource(getattr(item, "function", type(item)))
            named = bool(mutant.hint) and mutant.hint in source
            return min(1 if named else 2 + RECENT, promise.get(item.nodeid, 2 + RECENT))

        return sorted((item for item in items if item.path.name in files), key=place)

    def _in_a_fork(self, items: Sequence[pytest.Item], node: Node) -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                kit.started = node.attached
                os.write(writer, _first_failing(items).encode())
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the fork must not go on as its parent
                traceback.print_exc()
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            found = answer.read().decode()
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit("mutate: the tests did not end: see above")
        return found


class Node:
    """The anvil under the tests."""

    def __init__(self, world: kit.World) -> None:
        names = (*WIRING, MINTABLE)
        found = {name: world.contracts[name.lower()].address for name in names}
        self._addresses = {name: Address(address) for name, address in found.items()}
        self._accounts = dict(world.accounts)
        self.url = str(world.w3.provider.endpoint_uri)  # type: ignore[attr-defined]
        self._chain_id = int(world.w3.eth.chain_id)
        self._for_forks = self.over(Web3(Web3.HTTPProvider(self.url)))

    def puts(self, contract: str, code: Artifact) -> None:
        """Puts the contract with switches in the place of the sound one."""
        own = self._addresses[contract]
        runtime = code.filled(verify.immutables(self._addresses, own, self._chain_id))
        self._rpc("anvil_setCode", own, "0x" + runtime.hex())

    def throws(self, contract: str, switch: int) -> str:
        """Throws a switch; returns what restores the state before."""
        before = str(self._rpc("evm_snapshot"))
        words = (f"0x{conditions.SWITCH:064x}", f"0x{switch:064x}")
        self._rpc("anvil_setStorageAt", self._addresses[contract], *words)
        return before

    def restores(self, before: str) -> None:
        """Undoes a mutant, and what the tests left."""
        self._rpc("evm_setAutomine", True)
        self._rpc("evm_revert", before)

    @contextmanager
    def attached(self) -> Iterator[kit.World]:
        """The contracts for a fork: no request was made yet, so its connections are its own."""
        yield self._for_forks

    def over(self, w3: Web3) -> kit.World:
        """The contracts over a connection."""
        return kit.attached(w3, dict(self._addresses), dict(self._accounts))

    def _rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = urllib.request.Request(  # noqa: S310 - an anvil on loopback
            self.url, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["result"]


def _first_failing(items: Sequence[pytest.Item]) -> str:
    """The first test that fails, empty where all pass."""
    from _pytest.runner import runtestprotocol

    for item, following in zip(items, [*items[1:], None], strict=True):
        reports = runtestprotocol(item, log=False, nextitem=following)
        if any(report.failed for report in reports):
            return item.nodeid
    return ""
