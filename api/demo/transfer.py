"""What the record on the chain costs: private IPFS alone beside IPFS plus the record.

A sealed file goes to a hospital's node and is read at the center's. Alone, its reader trusts who
named the CID; with the record, the sender writes the manifest's digest to the chain and the reader
compares it before it opens. All bytes are checked against their CIDs in both.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from api.demo.rounds import Rounds
from api.demo.world import COINS, Say, World
from api.errors import DemoError
from api.report.data import StoreCase
from chain.client import Client
from chain.contracts import Contracts
from chain.deploy import deploy
from chain.keys import address_of
from chain.node import Node
from chain.participants import Participants, Role
from chain.types import RoundNumber, StudyId
from federated.party import Party
from storage.artefact import open_artefact, seal
from storage.kubo import KuboStore
from storage.sealed import Sealed

KIB, MIB = 1 << 10, 1 << 20
SIZES = {
    "10 KiB": (10 * KIB, 5),
    "100 KiB": (100 * KIB, 5),
    "1 MiB": (MIB, 5),
    "10 MiB": (10 * MIB, 3),
    "100 MiB": (100 * MIB, 3),
}
"""Plaintext bytes, and how often each is sent."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One transfer in seconds: seal, store and announce; fetch and open; write and compare."""

    upload_s: float
    download_s: float
    record_s: float
    compare_s: float


def compare_transfers(world: World, study: StudyId, rounds: Rounds, say: Say) -> list[StoreCase]:
    """The study's own updates, then files of each size. Of a world on Kubo."""
    return [_updates(world, study, rounds), *transfers(world, say, SIZES)]


def transfers(world: World, say: Say, sizes: Mapping[str, tuple[int, int]]) -> list[StoreCase]:
    """Files of each size, from the first hospital's node to the center's."""
    rows = []
    registry = _registry(world)
    for what, (size, repeats) in sizes.items():
        say(next(iter(world.hospitals)), f"sends a sealed file of {what} to the center")
        legs = [_send(world, registry, size) for _ in range(repeats)]
        rows.append(_medians(what, size, legs))
    return rows


def _updates(world: World, study: StudyId, rounds: Rounds) -> StoreCase:
    legs = []
    for item in rounds.transfers:
        hospital = world.hospitals[item.hospital].party.address
        compare_s = _timed(partial(_submitted, world, study, item.round_number, hospital))
        legs.append(Leg(item.upload_s, item.download_s, item.chain_s, compare_s))
    size = int(median(item.bytes for item in rounds.transfers))
    return _medians("updates of the study", size, legs)


def _submitted(world: World, study: StudyId, number: int, hospital: str) -> bytes:
    """The digest on the chain that the center compares an update's manifest with."""
    chain = world.center.chain
    events = chain.rounds.submissions(study, RoundNumber(number), to_block=world.center.head())
    return next(event.manifest for event in events if event.hospital == hospital)


@dataclass(frozen=True, slots=True)
class _Registry:
    """Contracts of their own, so that the study's keep no trace of what is measured."""

    writer: Client
    writing: Participants
    reading: Participants


def _registry(world: World) -> _Registry:
    folder = world.folder / "transfer"
    folder.mkdir()
    key = secrets.token_bytes(32)
    world.anvil.fund(address_of(key), COINS)
    writer = Client(Node(world.anvil.url), key, folder / "outbox.sqlite")
    deployment = deploy(writer, token=False)
    reader = Contracts(world.center.chain.client, deployment)
    return _Registry(writer, Contracts(writer, deployment).participants, reader.participants)


def _send(world: World, registry: _Registry, size: int) -> Leg:
    """One file: from the first hospital's node, with its digest on the chain, to the center's."""
    sender, center = next(iter(world.hospitals.values())).party, world.center
    context, subject = secrets.token_bytes(32), address_of(secrets.token_bytes(32))
    started = time.perf_counter()
    sealed = _seal(sender, center, context, size)
    upload_s = time.perf_counter() - started
    call = registry.writing.admit(subject, Role.HOSPITAL, sealed.manifest_digest)
    record_s = _timed(lambda: registry.writer.send(call))
    started = time.perf_counter()
    block = center.head()
    recorded = registry.reading.metadata_of(subject, block_identifier=block)
    if recorded != sealed.manifest_digest:
        raise DemoError("the chain holds another digest than the file's: measure again")
    compare_s = time.perf_counter() - started
    download_s = _timed(lambda: _read(sender, center, context, sealed))
    _forget([sender, center], sealed)
    return Leg(upload_s, download_s, record_s, compare_s)


def _seal(sender: Party, center: Party, context: bytes, size: int) -> Sealed:
    return seal(
        sender.store,
        _Content(size),
        kind="file",
        schema=bytes(32),
        context=context,
        sender=sender.sender,
        recipients=[center.identity.recipient],
    )


def _read(sender: Party, center: Party, context: bytes, sealed: Sealed) -> None:
    """Read to the end, a segment at a time. Raises DemoError, and what the store does."""
    opened = open_artefact(
        center.store,
        sealed.manifest_digest,
        center.identity,
        expected_context=context,
        expected_signer=sender.sender.signer,
        envelope=sealed.envelope_cid,
    )
    if sum(map(len, opened.payload.segments())) != sealed.plaintext_size:
        raise DemoError("the file that arrived has another size than the one sent: measure again")


def _forget(parties: Sequence[Party], sealed: Sealed) -> None:
    """Drop the payload from both nodes: the disk must hold one file, not all."""
    for party in parties:
        store = party.store
        assert isinstance(store, KuboStore)
        store.unpin(sealed.envelope_cid)
        store.drop(sealed.manifest_cid)


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


class _Content:
    """A file of random bytes that repeat each MiB: encryption leaves nothing of that."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._piece = os.urandom(MIB)

    def read(self, size: int, /) -> bytes:
        """The next bytes, none at the end."""
        piece = self._piece[: min(size, self._left)]
        self._left -= len(piece)
        return piece


def _medians(what: str, size: int, legs: Sequence[Leg]) -> StoreCase:
    """Of some transfers of one size."""
    return StoreCase(
        what=what,
        bytes=size,
        repeats=len(legs),
        ipfs_upload_s=median(leg.upload_s for leg in legs),
        ipfs_download_s=median(leg.download_s for leg in legs),
        recorded_upload_s=median(leg.upload_s + leg.record_s for leg in legs),
        recorded_download_s=median(leg.download_s + leg.compare_s for leg in legs),
    )
