"""Writes tests/vectors/protocol/*.json: `python -m tests.federated.make_vectors`.

Every value is made by the project's code from inputs that are fixed here; docs/protocol.md says
what each means. A second run changes nothing. The secrets guard nothing.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from chain.challenges import Leaf as ChainLeaf
from chain.consent_types import GrantMessage, consent_id
from chain.contracts import Contracts
from chain.deploy import predict
from chain.keys import PatientSecret, address_of, derivation_path
from chain.merkle import MerkleTree, hash_cohort_leaf, hash_share_leaf
from chain.participants import Role
from chain.round_events import Frozen, Submitted
from chain.round_types import Freeze
from chain.typed_data import (
    Admission,
    CancelCounterOffer,
    Claim,
    ClaimBonus,
    CounterOffer,
    Domain,
    Grant,
    Message,
    Revoke,
    compact,
    hash_ids,
    sign,
)
from chain.types import Address, AgreementId, BlockNumber, ConsentId, RoundNumber, StudyId, Wei
from federated.aggregate import WeightedSum
from federated.auditor import Check, Level, Verdict
from federated.auditor.rounds import inputs_digest
from federated.candidates import Candidate, Candidates, encode_models, write_candidates
from federated.canonical import digest, encode, tagged_hash
from federated.challenging import Proven
from federated.codec import Address as SpecAddress
from federated.cohort import Entry as CohortEntry
from federated.cohort import build_leaves, encode_leaves
from federated.context import candidates_context, candidates_topic, state_context, update_context
from federated.contribution import Measure, bit, everyone
from federated.directory import publish_description
from federated.exclusion import ExclusionCode
from federated.grid import Grid
from federated.journal import Journal
from federated.leaf_list import publish_leaves, tree_of
from federated.left_out import Update, left_out_states
from federated.mail import mail_for, post
from federated.missing import confirm_missing
from federated.models import initial_parameters, parameter_schema, update_schema
from federated.offers import SignedOffer
from federated.party import Party
from federated.patient import SignedGrant
from federated.purposes import PERMISSIONS, RESTRICTIONS, study_bitmap, tier_bitmap
from federated.reports import Evaluation, Report
from federated.results import Results, results_topic, write_results
from federated.rewards import by_contribution
from federated.round_manifest import Entry, RoundManifest, write_round_manifest
from federated.schema import Array
from federated.shares import publish_shares
from federated.signed_report import report_topic, sign_report
from federated.spec import Data, Feature, GridTerms, Label, StudySpec, Training
from federated.state import encode_state, initial_state, next_state, state_digest
from federated.studies import wisconsin_spec
from federated.tensors import encode_tensors
from federated.training import shuffles
from federated.unopened import confirm_unopened
from records.dictionary import Dictionary, Field
from records.outcomes import Two
from records.record import LocalKey, Record
from records.splits import assign
from storage.cid import dag_cbor_cid
from storage.embedded import EmbeddedStore
from storage.keys import Identity, Profile
from storage.signing import Sender, SigningKey
from tests.federated.round_vectors import round_vectors
from tests.federated.strategy_vectors import strategy_vectors
from tests.federated.task_vectors import task_vectors

FOLDER = Path(__file__).parents[1] / "vectors" / "protocol"
CHAIN_ID = 31337
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
STUDY, ROUND, AGREEMENT = StudyId(7), RoundNumber(2), AgreementId(2**31 + 5)

Json = dict[str, Any]


def fixed(what: str, size: int = 32) -> bytes:
    """Bytes that look random and are not."""
    return hashlib.shake_256(f"protocol vector {what}".encode()).digest(size)


def account(what: str) -> Address:
    """An account nobody has the key of."""
    return Address(address_of(fixed(f"account {what}")))


def plain(value: Any) -> Any:
    """As JSON holds it: bytes in hexadecimal, integers beyond 53 bits as decimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) >= 1 << 53:
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


CONSENTS, AGREEMENTS, ESCROW, ROUNDS = map(account, ("Consents", "Agreements", "Escrow", "Rounds"))


