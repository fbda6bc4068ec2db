"""Parties on a real chain, and a relay that stands between them and their node."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chain.anvil import Anvil
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import MINTABLE
from chain.node import Node
from chain.participants import Role
from chain.rpc import request
from chain.studies import RewardRule, StudyOpened, Terms
from chain.types import Address, RoundNumber, StudyId, Wei

COINS = 10**20


@dataclass
class Chain:
    """The deployment as its operator sees it, and where parties of one test keep their homes."""

    anvil: Anvil
    operator: Contracts
    home: Path
    parties: list[Contracts] = field(default_factory=list)

    def party(self, role: Role | None = None, *, tokens: int = 0) -> Contracts:
        """A new account with coins; admitted to a role and given tokens, if asked for."""
        home = self.home / f"party-{len(self.parties)}"
        client = Client(Node(self.anvil.url), os.urandom(32), home / "outbox.sqlite")
        contracts = Contracts(client, self.operator.deployment)
        self.anvil.fund(client.address, COINS)
        if role is not None:
            self.operator.client.send(
                self.operator.participants.admit(client.address, role, b"\1" * 32)
            )
        if tokens:
            money = contracts.token(self.operator.deployment.address_of(MINTABLE))
            client.send(money.mint(client.address, Wei(tokens)))
            client.send(money.approve(contracts.escrow.address, Wei(tokens)))
        self.parties.append(contracts)
        return contracts

    def mine(self, blocks: int = 1) -> None:
        request(self.anvil.url, "anvil_mine", hex(blocks))

    def automine(self, on: bool) -> None:
        request(self.anvil.url, "evm_setAutomine", on)

    def terms(self, **changes: Any) -> Terms:
        """Sound terms of a study in open mode."""
        now = self.operator.client.timestamp()
        values: dict[str, Any] = {
            "spec": b"\2" * 32,
            "state": b"\3" * 32,
            "purposes": 0b1,
            "token": self.operator.deployment.address_of(MINTABLE),
            "hospital_pool": 1_000,
            "bond": 10,
            "demand_deposit": 1,
            "end_by": now + 100_000,
            "settle_by": now + 200_000,
            "challenge_end": now + 300_000,
            "claim_end": now + 400_000,
            "refund_at": now + 500_000,
            "freeze_period": 1_000,
            "submit_period": 1_000,
            "unmask_period": 0,
            "finalize_period": 1_000,
            "answer_period": 1_000,
            "max_weight": 100,
            "max_patients": 100,
            "min_hospitals": 1,
            "max_hospitals": 4,
            "max_rounds": 4,
            "threshold": 0,
            "max_demands": 4,
            "auditor_quorum": 0,
            "masked": False,
            "rule": RewardRule.COUNT,
        }
        return Terms(**values | changes)

    def study(self, center: Contracts, **changes: Any) -> StudyId:
        """Opens a study; its number."""
        call = center.studies.open(self.terms(**changes), [], Wei(10_000))
        receipt = center.client.send(call, step=f"open-{os.urandom(4).hex()}")
        return center.studies.in_receipt(StudyOpened, receipt)[0].study

    def enrol(self, center: Contracts, study: StudyId, hospital: Contracts) -> None:
        address = hospital.client.address
        center.client.send(center.studies.invite(study, address))
        hospital.client.send(hospital.studies.enrol(study, b"\2" * 32))

    def open_round(self, center: Contracts, study: StudyId) -> RoundNumber:
        center.client.send(center.rounds.open(study, RoundNumber(0), b"\3" * 32))
        block = center.client.block_number()
        return RoundNumber(center.rounds.count(study, block_identifier=block))


Answer = Callable[[dict[str, Any]], Any]


class Relay:
    """Passes JSON-RPC on to a node; a method in `instead` is answered by its function.

    The function gets the request and a way to ask the node, and gives the answer's body.
    """

    def __init__(self, url: str) -> None:
        self.instead: dict[str, Callable[[dict[str, Any], Answer], Any]] = {}
        self.asked: list[str] = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps(relay._answer(url, body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, url: str, body: Any) -> Any:
        def pass_on(asked: Any) -> Any:
            data = json.dumps(asked).encode()
            message = urllib.request.Request(url, data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(message) as response:
                return json.load(response)

        if isinstance(body, list):
            return pass_on(body)
        self.asked.append(body["method"])
        if instead := self.instead.get(body["method"]):
            return {"jsonrpc": "2.0", "id": body["id"], **instead(body, pass_on)}
        return pass_on(body)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def address(number: int) -> Address:
    return Address("0x" + f"{number:040x}")
