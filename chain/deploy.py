"""Deploys all contracts, wired by addresses that are known before: CREATE's depend on nonces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address

from chain import artifacts, verify
from chain.access import DELAY_S, AccessManager
from chain.client import Client
from chain.clock import Clock
from chain.errors import CodeMismatch, DeploymentUnreadable
from chain.keccak import keccak
from chain.types import Address, BlockNumber, Call

# Deployment order, one nonce each, and whose addresses each constructor takes.
WIRING: dict[str, tuple[str, ...]] = {
    "AccessManager": ("admin",),
    "Participants": ("AccessManager",),
    "Studies": ("Participants", "Escrow"),
    "Agreements": ("Studies", "Consents"),
    "Consents": ("Studies", "Agreements", "Escrow"),
    "Rounds": ("Studies", "Escrow", "Challenges"),
    "Challenges": ("Studies", "Agreements", "Consents", "Rounds", "Escrow"),
    "Escrow": ("Studies", "Agreements", "Consents", "Rounds", "Challenges"),
    "Attestations": ("Participants", "Studies", "Rounds"),
}
MINTABLE = "DevelopmentToken"


@dataclass(frozen=True)
class Deployment:
    """Where the contracts are: `block` is that of the first; `genesis` tells chains apart."""

    chain_id: int
    genesis: bytes
    block: BlockNumber
    addresses: Mapping[str, Address]

    def address_of(self, name: str) -> Address:
        """A contract's address. Raises DeploymentUnreadable for a name that it lacks."""
        if name not in self.addresses:
            raise DeploymentUnreadable(f"the deployment has no {name}: use a complete one")
        return self.addresses[name]

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps(
            {
                "chain_id": self.chain_id,
                "genesis": "0x" + self.genesis.hex(),
                "block": self.block,
                "addresses": dict(self.addresses),
            },
            indent=1,
        )

    @staticmethod
    def from_json(text: str) -> Deployment:
        """Raises DeploymentUnreadable for what `to_json` did not write."""
        try:
            raw: dict[str, Any] = json.loads(text)
            addresses = {n: Address(to_checksum_address(a)) for n, a in raw["addresses"].items()}
            genesis = bytes.fromhex(raw["genesis"][2:])
            return Deployment(
                int(raw["chain_id"]), genesis, BlockNumber(int(raw["block"])), addresses
            )
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise DeploymentUnreadable(
                "not a deployment's JSON: get the file again from the operator"
            ) from exc


def deploy(
    client: Client,
    *,
    admin: Address | None = None,
    token: bool = False,
    delay_s: int | None = None,
) -> Deployment:
    """Deploys every contract, once: taken up again, it goes on with the contract that is missing.

    `admin` (the deployer, where none is named) admits participants, `delay_s` seconds after it
    announced to: by default two days, and at once on a chain for development. `token` adds the
    development token, which anyone may mint.
    """
    if delay_s is None:
        delay_s = 0 if Clock(client.node).is_development else DELAY_S
    first = client.outbox.find(_step("AccessManager"))
    start = first.nonce if first else client.node.nonce(client.address, block="pending")
    addresses = predict(client.address, start)
    known = {**addresses, "admin": client.address}
    blocks = []
    for name, parts in WIRING.items():
        arguments = encode(["address"] * len(parts), [known[part] for part in parts])
        blocks.append(_create(client, name, arguments, addresses[name]))
    if token:
        receipt = client.send(
            Call(MINTABLE, None, artifacts.load(MINTABLE).creation), step=_step(MINTABLE)
        )
        assert receipt.contract is not None
        addresses[MINTABLE] = receipt.contract
    genesis = client.block_hash(BlockNumber(0))
    deployment = Deployment(client.chain_id, genesis, min(blocks), addresses)
    verify_deployment(client, deployment, block_identifier=client.block_number())
    _hand_over(client, deployment, admin or client.address, delay_s)
    return deployment


def _hand_over(client: Client, deployment: Deployment, admin: Address, delay_s: int) -> None:
    """The operator is whom it should be, under its delay; the deployer is nobody more."""
    place = deployment.address_of("AccessManager")
    manager = AccessManager(client, place, deployment.block)
    if delay_s or admin != client.address:
        client.send(manager.grant_admin(admin, delay_s), step=_step("operator"))
    if admin != client.address:
        client.send(manager.renounce_admin(client.address), step=_step("leave"))


def predict(sender: Address, nonce: int) -> dict[str, Address]:
    """The addresses that consecutive transactions from this nonce give (last 20 bytes of
    keccak256(rlp([sender, nonce])), by the EVM's CREATE)."""
    return {
        name: Address(
            to_checksum_address(keccak(rlp.encode([bytes.fromhex(sender[2:]), nonce + place]))[12:])
        )
        for place, name in enumerate(WIRING)
    }


def verify_deployment(
    client: Client, deployment: Deployment, *, block_identifier: BlockNumber
) -> None:
    """Raises CodeMismatch unless each contract is the committed one, wired to the others."""
    if client.block_hash(BlockNumber(0)) != deployment.genesis:
        raise CodeMismatch(
            f"{client.node.name} serves another chain than the deployment's: correct the address"
        )
    for name in WIRING:
        code = client.node.code(deployment.address_of(name), block=block_identifier)
        verify.check_code(name, code, deployment.addresses, deployment.chain_id)


def _create(client: Client, name: str, arguments: bytes, expected: Address) -> BlockNumber:
    call = Call(name, None, artifacts.load(name).creation + arguments)
    receipt = client.send(call, step=_step(name))
    if receipt.contract != expected:
        raise CodeMismatch(
            f"{name} came to {receipt.contract}, not {expected}: another transaction of "
            f"{client.address} came between; deploy with an account that sends nothing else"
        )
    return receipt.block


def _step(name: str) -> str:
    return f"deploy-{name}"
