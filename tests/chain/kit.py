"""Parties on a real chain, and a relay that stands between them and their node."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from chain.agreements import TierOpened
from chain.anvil import Anvil
from chain.challenges import Leaf
from chain.client import Client
from chain.clock import Clock
from chain.consent_types import GrantMessage, consent_id
from chain.contracts import Contracts
from chain.deploy import MINTABLE
from chain.keys import address_of
from chain.merkle import MerkleTree, hash_cohort_leaf
from chain.node import Node
from chain.participants import Role
from chain.round_types import Freeze
from chain.rpc import request
from chain.studies import RewardRule, StudyOpened, Terms
from chain.typed_data import Domain, Grant, compact, sign
from chain.types import Address, AgreementId, BlockNumber, Call, RoundNumber, StudyId, Wei

COINS = 10**20
PATIENCE_S = 240
"""So long anything is waited for: a hang ends, and a slow machine is no failure."""


class Engine(Protocol):
    """A running chain that gives coins for gas."""

    @property
    def url(self) -> str: ...

    def fund(self, address: str, wei: int) -> None: ...


@dataclass
class Chain:
    """The deployment as its operator sees it, and where parties of one test keep their homes."""

    anvil: Engine
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
        """So many blocks more: made where they can be, else waited for."""
        node = self.operator.client.node
        clock, wanted = Clock(node), node.latest() + blocks
        while clock.is_development and node.latest() < wanted:
            clock.nudge()
        clock.wait_for(
            lambda: node.latest() >= wanted or None, what="a block", timeout_s=PATIENCE_S
        )

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


class RoundPath:
    """A study with one hospital whose cohort of three is frozen and submitted."""

    def __init__(self, chain: Chain, *, submitted: bool = True, places: int = 3) -> None:
        self.center = chain.party(Role.CENTER, tokens=100_000)
        self.hospital = chain.party(Role.HOSPITAL, tokens=1_000)
        self.study = chain.study(self.center)
        chain.enrol(self.center, self.study, self.hospital)
        self.agreement, self.not_after = self.open_tier(chain, places)
        self.keys = [os.urandom(32) for _ in range(3)]
        self.hospital.client.send(
            self.hospital.consents.grant_batch(self.agreement, [self.grant(k) for k in self.keys])
        )
        self.round = chain.open_round(self.center, self.study)
        chain.mine()
        ids = sorted(consent_id(address_of(key), self.agreement) for key in self.keys)
        self.leaves = [Leaf(i, consent, os.urandom(32)) for i, consent in enumerate(ids)]
        self.tree = MerkleTree([hash_cohort_leaf(leaf) for leaf in self.leaves])
        self.freeze = self.make_freeze()
        if not submitted:
            return
        self.hospital.client.send(self.hospital.rounds.freeze(self.freeze), step="freeze")
        self.hospital.client.send(self.submission(), step="submit")

    def submission(self) -> Call:
        return self.hospital.rounds.submit(self.study, self.round, b"\6" * 32, b"\7" * 32)

    def open_tier(self, chain: Chain, places: int) -> tuple[AgreementId, int]:
        receipt = self.center.client.send(
            self.center.agreements.open_tier(
                self.study,
                self.hospital.client.address,
                terms=b"\x33" * 32,
                price=Wei(5),
                purposes=0b1,
                not_after=chain.terms().end_by,
                max_count=places,
            )
        )
        (opened,) = self.center.agreements.in_receipt(TierOpened, receipt)
        return opened.agreement, opened.not_after

    def grant(self, key: bytes) -> GrantMessage:
        consent = consent_id(address_of(key), self.agreement)
        deadline = self.not_after
        message = Grant(
            consent, self.study, self.agreement, Wei(5), 0b1, self.not_after, 0, deadline
        )
        domain = Domain(self.hospital.client.chain_id, self.hospital.consents.address)
        return GrantMessage(consent, 0, deadline, *compact(sign(key, message, domain)))

    def make_freeze(self, **changes: Any) -> Freeze:
        client = self.hospital.client
        block = BlockNumber(client.block_number() - 1)
        values: dict[str, Any] = {
            "study": self.study,
            "round": self.round,
            "hospital": 0,
            "snapshot": block,
            "snapshot_hash": client.block_hash(block),
            "root": self.tree.root,
            "n": 3,
            "weight": 3,
            "leaf_list": b"\x08" * 32,
            "round_keys": bytes(32),
        }
        return Freeze(**values | changes)


Answer = Callable[[dict[str, Any]], Any]


class Relay:
    """Passes JSON-RPC on to a node; a method in `instead` is answered by its function.

    The function gets the request and a way to ask the node, and gives the answer's body.
    """

    def __init__(self, url: str) -> None:
        self.instead: dict[str, Callable[[dict[str, Any], Answer], Any]] = {}
        self.asked: list[str] = []
        self.is_ended = False
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = b"" if relay.is_ended else json.dumps(relay._answer(url, body)).encode()
                if relay.is_ended:
                    return
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

    def end(self) -> None:
        """Nobody is answered any more, who is being answered included."""
        self.is_ended = True

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


@contextmanager
def own_port() -> Iterator[int]:
    """A port for a server that ends and starts again, or whose absence is asked about.

    No port 0 is ever given it, for it lies below those; and who takes one here holds UDP's port of
    the number meanwhile, so that another process of tests takes another.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(low - 2_000, low):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
            if _takes(held, port):
                yield port
                return
    raise AssertionError("every port is taken")


def _takes(held: socket.socket, port: int) -> bool:
    """Holds a port of UDP's, where neither that nor TCP's is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def wait_for_save(anvil: Anvil) -> None:
    """Returns once the saved state holds every block that the chain has now."""
    assert anvil.state is not None
    height = int(request(anvil.url, "eth_blockNumber"), 16)
    end = time.monotonic() + PATIENCE_S
    while True:
        if anvil.state.exists():
            saved = json.loads(gzip.decompress(anvil.state.read_bytes()))
            if int(saved["block"]["number"], 16) >= height:
                return
        assert time.monotonic() < end, "the keeper saves nothing"
        time.sleep(0.1)
