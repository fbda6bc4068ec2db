"""Actors that end themselves by SIGKILL just before a durable step of a kind, whatever it is.

Run as `python -m tests.e2e.dying`: it imports everything once, reads lines of FOLDER, VERB and KIND
between tabs, and forks for each; a line of JSON with the child's status and its kinds of steps
answers. Steps are found where the operating system is asked for them, so none that is added can be
forgotten: a file that gets its name, a name that goes, a commit of SQLite, a transaction sent.
Each has a name that tells where, and what, without digests and numbers; with those before it, that
is its kind.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import sqlite3.dbapi2
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from chain.attestations import Verdict as Word
from chain.consent_types import consent_id
from chain.deploy import Deployment
from chain.keys import PatientSecret, address_of
from chain.types import Address, AgreementId, RoundNumber, StudyId
from federated.auditor import Level, replay
from federated.auditor.words import rule_on_update
from federated.center import run as center_run
from federated.challenging import freeze_of, submission_of
from federated.claims import claim_message, paying_cohorts
from federated.hospital import admit
from federated.hospital import run as hospital_run
from federated.hospital.admission import Presented
from federated.hospital.node import HospitalNode
from federated.mail import post
from federated.party import Party
from federated.patient import Patient, SignedGrant
from federated.relayer import relay
from federated.study import read_study
from records.record import LocalKey
from storage.cid import Codec
from storage.keys import Identity, Profile
from storage.signing import SigningKey
from tests.e2e.kit import Keys, World, make_node, make_party

DAY = 86_400


def hand_over(world: World, **more: Any) -> None:
    """What the actors' processes need to know; the world's own parties let go of their files."""
    world.forget()
    keys = {
        name: {
            "account": item.account.hex(),
            "signing": item.signing.seed.hex(),
            "identity": item.identity.seed.hex(),
            "profile": item.identity.profile.value,
        }
        for name, item in world.keys.items()
    }
    shown = {"url": world.anvil.url, "study": world.study, "keys": keys, **more}
    shown["deployment"] = world.deployment.to_json()
    (world.folder / "actors.json").write_text(json.dumps(shown))


Kind = tuple[str, str, str]
"""What a journal recorded last, the step before, the step: a freeze is sent as an update is."""


def find_kinds(folder: Path, fatal: Kind | None) -> list[Kind]:
    """From here on die before the first step of that kind; gives the kinds of those taken."""
    seen: list[Kind] = []
    recorded = before = ""
    one_at_a_time = threading.Lock()

    def step(name: str) -> None:
        nonlocal recorded, before
        if name:
            with one_at_a_time:
                name = _VARIES.sub("#", name)
                if (kind := (recorded, before, name)) == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
                if kind not in seen:
                    seen.append(kind)
                recorded, before = name if "/journal/" in name else recorded, name

    def connect(place: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
        found, last = honest(place, *arguments, **options), ""

        def trace(statement: str) -> None:
            nonlocal last
            if statement == "COMMIT":
                step(f"commit {Path(str(place)).name} {last}")
            last = " ".join(statement.split()[:4])

        found.set_trace_callback(trace)
        return found

    honest = sqlite3.connect
    sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[assignment]
    sys.addaudithook(lambda event, found: step(_step(folder, event, found)))
    return seen


_VARIES = re.compile(r"0x[0-9a-fA-F]+|\bbaf[a-z2-7]{50,}|\b(?=\w*\d)\w{6,}|\d+")
"""Digests, CIDs and numbers in the name of a step; one CID in 50,000 has no digit."""


def _step(folder: Path, event: str, found: tuple[Any, ...]) -> str:
    """What the interpreter is about to do that lasts beyond its process; "" for all else."""
    if event == "http.client.send":
        return "send" if b"eth_sendRawTransaction" in found[1] else ""
    if event == "os.rename":  # into a folder that is not there yet it fails, and is tried again
        return _named(folder, event, found[1]) if Path(found[1]).parent.is_dir() else ""
    if event == "os.remove" or (event == "open" and found[2] & os.O_CREAT != 0):
        return _named(folder, event, found[0])
    return ""


def _named(folder: Path, event: str, name: object) -> str:
    """A name that lasts, in the folder: temporary files and locks are none."""
    if not isinstance(name, str | os.PathLike):
        return ""
    path = Path(name)
    passing = path.parent.name == "tmp" or path.name.startswith(".") or path.suffix == ".lock"
    if passing or not path.is_relative_to(folder):
        return ""
    inner = path.relative_to(folder)
    return f"{event} {'/'.join(inner.parts[:2])}/{inner.name}"


def take(folder: Path, verb: str) -> None:
    """What is due for an actor, once."""
    shown = json.loads((folder / "actors.json").read_text())
    name, _, step = verb.partition("/")
    party, study = _party(folder, name, shown), StudyId(shown["study"])
    if name == "center":
        center_run.advance(party, study, _quiet)
    elif name == "relayer":
        relay(party)
    elif name == "auditor":
        _audit(party, study, step)
    elif name == "patient":
        (_claim if step == "claim" else _withdraw)(party, study, shown)
    elif step == "admit":
        _admit(make_node(folder, party), shown)
    else:
        hospital_run.advance(make_node(folder, party), study, _quiet)


def _party(folder: Path, name: str, shown: dict[str, Any]) -> Party:
    raw = shown["keys"]["relayer" if name == "patient" else name]
    keys = Keys(
        bytes.fromhex(raw["account"]),
        SigningKey(bytes.fromhex(raw["signing"])),
        Identity(Profile(raw["profile"]), bytes.fromhex(raw["identity"])),
    )
    party = make_party(folder, name, keys, shown["url"], Deployment.from_json(shown["deployment"]))
    party.chain.client.resume()
    return party


def _audit(party: Party, number: StudyId, hospital: str) -> None:
    """Try the update of a hospital, give the word on it, replay and attest."""
    study = read_study(party.chain, party.store, number, party.head())
    last = RoundNumber(party.chain.rounds.count(number, block_identifier=party.head()))
    frozen = freeze_of(party, study, last, int(hospital))
    rule_on_update(party, study, frozen, submission_of(party, frozen))
    verdict = replay(party, number, level=Level.KEYED)
    report = party.store.put_block(Codec.DAG_CBOR, verdict.to_bytes())
    party.store.pin(report)
    word = Word.OK if verdict.ok else Word.TAMPERED
    attest = party.chain.attestations.attest
    party.chain.client.send(attest(number, RoundNumber(0), verdict.level, word, report.digest))


def _admit(node: HospitalNode, shown: dict[str, Any]) -> None:
    """Say of grants that people of this hospital signed them."""
    client, keys = node.party.chain.client, shown["keys"]
    admit(
        node,
        [Presented(LocalKey(key), SignedGrant.from_json(tree)) for key, tree in shown["grants"]],
        relayer=address_of(bytes.fromhex(keys["relayer"]["account"])),
        deadline=client.timestamp() + DAY,
    )


def _claim(party: Party, study: StudyId, shown: dict[str, Any]) -> None:
    agreement = AgreementId(shown["agreement"])
    patient = Patient(PatientSecret(shown["phrase"]), party.chain)
    mine = consent_id(patient.address_for(agreement), agreement, 0)
    found = paying_cohorts(party.chain, party.store, study, party.head())
    body = claim_message(
        patient,
        next(cohort[mine] for cohort in found if mine in cohort),
        agreement=agreement,
        nonce=0,
        recipient=Address(shown["recipient"]),
        deadline=party.chain.client.timestamp() + DAY,
    )
    post(party.store, party.address, "claim", body)


def _withdraw(party: Party, _: StudyId, shown: dict[str, Any]) -> None:
    agreement = AgreementId(shown["agreement"])
    patient = Patient(PatientSecret(shown["phrase"]), party.chain)
    m = patient.revoke(agreement, deadline=party.chain.client.timestamp() + DAY)
    fields = [m.key, agreement, m.nonce, m.deadline, m.r, m.vs]
    post(party.store, party.address, "revocations", {"messages": [fields]})


def _quiet(_: str) -> None:
    return


def _serve() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        folder, verb, fatal = line.rstrip("\n").split("\t")
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            _run(Path(folder), verb, tuple(json.loads(fatal)) or None, writing)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            kinds = json.loads(pipe.read() or "[]")
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), kinds]) + "\n")
        sys.stdout.flush()


def _run(folder: Path, verb: str, fatal: Kind | None, writing: int) -> None:
    code = 1
    try:
        kinds = find_kinds(folder, fatal)
        take(folder, verb)
        with os.fdopen(writing, "w") as pipe:
            json.dump(kinds, pipe)
        code = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import federated.training  # noqa: F401 - once, and not in each fork

    _serve()
