"""A deployment on an anvil of its own, with a study and a tier for any number of patients."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from bench.chain_terms import terms
from chain.agreements import TierOpened
from chain.anvil import Anvil
from chain.checking import Offered, check_grants
from chain.client import Client
from chain.clock import Clock
from chain.consent_types import GrantMessage, Skip, consent_id
from chain.contracts import Contracts
from chain.deploy import MINTABLE, deploy
from chain.index import Index
from chain.indexer import Indexer
from chain.keccak import keccak
from chain.keys import address_of
from chain.node import Node
from chain.participants import Role
from chain.rpc import request
from chain.studies import StudyOpened, Terms
from chain.typed_data import Domain, Grant, compact, sign
from chain.types import Address, BlockNumber, Call, Wei

BATCH, AT_ONCE = 400, 5  # consents in a transaction; transactions prepared together
PRICE = Wei(1)
MANY = 250_000
FOREVER = 2**39
_COINS = 10**24

T = TypeVar("T")


class Scene:
    """A context manager; `hospital` sends, and its tier is `tier`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.anvil = Anvil()
        try:
            self.node = Node(self.anvil.url, timeout_s=600)
            operator = self._client("operator")
            self.deployment = deploy(operator, token=True)
            self.operator = Contracts(operator, self.deployment)
            self.center = self._party("center", Role.CENTER)
            self.hospital = self._party("hospital", Role.HOSPITAL)
            self._open()
        except BaseException:
            self.anvil.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.anvil.stop()

    def height(self) -> BlockNumber:
        return self.node.latest()

    def address(self, number: int) -> Address:
        """An account that holds no key."""
        return Address(f"0x{number + 1:040x}")

    # ------------------------------------------------------------ consents

    def signed(self, count: int) -> list[GrantMessage]:
        """Grants by as many patients, each by a key of its own."""
        return [self._signed(os.urandom(32)) for _ in range(count)]

    def grant(self, messages: Sequence[GrantMessage]) -> None:
        """Checks, batches, sends and indexes: while some are mined, the next are checked and the
        last indexed."""
        parts = _parts(messages, BATCH * AT_ONCE)
        with ThreadPoolExecutor(1) as checking, ThreadPoolExecutor(1) as indexing:
            prepared = checking.submit(self._prepared, parts[0], 0)
            index = Index(self.folder / "consents.sqlite", self.deployment)
            indexer = Indexer(Node(self.anvil.url, timeout_s=600), self.deployment, index)
            done = indexing.submit(indexer.catch_up)
            for number in range(len(parts)):
                calls = prepared.result()
                if number + 1 < len(parts):
                    prepared = checking.submit(self._prepared, parts[number + 1], number + 1)
                self.hospital.client.send_many(calls, alike=True)
                if done.done():
                    done.result()
                    done = indexing.submit(indexer.catch_up)
            done.result()
        indexer.catch_up()
        if index.counts()["consents"] != len(messages):
            raise RuntimeError("not every consent was granted and indexed")
        index.close()

    def granted_raw(self) -> list[bytes]:
        """The transactions that `grant` sent, signed."""
        entries = self.hospital.client.outbox.all()
        return [entry.raw for entry in entries if entry.step.startswith("grant-")]

    def push(self, raw: Sequence[bytes]) -> None:
        """Signed transactions straight to the node; returns when all are mined."""
        for item in raw:
            self.node.request("eth_sendRawTransaction", "0x" + item.hex())
        while self.node.receipt(keccak(raw[-1])) is None:
            time.sleep(0.01)

    def all_active(self, messages: Sequence[GrantMessage]) -> bool:
        ids, head = [message.id for message in messages], self.height()
        return all(self.hospital.consents.active_at(ids, head, block_identifier=head))

    def snapshot(self) -> str:
        return str(request(self.anvil.url, "evm_snapshot"))

    def restore(self, snapshot: str) -> None:
        request(self.anvil.url, "evm_revert", snapshot, timeout_s=600)

    def _prepared(self, messages: Sequence[GrantMessage], number: int) -> list[tuple[Call, str]]:
        offered = Offered(self.study, self.tier, PRICE, 1, FOREVER)
        found = check_grants(messages, offered, self._domain(), now=self._now)
        sound = [m for m, reason in zip(messages, found, strict=True) if reason is Skip.NONE]
        return [
            (self.hospital.consents.grant_batch(self.tier, part), f"grant-{number}-{place}")
            for place, part in enumerate(_parts(sound, BATCH))
        ]

    def _signed(self, key: bytes) -> GrantMessage:
        consent = consent_id(address_of(key), self.tier)
        message = Grant(consent, self.study, self.tier, PRICE, 1, FOREVER, 0, FOREVER)
        return GrantMessage(consent, 0, FOREVER, *compact(sign(key, message, self._domain())))

    def _domain(self) -> Domain:
        return Domain(self.node.chain_id, self.operator.consents.address)

    # ------------------------------------------------------------ the deployment

    def _open(self) -> None:
        self._now = Clock(self.node).now()
        center, hospital = self.center, self.hospital
        receipt = center.client.send(center.studies.open(self._terms(), [], Wei(2 * MANY)))
        self.study = center.studies.in_receipt(StudyOpened, receipt)[0].study
        center.client.send(center.studies.invite(self.study, hospital.client.address))
        hospital.client.send(hospital.studies.enrol(self.study, b"\2" * 32))
        call = center.agreements.open_tier(
            self.study,
            hospital.client.address,
            terms=b"\x33" * 32,
            price=PRICE,
            purposes=1,
            not_after=FOREVER,
            max_count=MANY,
        )
        receipt = center.client.send(call)
        self.tier = center.agreements.in_receipt(TierOpened, receipt)[0].agreement

    def _terms(self) -> Terms:
        token = self.deployment.address_of(MINTABLE)
        return terms(self._now, token, patients=MANY, hospitals=1, auditor_quorum=0)

    def _party(self, name: str, role: Role) -> Contracts:
        contracts = Contracts(self._client(name), self.deployment)
        client = contracts.client
        self.operator.client.send(
            self.operator.participants.admit(client.address, role, b"\1" * 32)
        )
        money = contracts.token(self.deployment.address_of(MINTABLE))
        client.send(money.mint(client.address, Wei(10**9)))
        client.send(money.approve(contracts.escrow.address, Wei(2**256 - 1)))
        return contracts

    def _client(self, name: str) -> Client:
        # A key of this chain alone, which guards nothing.
        client = Client(self.node, keccak(name.encode()), self.folder / f"{name}.sqlite")
        self.anvil.fund(client.address, _COINS)
        return client


def _parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
