"""The contracts on a real anvil: deployed, called, refused, with time under the test's hand."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract import Contract
from web3.types import RPCEndpoint

from chain import artifacts, toolchain

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ZERO = b"\0" * 32
NOBODY = "0x" + "00" * 20
FUNDING = 1_000_000
HALF = 500_000
BORN = 1_800_000_000
PATIENCE_S = 240
"""So long a node's answer is waited for: a hang ends, and a slow machine is no failure."""

TYPES: dict[str, list[tuple[str, str]]] = {
    "Grant": [
        ("id", "bytes32"),
        ("study", "uint256"),
        ("agreement", "uint256"),
        ("price", "uint256"),
        ("purposes", "uint256"),
        ("notAfter", "uint64"),
        ("nonce", "uint64"),
        ("deadline", "uint64"),
    ],
    "Revoke": [("id", "bytes32"), ("deadline", "uint64")],
    "Supersede": [("id", "bytes32"), ("by", "bytes32"), ("deadline", "uint64")],
    "Admission": [("agreement", "uint256"), ("ids", "bytes32"), ("deadline", "uint64")],
    "CounterOffer": [
        ("agreement", "uint256"),
        ("price", "uint256"),
        ("purposes", "uint256"),
        ("notAfter", "uint64"),
        ("expiry", "uint64"),
        ("salt", "bytes32"),
    ],
    "CancelCounterOffer": [("offer", "bytes32"), ("deadline", "uint64")],
}


class Reverted(Exception):
    """A contract refused; `name` and `args` are its custom error's."""

    def __init__(self, name: str, values: tuple[Any, ...]) -> None:
        super().__init__(name, *values)
        self.name = name
        self.values = values