def chain_vectors() -> Json:
    """What the contracts hash or sign too."""
    return {
        "typed_messages": typed_messages(),
        "consent_ids": [
            {"key": key, "agreement": agreement, "nonce": nonce}
            | {"id": consent_id(key, AgreementId(agreement), nonce)}
            for key, agreement, nonce in (
                (account("patient"), 1, 0),
                (account("patient"), 1, 1),
                (account("other patient"), AGREEMENT, 2**64 - 1),
            )
        ],
        "cohort_trees": [cohort_tree(size) for size in (1, 2, 3, 5, 8)],
        "share_trees": [share_tree([5]), share_tree([600, 0, 10**21 + 1, 399])],
        "freeze": freeze_vector(),
        "submission": {"manifest": fixed("manifest"), "commitment": fixed("commitment")}
        | {"digest": submitted().digest()},
        "inputs": inputs_vector(),
        "one_time_keys": [key_vector(AgreementId(1)), key_vector(AGREEMENT)],
        "wiring": {"deployer": account("deployer"), "nonce": 3}
        | {"addresses": predict(account("deployer"), 3)},
    }


def typed_messages() -> list[Json]:
    """Each EIP-712 message once, signed by one key."""
    key = fixed("one-time key")
    id_ = consent_id(address_of(key), AGREEMENT, 1)
    ids = [ConsentId(fixed(f"id {i}")) for i in range(3)]
    price, purposes, until = Wei(3 * 10**18), 0x7F000C, 1_900_000_000
    consents, agreements = Domain(CHAIN_ID, CONSENTS), Domain(CHAIN_ID, AGREEMENTS)
    escrow = Domain(CHAIN_ID, ESCROW)
    cases: list[tuple[Message, Domain]] = [
        (Grant(id_, STUDY, AGREEMENT, price, purposes, until, 1, 1_800_000_000), consents),
        (Revoke(id_, 1_800_000_001), consents),
        (Admission(AGREEMENT, hash_ids(ids), 1_800_000_002), consents),
        (offer(), agreements),
        (Claim(id_, account("recipient"), 1_800_000_004), escrow),
        (ClaimBonus(id_, account("recipient"), 1_800_000_005), escrow),
        (CancelCounterOffer(offer().digest(agreements), 1_800_000_003), agreements),
    ]
    shown = []
    for message, domain in cases:
        inner = ",".join(f"{kind} {name}" for kind, name in message.types)
        values = (getattr(message, field.name) for field in fields(message))
        signature = sign(key, message, domain)
        r, vs = compact(signature)
        shown.append(
            {
                "type": f"{type(message).__name__}({inner})",
                "domain": {"chain_id": domain.chain_id, "contract": domain.contract},
                "separator": domain.separator(),
                "message": {name: v for (_, name), v in zip(message.types, values, strict=True)},
                "struct_hash": message.struct_hash(),
                "digest": message.digest(domain),
                "private_key": key,
                "signer": address_of(key),
                "signature": signature,
                "compact": [r, vs],
            }
        )
        if isinstance(message, Admission):
            shown[-1]["hashed_ids"] = ids
    return shown


def offer() -> CounterOffer:
    """A patient's answer to a tier."""
    return CounterOffer(
        AGREEMENT, Wei(2**200), 0x7F000C, 1_900_000_000, 1_800_000_003, fixed("salt")
    )


def cohort_tree(size: int) -> Json:
    """A tree over a cohort's leaves, and every proof."""
    ids = sorted(fixed(f"cohort {size} id {i}") for i in range(size))
    leaves = [
        ChainLeaf(i, ConsentId(id_), fixed(f"cohort {size} record {i}"))
        for i, id_ in enumerate(ids)
    ]
    hashes = [hash_cohort_leaf(leaf) for leaf in leaves]
    tree = MerkleTree(hashes)
    rows = [
        asdict(leaf) | {"hash": hashed, "proof": tree.proof(hashed)}
        for leaf, hashed in zip(leaves, hashes, strict=True)
    ]
    return {"leaves": rows, "root": tree.root}


def share_tree(amounts: list[int]) -> Json:
    """A tree over hospitals' shares, and every proof."""
    hashes = [hash_share_leaf(STUDY, index, amount) for index, amount in enumerate(amounts)]
    tree = MerkleTree(hashes)
    rows = [
        {"index": index, "amount": str(amount), "hash": hashed, "proof": tree.proof(hashed)}
        for index, (amount, hashed) in enumerate(zip(amounts, hashes, strict=True))
    ]
    return {"study": STUDY, "shares": rows, "root": tree.root}


def freeze() -> Freeze:
    """A hospital's commitment."""
    words = {name: fixed(f"freeze {name}") for name in ("snapshot_hash", "root", "leaf_list")}
    place = {"study": STUDY, "round": ROUND, "hospital": 3, "snapshot": BlockNumber(1234)}
    return Freeze(**place, **words, n=40, weight=25, round_keys=bytes(32))  # type: ignore[arg-type]


