"""A whole study in one process: a real chain, a real store, real records, and actors over them.

`Place.save` keeps a study as files (chain, store, journals, outboxes, records); `Place.start` goes
on from a copy of them on a chain of its own, so that a test may spoil whatever it wants.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chain.anvil import Anvil
from chain.client import Client
from chain.clock import Clock
from chain.consent_types import consent_id
from chain.contracts import Contracts
from chain.deploy import Deployment, deploy
from chain.keys import PatientSecret, address_of, new_phrase
from chain.node import Node
from chain.participants import Role
from chain.round_events import Submitted
from chain.round_types import Freeze, Round
from chain.rpc import request
from chain.types import NO_ADDRESS, Address, AgreementId, ConsentId, RoundNumber, StudyId, Wei
from federated import codec
from federated.auditor import Level, Verdict, replay
from federated.center import finalize, invite, open_round, open_tier, propose, request_study
from federated.center.tiers import TierWish
from federated.claims import claim_message, paying_cohorts
from federated.hospital import (
    HospitalNode,
    Policy,
    admit,
    approve,
    freeze,
    join,
    report,
    submit,
    train,
)
from federated.hospital.admission import Presented
from federated.hospital.node import dictionary_of
from federated.journal import Journal
from federated.mail import post, post_all
from federated.party import Party
from federated.patient import Patient
from federated.relayer import relay
from federated.spec import StudySpec
from federated.studies import wisconsin_spec
from federated.study import Study, read_study
from records import wisconsin
from records.consents import ConsentTable
from records.importer import import_csv
from records.record import LocalKey
from records.store import RecordStore
from storage.cid import Cid
from storage.embedded import EmbeddedStore
from storage.keys import Identity, publish_key
from storage.signing import Sender, SigningKey
from storage.store import BlockStore
from tests.e2e.stores import OneFolder, Stores, spoil

Found = set[tuple[str, int | None, str | None]]
NO_STUDY = StudyId(0)
COINS = 10**21
TOKEN = 10**18
DAY = 86_400
HOSPITALS = ("north", "harbor", "valley")
PATIENTS = 30
PURPOSES, OTHER_PURPOSES = ("DUO:0000006",), ("DUO:0000011",)
ROLES = {"center": Role.CENTER, "auditor": Role.AUDITOR} | dict.fromkeys(HOSPITALS, Role.HOSPITAL)

# What the last patients of each hospital decide; all others grant under the standing tier.
SHORT_S = 1200
"""A tier that ends before any round's submitBy, and after the slowest test that begins with it:
a study goes on at the second at which it was saved (`Resumed`)."""
WILLS = {26: "refuses", 27: "expires", 28: "other purpose", 29: "refuses"}


@dataclass(frozen=True, slots=True)
class Keys:
    account: bytes
    signing: SigningKey
    identity: Identity

    @classmethod
    def fresh(cls) -> Keys:
        return cls(os.urandom(32), SigningKey.generate(), Identity.generate())

    @property
    def address(self) -> Address:
        return address_of(self.account)


@dataclass(frozen=True, slots=True)
class Asked:
    """A patient: in which hospital, under which local key, with which secret and will."""

    hospital: str
    local_key: LocalKey
    secret: PatientSecret
    will: str
    phrase: str = ""


@dataclass(slots=True)
class World:
    """All parties of one study over one chain and one store, under one folder."""

    folder: Path
    anvil: Anvil
    deployment: Deployment
    keys: Mapping[str, Keys]
    stores: Stores
    patients: list[Asked] = field(default_factory=list)
    tiers: dict[tuple[str, str], AgreementId] = field(default_factory=dict)
    study: StudyId = NO_STUDY
    spoiled: list[Callable[[], None]] = field(default_factory=list)
    _parties: dict[str, Party] = field(default_factory=dict)
    _nodes: dict[str, HospitalNode] = field(default_factory=dict)

    def party(self, name: str) -> Party:
        if name not in self._parties:
            store = self.stores.open(name)
            self._parties[name] = make_party(
                self.folder, name, self.keys[name], self.anvil.url, self.deployment, store=store
            )
        return self._parties[name]

    def node(self, hospital: str) -> HospitalNode:
        if hospital not in self._nodes:
            self._nodes[hospital] = make_node(self.folder, self.party(hospital))
        return self._nodes[hospital]

    def forget(self) -> None:
        """Drop all parties: the next use opens them anew, as a restarted process does."""
        for party in self._parties.values():
            party.chain.client.outbox.close()
        for node in self._nodes.values():
            node.records.close()
            node.consents.close()
        self._parties.clear()
        self._nodes.clear()

    @property
    def center(self) -> Party:
        return self.party("center")

    @property
    def auditor(self) -> Party:
        return self.party("auditor")

    @property
    def relayer(self) -> Party:
        return self.party("relayer")

    @property
    def nodes(self) -> list[HospitalNode]:
        return [self.node(name) for name in HOSPITALS]

    @property
    def clock(self) -> Clock:
        return Clock(Node(self.anvil.url))

    def patient(self, asked: Asked) -> Patient:
        return Patient(asked.secret, self.relayer.chain)

    def consent_of(self, asked: Asked) -> ConsentId:
        agreement = self.tiers[asked.hospital, asked.will]
        return consent_id(self.patient(asked).address_for(agreement), agreement, 0)

    def read(self) -> Study:
        return read_study(self.center.chain, self.center.store, self.study, self.center.head())

    def index(self, hospital: str) -> int:
        return self.read().index_of(self.keys[hospital].address)

    def audit(self, level: Level = Level.KEYED, name: str = "auditor") -> Verdict:
        return replay(self.party(name), self.study, level=level)


def make_party(
    folder: Path,
    name: str,
    keys: Keys,
    url: str,
    deployment: Deployment,
    node: Node | None = None,
    store: BlockStore | None = None,
) -> Party:
    """A party whose journal and outbox lie in `folder`/NAME, over `store`, else `folder`/store."""
    home = folder / name
    home.mkdir(exist_ok=True)
    client = Client(node or Node(url), keys.account, home / "outbox.sqlite")
    return Party(
        name=name,
        chain=Contracts(client, deployment),
        store=store or EmbeddedStore(folder / "store"),
        sender=Sender(bytes.fromhex(client.address[2:]), keys.signing),
        identity=keys.identity,
        journal=Journal(home / "journal"),
    )


def make_node(folder: Path, party: Party) -> HospitalNode:
    home = folder / party.name
    records, consents = RecordStore(home / "records.sqlite"), home / "consents.sqlite"
    return HospitalNode(party, records, ConsentTable(consents), home / "policy.toml")


# ------------------------------------------------------------------ a study, step by step


def build_world(folder: Path, stores: Stores | None = None) -> World:
    """A chain, the contracts, stores, and every party admitted with its keys published."""
    folder.mkdir(parents=True, exist_ok=True)
    stores = (stores or OneFolder(folder)).renew(folder)
    anvil = Anvil(folder / "chain.json.gz")
    keys = {name: Keys.fresh() for name in ("operator", "relayer", *ROLES)}
    for item in keys.values():
        anvil.fund(item.address, COINS)
    (folder / "operator").mkdir()
    outbox = folder / "operator" / "outbox.sqlite"
    operator = Client(Node(anvil.url), keys["operator"].account, outbox)
    world = World(folder, anvil, deploy(operator, token=True), keys, stores)
    participants = world.party("operator").chain.participants
    for name, role in ROLES.items():
        call = participants.admit(keys[name].address, role, bytes(32))
        world.party("operator").chain.client.send(call)
        register(world.party(name))
    return world


def register(party: Party) -> None:
    digest = publish_key(party.store, party.identity.recipient)
    party.chain.client.send(
        party.chain.participants.set_keys(party.sender.signing_key.public, digest)
    )


def study_spec(world: World, **changes: Any) -> StudySpec:
    """Wisconsin for three hospitals and two rounds, one named auditor."""
    auditors = [codec.Address(world.keys["auditor"].address.lower())]
    spec = wisconsin_spec(auditors=auditors, hospitals=3, rounds=2, min_hospitals=2)
    return replace(spec, **changes)


def enrol_all(
    world: World,
    spec: StudySpec,
    patients: int = PATIENTS,
    files: Mapping[str, Path] | None = None,
    names: Sequence[str] = HOSPITALS,
) -> StudyId:
    """Request, import (from `files` by hospital, else Wisconsin's patients), approve, join."""
    token = world.deployment.address_of("DevelopmentToken")
    mint = world.center.chain.token(token).mint
    world.center.chain.client.send(mint(world.center.address, spec.reward.budget_wei))
    study = request_study(world.center, spec, token)
    files = files or deal(world.folder / "exports", patients)
    for name in names:
        enrol(world, study, spec, name, files[name])
    world.study = study
    return study


def enrol(world: World, study: StudyId, spec: StudySpec, name: str, file: Path) -> None:
    """One hospital imports, approves and joins."""
    node, dictionary = world.node(name), dictionary_of(spec)
    node.records.replace(import_csv(file, dictionary), dictionary.name)
    invite(world.center, study, node.party.address)
    mint = world.center.chain.token(world.deployment.address_of("DevelopmentToken")).mint
    world.center.chain.client.send(mint(node.party.address, spec.reward.bond_wei))
    approve(node, study, Policy(least_cohort=5))
    join(node, study)


def deal(folder: Path, patients: int = PATIENTS) -> dict[str, Path]:
    """The first patients of three hospitals, dealt from the data set."""
    found = {}
    for name, path in wisconsin.deal(folder, seed=1).items():
        if name in HOSPITALS:
            with path.open(newline="") as file:
                rows = list(csv.reader(file))[: patients + 1]
            with path.open("w", newline="") as file:
                csv.writer(file).writerows(rows)
            found[name] = path
    return found


def open_tiers(world: World, names: Sequence[str] = HOSPITALS) -> None:
    """Three tiers a hospital: standing, too short for any round, for another purpose."""
    now = world.clock.now()
    for place, name in ((HOSPITALS.index(name) + 1, name) for name in names):
        for will, purposes, lasts in (
            ("grants", PURPOSES, 365 * DAY),
            ("expires", PURPOSES, SHORT_S),
            ("other purpose", OTHER_PURPOSES, 365 * DAY),
        ):
            wish = TierWish(
                world.keys[name].address, Wei(place * TOKEN), purposes, now + lasts, 100, will
            )
            step = f"{name}-{will}"
            world.tiers[name, will] = open_tier(world.center, world.study, wish, step=step)


def ask_all(
    world: World, unasked: Sequence[LocalKey] = (), names: Sequence[str] = HOSPITALS
) -> None:
    """Everybody is asked but for `unasked`; grants go over the hospitals and the relayer."""
    spec, deadline = world.read().spec, world.clock.now() + 3600
    for name in names:
        records = world.node(name).records.records(spec.data.dictionary)
        presented = []
        for place, record in enumerate(records):
            will = WILLS.get(place, "grants")
            phrase = new_phrase()
            asked = Asked(name, record.key, PatientSecret(phrase), will, phrase)
            world.patients.append(asked)
            if will == "refuses" or record.key in unasked:
                continue
            grant = world.patient(asked).grant(world.tiers[name, will], deadline=deadline)
            presented.append(Presented(record.key, grant))
        admit(
            world.node(name),
            presented,
            relayer=world.relayer.address,
            deadline=deadline,
        )
    assert not relay(world.relayer).refused


def revoke(world: World, asked: Asked) -> None:
    """Withdraw by signature, through the relayer."""
    agreement = world.tiers[asked.hospital, asked.will]
    message = world.patient(asked).revoke(agreement, deadline=world.clock.now() + 3600)
    fields = [message.key, agreement, message.nonce, message.deadline, message.r, message.vs]
    post(world.relayer.store, world.relayer.address, "revocations", {"messages": [fields]})
    assert not relay(world.relayer).refused


def freeze_and_submit(world: World, number: RoundNumber, names: Sequence[str] = HOSPITALS) -> None:
    for name in names:
        freeze(world.node(name), world.study, number)
    for name in names:
        train(world.node(name), world.study, number)
        submit(world.node(name), world.study, number)


def report_all(world: World, number: RoundNumber, names: Sequence[str] = HOSPITALS) -> None:
    """The center proposes and hospitals report, as a contribution rule needs."""
    assert propose(world.center, world.study, number) is not None
    for name in names:
        assert report(world.node(name), world.study, number) is not None


def run_round(world: World, *, finalized: bool = True) -> RoundNumber:
    """Open, freeze, train, submit, and perhaps finalize."""
    number = open_round(world.center, world.study)
    freeze_and_submit(world, number)
    if finalized:
        finalize(world.center, world.study, number)
    return number


def claim_all(world: World) -> int:
    """Every patient whose consent stands in a paying cohort claims; returns how many."""
    chain, store, block = world.relayer.chain, world.relayer.store, world.relayer.head()
    standings: dict[ConsentId, Any] = {}
    for cohort in paying_cohorts(chain, store, world.study, block):
        standings = cohort | standings
    claims = []
    for place, asked in enumerate(world.patients, start=0x1000):
        if asked.will != "grants" or world.consent_of(asked) not in standings:
            continue
        body = claim_message(
            world.patient(asked),
            standings[world.consent_of(asked)],
            agreement=world.tiers[asked.hospital, asked.will],
            nonce=0,
            recipient=Address(NO_ADDRESS[:-8] + f"{place:08x}"),
            deadline=world.clock.now() + 3600,
        )
        claims.append(body)
    post_all(store, world.relayer.address, "claim", claims)
    relay(world.relayer)
    return len(claims)


def state_of(world: World, number: int) -> bytes:
    """The digest of the model that a round was finalized with."""
    rounds = world.center.chain.rounds
    block = world.center.head()
    return rounds.round(world.study, RoundNumber(number), block_identifier=block).state


# ------------------------------------------------------------------ keeping and spoiling


class Resumed(Anvil):
    """Goes on at the second at which it was saved, however long ago: phases last minutes, and the
    tests that begin with one study may be an hour apart on a slow machine."""

    def _catch_up(self) -> None:
        latest = request(self.url, "eth_getBlockByNumber", "latest", False)
        request(self.url, "evm_setTime", int(latest["timestamp"], 16) + 1)
        request(self.url, "evm_mine")


@dataclass(frozen=True, slots=True)
class Saved:
    """A study as files: what `start` goes on from, as often as wanted."""

    folder: Path
    world: World

    @contextmanager
    def start(self, folder: Path) -> Iterator[World]:
        """A copy on a chain of its own."""
        shutil.copytree(self.folder, folder)
        with Resumed(folder / "chain.json.gz") as anvil:
            world = replace(
                self.world,
                folder=folder,
                anvil=anvil,
                patients=list(self.world.patients),
                tiers=dict(self.world.tiers),
                stores=self.world.stores.renew(folder),
                spoiled=[],
                _parties={},
                _nodes={},
            )
            try:
                yield world
            finally:
                world.forget()
                for put_back in reversed(world.spoiled):
                    put_back()


def save(world: World, folder: Path) -> Saved:
    """Keep the study as it is now; the world lives on."""
    world.forget()
    shutil.copytree(world.folder, folder, ignore=shutil.ignore_patterns("chain.json.gz*"))
    dump(world, folder / "chain.json.gz")
    kept = {"patients": list(world.patients), "tiers": dict(world.tiers)}
    return Saved(folder, replace(world, stores=world.stores.saved(folder), **kept))


def dump(world: World, path: Path) -> None:
    """The chain's state with its history, as anvil goes on from it."""
    path.write_bytes(bytes.fromhex(request(world.anvil.url, "anvil_dumpState", True)[2:]))


def path_of(world: World, digest: bytes) -> Path:
    """The one file of the block with this digest, in a world over a folder."""
    (path,) = world.stores.copies(digest)
    return path


def flip(world: World, block: Cid | bytes) -> Callable[[], None]:
    """Change one bit of a block on every disk, behind the stores' backs; returns what undoes it."""

    def flipped(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        return bytes(changed)

    return _spoil(world, block, flipped)


def lose(world: World, block: Cid | bytes) -> Callable[[], None]:
    """Remove a block from every disk; returns what puts it back."""
    return _spoil(world, block, lambda _: None)


def _spoil(
    world: World, block: Cid | bytes, change: Callable[[bytes], bytes | None]
) -> Callable[[], None]:
    digest = block if isinstance(block, bytes) else block.digest
    put_back = spoil(world.stores, digest, change)
    world.spoiled.append(put_back)
    return put_back


# ------------------------------------------------------------------ asking the auditor


def failures(world: World, verdict: Verdict) -> Found:
    """What failed: check, round, and the name of the hospital."""
    addresses = world.read().hospitals
    names = {world.keys[name].address: name for name in HOSPITALS}
    return {
        (
            check.name,
            check.round_number,
            None if check.hospital is None else names[addresses[check.hospital]],
        )
        for check in verdict.failures
    }


def assert_sound(world: World) -> None:
    """Both levels pass; the keyless one for somebody who has no part in the study."""
    keyless = world.audit(Level.KEYLESS, "relayer")
    keyed = world.audit(Level.KEYED)
    assert not keyless.failures
    assert not keyed.failures
    assert keyless.ok
    assert keyed.ok
    assert (keyless.level, keyed.level) == (Level.KEYLESS, Level.KEYED)


def found_at(world: World, level: Level) -> Found:
    """What an audit of that level finds wrong: check, round, hospital."""
    verdict = world.audit(level, "relayer" if level is Level.KEYLESS else "auditor")
    assert verdict.ok == (not verdict.failures)
    return failures(world, verdict)


def submission_of(world: World, number: int, hospital: str) -> Submitted:
    block = world.center.head()
    events = world.center.chain.rounds.submissions(world.study, RoundNumber(number), to_block=block)
    return next(event for event in events if event.hospital == world.keys[hospital].address)


def freeze_of(world: World, number: int, hospital: str) -> Freeze:
    block = world.center.head()
    events = world.center.chain.rounds.freezes(world.study, RoundNumber(number), to_block=block)
    return next(e.freeze for e in events if e.hospital == world.keys[hospital].address)


def round_at(world: World, number: int) -> Round:
    block = world.center.head()
    return world.center.chain.rounds.round(world.study, RoundNumber(number), block_identifier=block)