@dataclass
class World:
    """Every contract, deployed and wired, and one account for each role."""

    w3: Web3
    contracts: dict[str, Contract]
    accounts: dict[str, str]
    errors: dict[bytes, tuple[str, list[str]]] = field(default_factory=dict)
    events: dict[tuple[str, bytes], tuple[Contract, str]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        if name in self.contracts:
            return self.contracts[name].functions
        return self.accounts[name]

    @property
    def now(self) -> int:
        return int(self.w3.eth.get_block("latest")["timestamp"])

    @property
    def block(self) -> int:
        return int(self.w3.eth.block_number)

    def rpc(self, method: str, *params: Any) -> Any:
        provider: Any = self.w3.provider
        answer = provider.make_request(method, list(params))
        if "error" in answer:
            raise self._refusal(answer["error"])
        return answer["result"]

    def at(self, timestamp: int) -> None:
        """The next block has this timestamp."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)

    def mine(self, blocks: int = 1) -> None:
        self.rpc("anvil_mine", hex(blocks))

    def send(self, call: Any, sender: str) -> Any:
        """Receipt of the call; `Reverted` where the contract refuses."""
        tx = {"from": sender, "to": call.address, "data": call._encode_transaction_data()}
        tx_hash = self.rpc("eth_sendTransaction", {**tx, "gas": hex(16_777_216)})
        receipt = self.w3.eth.wait_for_transaction_receipt(
            tx_hash, timeout=PATIENCE_S, poll_latency=0.01
        )
        if receipt["status"] != 1:
            self.rpc("eth_call", tx, hex(receipt["blockNumber"] - 1))
            raise AssertionError("the transaction reverted, the call at the block before did not")
        return receipt

    def send_together(self, calls: Sequence[tuple[Any, str]]) -> list[Any]:
        """Receipts of calls mined in one block, in their order."""
        self.rpc("evm_setAutomine", False)
        try:
            hashes = [
                self.rpc(
                    "eth_sendTransaction",
                    {
                        "from": sender,
                        "to": call.address,
                        "data": call._encode_transaction_data(),
                        "gas": hex(3_000_000),
                    },
                )
                for call, sender in calls
            ]
            self.mine()
        finally:
            self.rpc("evm_setAutomine", True)
        return [self.w3.eth.get_transaction_receipt(tx_hash) for tx_hash in hashes]

    def refused(self, call: Any, sender: str) -> tuple[Any, ...]:
        """Name and arguments of the custom error with which the call is refused."""
        tx = {"from": sender, "to": call.address, "data": call._encode_transaction_data()}
        try:
            self.rpc("eth_call", {**tx, "gas": hex(16_777_216)}, "pending")
        except Reverted as refusal:
            return (refusal.name, *refusal.values)
        raise AssertionError(f"{call.fn_name} was not refused")

    def logs(self, receipt: Any) -> list[tuple[Any, ...]]:
        """(event's name, its arguments in order) for each log of our contracts."""
        found: list[tuple[Any, ...]] = []
        for log in receipt["logs"]:
            key = (log["address"].lower(), bytes(log["topics"][0]))
            if key in self.events:
                contract, name = self.events[key]
                event = contract.events[name]().process_log(log)
                order = [entry["name"] for entry in contract.events[name]().abi["inputs"]]
                found.append((name, *(event["args"][entry] for entry in order)))
        return found

    def deploy(self, name: str, *arguments: Any) -> Contract:
        artifact = artifacts.load(name)
        factory = self.w3.eth.contract(abi=artifact.abi, bytecode=artifact.creation)
        tx_hash = factory.constructor(*arguments).transact(
            {"from": self.accounts["operator"], "gas": 16_000_000}
        )
        receipt = self.w3.eth.wait_for_transaction_receipt(tx_hash, poll_latency=0.01)
        assert receipt["status"] == 1, name
        return _contract(self.w3, str(receipt["contractAddress"]), name)

    def know(self, contract: Contract) -> None:
        """Decode this contract's errors and events from now on."""
        entries: Any = contract.abi
        for entry in entries:
            if entry["type"] == "error":
                kinds = [_kind(parameter) for parameter in entry["inputs"]]
                function: Any = {**entry, "type": "function"}
                selector = function_abi_to_4byte_selector(function)
                self.errors[selector] = (entry["name"], kinds)
            if entry["type"] == "event":
                topic = event_abi_to_log_topic(entry)
                self.events[contract.address.lower(), topic] = (contract, entry["name"])

    def _refusal(self, error: dict[str, Any]) -> Exception:
        data = error.get("data")
        if not isinstance(data, str) or not data.startswith("0x"):
            return AssertionError(error)
        raw = bytes.fromhex(data[2:])
        if raw[:4] not in self.errors:
            return Reverted("Unknown", (raw.hex(),))
        name, kinds = self.errors[raw[:4]]
        if seen := os.environ.get("CONSILIUM_SEEN"):
            with Path(seen).open("a", encoding="utf-8") as file:
                file.write(f"{name}\n")
        return Reverted(name, tuple(decode(kinds, raw[4:])))


def _kind(parameter: Any) -> str:
    return "uint8" if parameter["type"] == "enum" else str(parameter["type"])


def connected(url: str) -> Web3:
    """A node that is asked with patience."""
    return Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": PATIENCE_S}))


def deploy_world(w3: Web3) -> World:
    """Deploys all contracts in the wiring's order; funds, roles and allowances are given."""
    names = ["operator", "center", "h1", "h2", "h3", "auditor", "auditor2", "relayer", "stranger"]
    world = World(w3, {}, dict(zip(names, w3.eth.accounts, strict=False)))
    start = w3.eth.get_transaction_count(world.operator)
    a = [_create_address(world.operator, start + offset) for offset in range(9)]
    wiring: list[tuple[str, list[str]]] = [
        ("AccessManager", [world.operator]),
        ("Participants", [a[0]]),
        ("Studies", [a[1], a[7]]),
        ("Agreements", [a[2], a[4]]),
        ("Consents", [a[2], a[3], a[7]]),
        ("Rounds", [a[2], a[7], a[6]]),
        ("Challenges", [a[2], a[3], a[4], a[5], a[7]]),
        ("Escrow", [a[2], a[3], a[4], a[5], a[6]]),
        ("Attestations", [a[1], a[2], a[5]]),
        ("DevelopmentToken", []),
    ]
    for name, arguments in wiring:
        world.contracts[name.lower()] = world.deploy(name, *arguments)
        world.know(world.contracts[name.lower()])
    _give_roles(world)
    return world


def _contract(w3: Web3, address: str, name: str) -> Contract:
    bound: Any = w3.eth.contract
    contract: Contract = bound(
        address=Web3.to_checksum_address(address), abi=artifacts.load(name).abi
    )
    return contract


def attached(w3: Web3, addresses: dict[str, str], accounts: dict[str, str]) -> World:
    """What `deploy_world` made, over another connection to the same node."""
    world = World(w3, {}, accounts)
    for name, address in addresses.items():
        world.contracts[name.lower()] = _contract(w3, address, name)
        world.know(world.contracts[name.lower()])
    return world


def _give_roles(world: World) -> None:
    roles = {"center": 2, "h1": 1, "h2": 1, "h3": 1, "auditor": 3, "auditor2": 3}
    for name, role in roles.items():
        account = world.accounts[name]
        world.send(world.participants.admit(account, role, keccak(text=name)), world.operator)
        world.send(world.developmenttoken.mint(account, 10 * FUNDING), world.operator)
        escrow = world.contracts["escrow"].address
        world.send(world.developmenttoken.approve(escrow, 2**256 - 1), account)


def _create_address(sender: str, nonce: int) -> str:
    """CREATE's address: the last 20 bytes of keccak(rlp([sender, nonce])), nonce < 256."""
    number = b"\x80" if nonce == 0 else bytes([nonce]) if nonce < 0x80 else bytes([0x81, nonce])
    body = b"\x94" + bytes.fromhex(sender[2:]) + number
    return Web3.to_checksum_address(keccak(bytes([0xC0 + len(body)]) + body)[12:])


def terms_of(world: World, **changes: Any) -> dict[str, Any]:
    """Sound terms of an open-mode study, with the changes given."""
    now = world.now
    return {
        "spec": keccak(text="spec"),
        "state": keccak(text="state"),
        "purposes": 0b11,
        "token": world.contracts["developmenttoken"].address,
        "hospitalPool": HALF,
        "bond": 1_000,
        "demandDeposit": 10,
        "endBy": now + 10_000,
        "settleBy": now + 11_000,
        "challengeEnd": now + 12_000,
        "claimEnd": now + 13_000,
        "refundAt": now + 14_000,
        "freezePeriod": 100,
        "submitPeriod": 100,
        "unmaskPeriod": 0,
        "finalizePeriod": 100,
        "answerPeriod": 100,
        "maxWeight": 1_000,
        "maxPatients": 1_000,
        "minHospitals": 1,
        "maxHospitals": 4,
        "maxRounds": 4,
        "threshold": 0,
        "maxDemands": 4,
        "auditorQuorum": 1,
        "masked": False,
        "rule": 0,
    } | changes


def open_call(
    world: World, auditors: Sequence[str] = (), funding: int = FUNDING, **changes: Any
) -> Any:
    """The call that opens a study, not sent."""
    terms = terms_of(world, **changes)
    return world.studies.open(tuple(terms.values()), list(auditors), funding)


def open_study(
    world: World, auditors: Sequence[str] = (), funding: int = FUNDING, **changes: Any
) -> int:
    """Opens a study as the center; returns its number."""
    call = open_call(world, auditors, funding, **changes)
    world.send(call, world.center)
    return int(world.studies.count().call())


def open_tier(world: World, study: int, hospital: str, **changes: Any) -> int:
    """Opens a tier as the center, inviting the hospital first; returns the agreement."""
    if not world.studies.isInvited(study, hospital).call():
        world.send(world.studies.invite(study, hospital), world.center)
    terms = {"price": 100, "purposes": 0b11, "notAfter": world.now + 9_000, "maxCount": 500}
    terms |= changes
    call = world.agreements.openTier(
        study,
        hospital,
        keccak(text="terms"),
        terms["price"],
        terms["purposes"],
        terms["notAfter"],
        terms["maxCount"],
        terms.get("reward", 0),
    )
    world.send(call, world.center)
    return int(world.agreements.count().call())


def patient(number: int, agreement: int = 0) -> LocalAccount:
    """A one-time key; a test's own, which guards nothing."""
    key: LocalAccount = Account.from_key(keccak(text=f"patient {number} of agreement {agreement}"))
    return key


def consent_id(key: str, agreement: int, nonce: int = 0) -> bytes:
    return keccak(encode(["address", "uint256", "uint64"], [key, agreement, nonce]))


@dataclass(frozen=True)
class Signer:
    """Signs typed messages as a wallet does, for one verifying contract on one chain."""

    contract: str
    chain: int

    def digest(self, kind: str, message: dict[str, Any]) -> bytes:
        signable = self._encode(kind, message)
        return keccak(b"\x19" + signable.version + signable.header + signable.body)

    def sign(self, key: LocalAccount, kind: str, message: dict[str, Any]) -> bytes:
        """65 bytes: r, s, v."""
        return bytes(key.sign_message(self._encode(kind, message)).signature)

    def _encode(self, kind: str, message: dict[str, Any]) -> Any:
        domain = {
            "name": "Consilium",
            "version": "1",
            "chainId": self.chain,
            "verifyingContract": self.contract,
        }
        types = {kind: [{"name": name, "type": type_} for name, type_ in TYPES[kind]]}
        return encode_typed_data(domain, types, message)


def compact(signature: bytes) -> tuple[bytes, bytes]:
    """ERC-2098: r and s with the parity of v in its top bit."""
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32], s.to_bytes(32, "big")


def mirrored(signature: bytes) -> bytes:
    """The other signature of the same message by the same key: n − s, with v flipped."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def gas_of_refused(world: World, call: Any, sender: str) -> int:
    """What a transaction costs its sender that the contract refuses."""
    tx = {"from": sender, "to": call.address, "data": call._encode_transaction_data()}
    tx_hash = world.rpc("eth_sendTransaction", {**tx, "gas": hex(16_000_000)})
    receipt = world.w3.eth.wait_for_transaction_receipt(tx_hash, poll_latency=0.01)
    assert receipt["status"] == 0
    return int(receipt["gasUsed"])


def signer_of(world: World, contract: str) -> Signer:
    return Signer(world.contracts[contract].address, int(world.w3.eth.chain_id))


@contextmanager
def started() -> Iterator[World]:
    """Every contract on an anvil of its own, which ends with the block.

    Its clock is no machine's: it begins at one time, and each block is a second after the last. So
    every run has the same timestamps, and with them the same signatures.
    """
    node = subprocess.Popen(
        [str(toolchain.anvil()), "--port", "0", "--timestamp", str(BORN)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert node.stdout is not None
        lines = iter(node.stdout.readline, "")
        address = next(line.split()[-1] for line in lines if line.startswith("Listening on"))
        # anvil prints a line for each call: a full pipe would block it.
        drain = threading.Thread(target=deque, args=(lines, 0), daemon=True)
        drain.start()
        w3 = connected(f"http://{address}")
        w3.provider.make_request(RPCEndpoint("anvil_setBlockTimestampInterval"), [1])
        yield deploy_world(w3)
    finally:
        node.terminate()
        node.wait(timeout=PATIENCE_S)
        drain.join(timeout=PATIENCE_S)
        assert node.stdout is not None
        node.stdout.close()


@pytest.fixture(scope="session")
def deployed() -> Iterator[World]:
    """One anvil with every contract on it, for the whole run."""
    with started() as world:
        yield world


@pytest.fixture
def world(deployed: World) -> Iterator[World]:
    """The deployed contracts; what a test does to them is undone."""
    state = deployed.rpc("evm_snapshot")
    yield deployed
    deployed.rpc("evm_revert", state)