def freeze_vector() -> Json:
    """The commitment and what the contract stores."""
    return {"freeze": asdict(freeze()), "digest": freeze().digest()}


def submitted() -> Submitted:
    """A submission as its event shows it."""
    place = (STUDY, ROUND, account("hospital"), 3)
    return Submitted(
        *place, fixed("manifest"), fixed("commitment"), BlockNumber(1240), 0, fixed("tx")
    )


def inputs_vector() -> Json:
    """What finalize binds of the submissions of hospitals 0, 3 and 255."""
    included = 1 | 1 << 3 | 1 << 255
    digests = [fixed(f"submission {index}") for index in (0, 3, 255)]
    found = inputs_digest(STUDY, ROUND, included, digests)
    head = {"study": STUDY, "round": ROUND, "included": hex(included)}
    return head | {"submissions": digests, "inputs": found}


def key_vector(agreement: AgreementId) -> Json:
    """A one-time key out of a recovery phrase."""
    domain = Domain(CHAIN_ID, CONSENTS)
    key = PatientSecret(PHRASE).key_for(agreement, domain)
    return {
        "phrase": PHRASE,
        "chain_id": CHAIN_ID,
        "consents": CONSENTS,
        "agreement": agreement,
        "path": derivation_path(agreement, domain),
        "private_key": key,
        "address": address_of(key),
    }


def study() -> StudySpec:
    """A study of two features whose every byte can be looked at."""
    return replace(
        wisconsin_spec(auditors=[SpecAddress("0x" + "a1" * 20)], hospitals=3, min_hospitals=2),
        name="paper",
        title="A study on paper",
        question="What does a byte mean?",
        data=Data(
            dictionary="paper/1",
            features=(Feature("age", "a", 0.0, 120.0), Feature("dose", "mg", -4.0, 4.0)),
            label=Label("outcome", "yes", "no"),
        ),
        grid=GridTerms(clip_norm=2.0, grid_bits=2, max_weight=100),
        training=Training(epochs=1, batch_size=8, learning_rate=0.5),
    )


def learning_vectors() -> Json:
    """What center, hospitals and auditors hash without the chain."""
    spec = study()
    return {
        "tagged_hash": {
            "tag": "consilium/vector/1",
            "parts": [1, "two", fixed("part")],
            "digest": tagged_hash("consilium/vector/1", 1, "two", fixed("part")),
        },
        "spec": {"text": json.loads(spec.to_json())}
        | {"bytes": spec.to_bytes(), "digest": spec.digest()},
        "wisconsin": {"digest": wisconsin_spec().digest()}
        | {"state": state_digest(wisconsin_spec(), initial_state(wisconsin_spec()))},
        "purposes": purposes(),
        "contexts": contexts(spec),
        "cohort": cohort(),
        "schema": {"bytes": update_schema(spec).to_bytes()}
        | {"digest": update_schema(spec).digest()},
        "initial_parameters": [
            {"seed": spec.seed, "tensor": name, "shape": list(array.shape)}
            | {"f32": array.astype("<f4").tobytes()}
            for name, array in initial_parameters(spec).items()
        ],
        "round": round_vector(spec),
        "shuffle": [shuffle(seed, "north", number) for seed, number in ((1, 1), (1, 2), (9, 1))],
        "split": split(),
        "terms": terms(),
    }


def purposes() -> list[Json]:
    """Each code as a study and as a tier has it; a restriction beside health research."""
    found = []
    for code in (*PERMISSIONS, *RESTRICTIONS):
        codes = [code] if code in PERMISSIONS else ["DUO:0000006", code]
        bitmaps = {"study": hex(study_bitmap(codes)), "tier": hex(tier_bitmap(codes))}
        found.append({"codes": codes} | bitmaps)
    return found


def contexts(spec: StudySpec) -> Json:
    """What an update and a round's result are bound to."""
    place: Json = {"chain_id": CHAIN_ID, "rounds": ROUNDS, "study": STUDY, "round_number": ROUND}
    place |= {"spec": spec.digest(), "state": fixed("start state")}
    return place | {
        "root": fixed("root"),
        "update_context": update_context(**place, root=fixed("root")),
        "result": fixed("end state"),
        "state_context": state_context(**place, result=fixed("end state")),
        "candidates_context": candidates_context(**place, result=fixed("end state")),
        "candidates_topic": candidates_topic(
            chain_id=CHAIN_ID, rounds=ROUNDS, study=STUDY, round_number=ROUND
        ),
    }


def cohort() -> Json:
    """Three records, salted, listed, under one root."""
    dictionary = Dictionary(
        "paper/1",
        (Field("age", "a", 0.0, 120.0), Field("dose", "mg", -4.0, 4.0)),
        Two("outcome", "yes", "no"),
    )
    records = [
        Record(LocalKey("p-2"), (61.0, -0.5), True),
        Record(LocalKey("p-1"), (44.5, 2.25), False),
        Record(LocalKey("p-3"), (44.5, 2.25), False),
    ]
    entries = [
        CohortEntry(
            consent_id(account(record.key), AgreementId(1)),  # type: ignore[arg-type]
            record.digest(dictionary),  # type: ignore[arg-type]
            fixed(f"salt {record.key}"),
        )
        for record in records
    ]
    leaves = build_leaves(entries)
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore.create(folder)
        listed = publish_leaves(store, leaves)
        block = store.get_block(dag_cbor_cid(listed))
    return {
        "records": [
            {"key": r.key, "values": list(r.values), "positive": r.label}
            | {"digest": e.record_digest, "salt": e.salt, "consent": e.consent}
            for r, e in zip(records, entries, strict=True)
        ],
        "leaves": [asdict(leaf) for leaf in leaves],
        "root": tree_of(leaves).root,
        "list": encode_leaves(leaves),
        "leaf_list": {"block": block, "digest": listed},
    }


def round_vector(spec: StudySpec) -> Json:
    """Two updates from float to file, their exact mean, and the state that it leads to."""
    schema, grid = parameter_schema(spec), Grid.of(spec.grid)
    deltas: list[dict[str, Array]] = [
        {"out.weight": np.array([[0.8, -0.3]]), "out.bias": np.array([0.1])},
        {"out.weight": np.array([[3.0, -4.0]]), "out.bias": np.array([0.0])},
    ]
    total, shown = WeightedSum(schema, grid), []
    updates: list[Update] = []
    for delta, weight in zip(deltas, (3, 4), strict=True):
        steps = grid.quantise(delta, schema)
        vector = schema.flatten(steps)
        total.add([vector], weight)
        updates.append(Update(len(updates), [vector], weight))
        shown.append(
            {"delta": schema.flatten(delta).tolist(), "weight": weight, "steps": vector.tolist()}
            | {"bytes": encode_tensors(steps, update_schema(spec))}
        )
    start = initial_state(spec)
    end = next_state(spec, start, total.mean(), 1)
    mean = schema.flatten(total.mean()).astype("<f8").tobytes()
    states = list(left_out_states(spec, start, 1, total, updates, [0, bit(0), bit(1)]))
    plaintext = b"".join(encode_models(spec, states, []))
    return {
        "order": [tensor.name for tensor in schema.tensors],
        "bound": grid.bound,
        "start": {"digest": state_digest(spec, start), "file": encode_state(spec, start)},
        "updates": shown,
        "sum": total.steps().tolist(),
        "mean_f64": mean,
        "end": {"digest": state_digest(spec, end), "file": encode_state(spec, end)},
        "candidates": [state_digest(spec, state) for _, state in states],
        "candidates_plaintext": plaintext,
    }


def division() -> Json:
    """Three hospitals' pay from what each reports of the others."""
    rows = [[0, [[1, 30], [2, -10]]], [1, [[0, 60], [2, -10]]], [2, [[0, 10], [1, 50]]]]
    reports = [
        Report(
            fixed("context"),
            STUDY,
            ROUND,
            judge,
            fixed("root"),
            20,
            tuple(
                Evaluation(digest(b"any"), who, 100 + gain)
                for who, gain in [(0, 0), *((bit(index), gain) for index, gain in row)]
            ),
        )
        for judge, row in rows
    ]
    weights = {0: 10, 1: 20, 2: 40}
    paid = by_contribution(Measure("leave-one-out"), 1000, reports, weights)
    return {
        "gains": rows,
        "weights": [weights[i] for i in range(3)],
        "pool": 1000,
        "paid": [paid[i] for i in range(3)],
    }


def orders() -> Json:
    """In which orders eight hospitals join a judge's model, by both rules."""
    found: Json = {"seed": 7, "round": ROUND, "state": fixed("end"), "judge": 3}
    for rule in ("tmc", "gtg"):
        measure = Measure(f"{rule}-shapley", seed=7, permutations=3)
        plan = measure.plan(everyone(range(8)), ROUND, fixed("end"))
        assert not plan.all_orders
        found[rule] = [list(order) for order in plan.drawn(3)]
    return found | {"hospitals": 8, "permutations": 3}


def shuffle(seed: int, hospital: str, number: int) -> Json:
    """How a hospital shuffles ten records in its first two epochs."""
    order = shuffles(seed, hospital, number)
    drawn = [order.permutation(10).tolist() for _ in range(2)]
    return {"seed": seed, "hospital": hospital, "round": number, "permutations": drawn}


def split() -> Json:
    """Which of twelve records train, validate and test."""
    records = [Record(LocalKey(f"p-{i:02}"), (), i % 3 == 0) for i in range(12)]
    parts = assign(records, seed=1, hospital="north", validation=0.15, test=0.25)
    return {
        "seed": 1,
        "hospital": "north",
        "validation": 0.15,
        "test": 0.25,
        "positive": [record.key for record in records if record.label],
        "parts": {key: part.value for key, part in parts.items()},
    }


def terms() -> Json:
    """A tier's terms in words."""
    words = {"format": "consilium/terms/1", "purposes": ["DUO:0000006"], "text": "One visit."}
    block = encode(words)
    return {"terms": words, "block": block, "digest": digest(block)}


def record_vectors() -> Json:
    """Signed records, mail, and where they are announced."""
    spec = study()
    key = SigningKey(fixed("signing key"))
    sender = Sender(fixed("signer", 20), key)
    found: Json = {"seed": key.seed, "signer": {"address": sender.address, "key": key.public}}
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore.create(Path(folder) / "store")
        party = Party(
            "auditor",
            cast(Contracts, None),  # what is signed here needs no chain
            store,
            sender,
            Identity(Profile.X25519, fixed("identity")),
            Journal(Path(folder) / "journal"),
        )
        made = {
            "round_manifest": (write_round_manifest(store, round_manifest(spec), sender), None),
            "results": (write_results(store, results(), sender), results_topic(fixed("end"))),
            "candidates": (write_candidates(store, candidates(), sender).digest, None),
            "report": (sign_report(party, report()), report_topic(fixed("context"))),
            "list_missing": (confirm_missing(party, frozen()), None),
            "undecryptable": (confirm_unopened(party, frozen(), submitted()), None),
        }
        for name, (at, topic) in made.items():
            found[name] = {"block": store.get_block(dag_cbor_cid(at)), "digest": at}
            found[name] |= {"topic": topic} if topic else {}
        missing = tagged_hash("consilium/list-missing/1", freeze().digest())
        assert [cid.digest for cid in store.announced(missing)] == [made["list_missing"][0]]
        found["list_missing"]["topic"] = missing
        unopened = tagged_hash("consilium/undecryptable/1", submitted().manifest)
        assert [cid.digest for cid in store.announced(unopened)] == [made["undecryptable"][0]]
        found["undecryptable"]["topic"] = unopened
        found["mail"] = mail(store)
        found["shares"] = shares(store)
        described = publish_description(store, "north", Role.HOSPITAL)
        found["participant"] = {"name": "north", "role": "hospital", "digest": described}
        found["participant"]["block"] = store.get_block(dag_cbor_cid(described))
    found["report"]["report"] = report().to_bytes()
    plain, failed, gone, silent = checks()
    found["audit"] = Verdict(STUDY, 1300, Level.KEYLESS, (plain, failed, gone)).to_bytes()
    found["audit_erased"] = Verdict(STUDY, 1300, Level.KEYLESS, (plain, gone)).to_bytes()
    found["audit_incomplete"] = Verdict(STUDY, 1300, Level.KEYLESS, (gone, silent)).to_bytes()
    found["division"] = division()
    found["orders"] = orders()
    return found | {
        "counter_offer": counter_offer(),
        "grant": grant(),
        "leaf_proof": leaf_proof(),
    }


def round_manifest(spec: StudySpec) -> RoundManifest:
    """One update included, one excluded."""
    names = ("context", "start state", "end", "model")
    context, start, end, model = (fixed(name) for name in names)
    entries = (
        Entry(0, fixed("freeze 0"), 25, fixed("manifest 0"), fixed("commitment 0")),
        Entry(
            3,
            fixed("freeze 3"),
            9,
            fixed("manifest 3"),
            fixed("commitment 3"),
            ExclusionCode.UNDECRYPTABLE,
            bytes(dag_cbor_cid(fixed("envelope"))),
        ),
    )
    spec_digest, reports = spec.digest(), (fixed("report"),)
    return RoundManifest(context, STUDY, ROUND, 1, spec_digest, start, end, model, entries, reports)


def results() -> Results:
    """A hospital's counts for a finalized model."""
    place = (fixed("context"), STUDY, ROUND, 3, fixed("end"), "test", False)
    return Results(*place, 17, 2, 30, 3, 96, 90, 100)


def report() -> Report:
    """A hospital's evaluations for a contribution rule."""
    rows = (
        Evaluation(digest(b"model"), 0, 12),
        Evaluation(digest(b"without 0 and 1"), bit(0) | bit(1), 15),
        Evaluation(digest(b"without 0"), bit(0), 14),
        Evaluation(digest(b"without 1"), bit(1), 12),
    )
    return Report(fixed("context"), STUDY, ROUND, 3, fixed("root"), 15, rows)


def candidates() -> Candidates:
    """A round's model and those without each of three hospitals, one with a server state."""
    rows = (
        Candidate(0, digest(b"model"), {}),
        Candidate(bit(0) | bit(3), digest(b"without 0 and 3"), {}),
        Candidate(bit(0), digest(b"without 0"), {}),
        Candidate(bit(1), digest(b"without 1"), {"momentum": fixed("momentum")}),
        Candidate(bit(3), digest(b"without 3"), {}),
    )
    return Candidates(fixed("context"), STUDY, ROUND, fixed("models"), (0, 1, 3), rows)


def frozen() -> Frozen:
    """The freeze as its event shows it."""
    return Frozen(
        STUDY, ROUND, account("hospital"), freeze(), BlockNumber(1236), 0, fixed("transaction")
    )


def mail(store: EmbeddedStore) -> Json:
    """A withdrawal left for a relayer."""
    to = account("relayer")
    message = [account("patient"), 1, 0, 1_800_000_000, fixed("r"), fixed("vs")]
    cid = post(store, to, "revocations", {"messages": [message]})
    topic = tagged_hash("consilium/mail/1", bytes.fromhex(to[2:]))
    assert [found.cid for found in mail_for(store, to)] == list(store.announced(topic)) == [cid]
    return {"to": to, "kind": "revocations", "message": message} | {
        "block": store.get_block(cid),
        "topic": topic,
    }


def shares(store: EmbeddedStore) -> Json:
    """The hospitals' shares, published under the root that a center posts."""
    amounts = {0: 600, 1: 0, 2: 10**21 + 1, 3: 399}
    root = publish_shares(store, STUDY, amounts)
    topic = tagged_hash("consilium/shares/1", root)
    (cid,) = store.announced(topic)
    shown = {"study": STUDY, "amounts": {str(i): str(x) for i, x in amounts.items()}}
    return shown | {"root": root, "block": store.get_block(cid), "topic": topic}


def leaf_proof() -> Json:
    """The file that somebody who challenges brings."""
    leaf = ChainLeaf(4, ConsentId(fixed("consent")), fixed("record"))
    return Proven(leaf, [fixed("sibling 0"), fixed("sibling 1")]).to_json()


def checks() -> tuple[Check, Check, Check, Check]:
    """What an audit's report may hold, whose digest an attestation names."""
    return (
        Check("code", True),
        Check("root", False, ROUND, 3, "the list does not give the frozen root"),
        Check("payload", False, RoundNumber(1), 0, "was erased", erased=True),
        Check("leaf-list", False, ROUND, 3, "nobody answered", unanswered=True),
    )


def counter_offer() -> Json:
    """The file that a patient sends to the center."""
    key = fixed("one-time key")
    signature = sign(key, offer(), Domain(CHAIN_ID, AGREEMENTS))
    file: Json = json.loads(SignedOffer(offer(), address_of(key), signature).to_json())
    return file


def grant() -> Json:
    """The file that a patient hands to the hospital."""
    id_ = consent_id(account("patient"), AgreementId(1))
    message = GrantMessage(id_, 0, 1_800_000_000, fixed("r"), fixed("vs"))
    return SignedGrant(account("patient"), AgreementId(1), message).to_json()


def vector_files() -> dict[Path, Json]:
    """What the files should hold."""
    made = {"chain": chain_vectors, "learning": learning_vectors, "records": record_vectors}
    made["strategies"] = lambda: strategy_vectors(study())
    made["tasks"] = lambda: task_vectors(study())
    made["rounds"] = lambda: round_vectors(study())
    return {FOLDER / f"{name}.json": plain(make()) for name, make in made.items()}


if __name__ == "__main__":
    for path, content in vector_files().items():
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
