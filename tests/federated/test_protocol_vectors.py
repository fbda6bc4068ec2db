"""A reader of the protocol's byte strings written from docs/protocol.md alone.

It imports nothing of the project but the generator, whose files it opens.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import math
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import coincurve
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from eth_utils.crypto import keccak
from numpy.random import Generator, Philox

from tests.federated.make_vectors import vector_files

FOLDER = Path(__file__).parents[1] / "vectors" / "protocol"


@functools.cache
def file(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


CHAIN, LEARNING, RECORDS = (file(name) for name in ("chain", "learning", "records"))
H = bytes.fromhex


def test_the_files_are_what_the_generator_writes() -> None:
    made = vector_files()
    assert set(FOLDER.glob("*.json")) == set(made)
    for path, content in made.items():
        assert json.loads(path.read_text()) == content, path.name


# ------------------------------------------------------------------ helpers, from the page


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def cbor(value: Any) -> bytes:
    """Canonical dag-cbor of what records hold; a `Link` is tag 42."""

    def head(major: int, size: int) -> bytes:
        if size < 24:
            return bytes([major << 5 | size])
        info = 24 if size < 1 << 8 else 25 if size < 1 << 16 else 26 if size < 1 << 32 else 27
        return bytes([major << 5 | info]) + size.to_bytes(1 << (info - 24), "big")

    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, Link):
        return b"\xd8\x2a" + cbor(b"\0" + value.cid)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return head(5, len(keys)) + b"".join(cbor(key) + cbor(value[key]) for key in keys)
    return head(4, len(value)) + b"".join(map(cbor, value))


class Link:
    def __init__(self, cid: bytes) -> None:
        self.cid = cid


def tagged(tag: str, *parts: Any) -> bytes:
    return sha(cbor([tag, *parts]))


def word(value: Any) -> bytes:
    """One word of the contract ABI: a number, 32 bytes, or an address."""
    if isinstance(value, str):
        value = int(value, 16)
    return value if isinstance(value, bytes) else int(value).to_bytes(32, "big")


def address(public: bytes) -> str:
    return "0x" + keccak(public[1:])[12:].hex()


def public(key: bytes) -> bytes:
    return coincurve.PublicKey.from_secret(key).format(compressed=False)


def record(vector: Any, tag: str, body: Any) -> None:
    """The block is the signed record of this body, by the vectors' signer."""
    signer = {name: H(value) for name, value in RECORDS["signer"].items()}
    unsigned = {"body": body, "signer": signer, "tag": tag}
    signed = tag.encode() + sha(cbor(unsigned))
    signature = Ed25519PrivateKey.from_private_bytes(H(RECORDS["seed"])).sign(signed)
    assert vector["block"] == cbor(unsigned | {"signature": signature}).hex()
    assert vector["digest"] == sha(H(vector["block"])).hex()
    Ed25519PublicKey.from_public_bytes(signer["key"]).verify(signature, signed)


# ------------------------------------------------------------------ what contracts hash too


@pytest.mark.parametrize("vector", CHAIN["typed_messages"], ids=lambda v: v["type"].split("(")[0])
def test_a_typed_message_is_hashed_and_signed_by_eip_712(vector: Any) -> None:
    text = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    heads = b"".join(keccak(text=part) for part in (text, "Consilium", "1"))
    domain = vector["domain"]
    separator = keccak(heads + word(domain["chain_id"]) + word(domain["contract"]))
    names = vector["type"].split("(")[1].rstrip(")").split(",")
    kinds = {name: kind for kind, name in (item.split(" ") for item in names)}
    values = b"".join(
        word(H(vector["message"][name]) if kind == "bytes32" else _number(vector, name))
        for name, kind in kinds.items()
    )
    hashed = keccak(keccak(text=vector["type"]) + values)
    assert (vector["separator"], vector["struct_hash"]) == (separator.hex(), hashed.hex())
    digest = keccak(b"\x19\x01" + separator + hashed)
    assert vector["digest"] == digest.hex()
    raw = H(vector["signature"])
    recoverable = raw[:64] + bytes([raw[64] - 27])
    key = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    assert address(key.format(compressed=False)) == vector["signer"].lower()
    assert address(public(H(vector["private_key"]))) == vector["signer"].lower()
    r, vs = map(H, vector["compact"])
    assert raw == r + bytes([vs[0] & 127]) + vs[1:] + bytes([27 + (vs[0] >> 7)])
    if "hashed_ids" in vector:
        packed = b"".join(map(H, vector["hashed_ids"]))
        assert vector["message"]["ids"] == keccak(packed).hex()


def _number(vector: Any, name: str) -> Any:
    value = vector["message"][name]
    return value if str(value).startswith("0x") else int(value)


def test_a_consent_id_binds_key_agreement_and_nonce() -> None:
    for vector in CHAIN["consent_ids"]:
        words = word(vector["key"]) + word(vector["agreement"]) + word(int(vector["nonce"]))
        assert vector["id"] == keccak(words).hex()


def root_of(hashes: list[bytes]) -> bytes:
    """The root of the tree as an array: leaves sorted at its end, in descending order."""
    tree = [b""] * (len(hashes) - 1) + sorted(hashes, reverse=True)
    for node in reversed(range(len(hashes) - 1)):
        tree[node] = keccak(b"".join(sorted(tree[2 * node + 1 : 2 * node + 3])))
    return tree[0]


def climb(leaf: bytes, proof: list[str]) -> bytes:
    for sibling in proof:
        leaf = keccak(b"".join(sorted([leaf, H(sibling)])))
    return leaf


@pytest.mark.parametrize("tree", CHAIN["cohort_trees"], ids=lambda tree: len(tree["leaves"]))
def test_leaves_are_hashed_twice_under_the_root(tree: Any) -> None:
    ids = [leaf["id"] for leaf in tree["leaves"]]
    assert ids == sorted(set(ids))
    for index, leaf in enumerate(tree["leaves"]):
        words = word(index) + H(leaf["id"]) + H(leaf["record"])
        assert leaf["hash"] == keccak(keccak(words)).hex()
        assert climb(H(leaf["hash"]), leaf["proof"]).hex() == tree["root"]
    assert root_of([H(leaf["hash"]) for leaf in tree["leaves"]]).hex() == tree["root"]


@pytest.mark.parametrize("tree", CHAIN["share_trees"], ids=lambda tree: len(tree["shares"]))
def test_shares_are_leaves_of_the_reward_root(tree: Any) -> None:
    for share in tree["shares"]:
        words = word(tree["study"]) + word(share["index"]) + word(int(share["amount"]))
        assert share["hash"] == keccak(keccak(words)).hex()
        assert climb(H(share["hash"]), share["proof"]).hex() == tree["root"]
    assert root_of([H(share["hash"]) for share in tree["shares"]]).hex() == tree["root"]


def test_freeze_submission_and_inputs_are_hashes_of_their_words() -> None:
    freeze = CHAIN["freeze"]
    order = "study round hospital snapshot snapshot_hash root n weight leaf_list round_keys"
    fields = [freeze["freeze"][name] for name in order.split()]
    words = b"".join(H(value) if isinstance(value, str) else word(value) for value in fields)
    assert freeze["digest"] == keccak(words).hex()
    submission = CHAIN["submission"]
    both = H(submission["manifest"]) + H(submission["commitment"])
    assert submission["digest"] == keccak(both).hex()
    inputs = CHAIN["inputs"]
    digests = [H(item) for item in inputs["submissions"]]
    head = [inputs["study"], inputs["round"], inputs["included"], 4 * 32, len(digests)]
    assert inputs["inputs"] == keccak(b"".join([*map(word, head), *digests])).hex()


@pytest.mark.parametrize("vector", CHAIN["one_time_keys"], ids=lambda vector: vector["agreement"])
def test_a_one_time_key_follows_from_phrase_contract_and_agreement(vector: Any) -> None:
    place = keccak(word(vector["chain_id"]) + H(vector["consents"][2:]))
    low = (1 << 31) - 1
    steps = [44, 60, int.from_bytes(place[:4], "big") >> 1]
    steps += [vector["agreement"] >> 31, vector["agreement"] & low]
    assert vector["path"] == "m/" + "/".join(f"{step}'" for step in steps)
    # BIP-39, then BIP-32 with every step hardened.
    seed = hashlib.pbkdf2_hmac("sha512", vector["phrase"].encode(), b"mnemonic", 2048)
    node = hmac.digest(b"Bitcoin seed", seed, "sha512")
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    for step in steps:
        data = b"\0" + node[:32] + struct.pack(">I", step | 1 << 31)
        found = hmac.digest(node[32:], data, "sha512")
        key = (int.from_bytes(found[:32], "big") + int.from_bytes(node[:32], "big")) % order
        node = key.to_bytes(32, "big") + found[32:]
    assert vector["private_key"] == node[:32].hex()
    assert vector["address"].lower() == address(public(node[:32]))


def test_contracts_come_to_the_addresses_that_were_predicted() -> None:
    wiring = CHAIN["wiring"]
    for place, found in enumerate(wiring["addresses"].values()):
        nonce = wiring["nonce"] + place
        rlp = b"\xd6\x94" + H(wiring["deployer"][2:]) + bytes([nonce])
        assert found.lower() == "0x" + keccak(rlp)[12:].hex()


# ------------------------------------------------------------------ study and cohort


def test_a_tagged_hash_is_over_the_list_of_tag_and_parts() -> None:
    vector = LEARNING["tagged_hash"]
    *head, last = vector["parts"]
    assert vector["digest"] == tagged(vector["tag"], *head, H(last)).hex()


def test_a_specs_canonical_bytes_follow_from_its_text() -> None:
    vector = LEARNING["spec"]
    tree = vector["text"]

    def money(table: dict[str, Any]) -> None:
        for key in [name for name in table if name.endswith("_wei")]:
            table[key] = int(table[key]).to_bytes(32, "big")

    money(tree["reward"])
    money(tree["terms"])
    for auditor in tree["auditors"]:
        auditor["address"] = H(auditor["address"][2:])
    assert cbor(tree).hex() == vector["bytes"]
    assert vector["digest"] == sha(H(vector["bytes"])).hex()


def test_purposes_are_bits_and_restrictions_clear_theirs() -> None:
    bits = {4: 0, 42: 1, 6: 2, 7: 3, 11: 4, 43: 5}
    implied = {4: {42, 43}, 42: {6, 11}, 6: {7}}
    cleared = {15: {16}, 19: {17}, 20: {18}, 21: {19}, 29: {20}, 45: {21}, 46: {22}, 18: {21, 22}}
    for vector in LEARNING["purposes"]:
        codes = {int(code.removeprefix("DUO:")) for code in vector["codes"]}
        granted = codes & bits.keys()
        bound = set().union(*(cleared.get(code, set()) for code in codes))
        free = sum(1 << bit for bit in set(range(16, 23)) - bound)
        assert int(vector["study"], 16) == sum(1 << bits[code] for code in granted) | free
        for _ in range(4):
            granted |= set().union(*(implied.get(code, set()) for code in granted))
        assert int(vector["tier"], 16) == sum(1 << bits[code] for code in granted) | free


def test_contexts_are_tagged_hashes_of_the_place_and_the_digests() -> None:
    vector = LEARNING["contexts"]
    place = [vector["chain_id"], H(vector["rounds"][2:]), vector["study"], vector["round_number"]]
    parts = [*place, H(vector["spec"]), H(vector["state"])]
    update = tagged("consilium/context/1", *parts, H(vector["root"]))
    state = tagged("consilium/state-context/1", *parts, H(vector["result"]))
    assert (vector["update_context"], vector["state_context"]) == (update.hex(), state.hex())
    candidates = tagged("consilium/candidates-context/1", *parts, H(vector["result"]))
    assert vector["candidates_context"] == candidates.hex()
    assert vector["candidates_topic"] == tagged("consilium/candidates-topic/1", *place).hex()


def test_a_cohort_follows_from_records_salts_and_consents() -> None:
    vector = LEARNING["cohort"]
    salted = {}
    for item in vector["records"]:
        content = {
            "format": "consilium/patient-record/1",
            "dictionary": "paper/1",
            "key": item["key"],
            "values": dict(zip(("age", "dose"), item["values"], strict=True)),
            "label": "yes" if item["positive"] else "no",
        }
        assert item["digest"] == sha(cbor(content)).hex()
        parts = H(item["salt"]), H(item["digest"])
        salted[item["consent"]] = tagged("consilium/record/1", *parts).hex()
    leaves = [
        {"index": index, "consent": consent, "record": salted[consent]}
        for index, consent in enumerate(sorted(salted))
    ]
    assert vector["leaves"] == leaves
    pairs = [[H(leaf["consent"]), H(leaf["record"])] for leaf in vector["leaves"]]
    hashes = [keccak(keccak(word(i) + a + b)) for i, (a, b) in enumerate(pairs)]
    assert vector["root"] == root_of(hashes).hex()
    listed = cbor({"format": "consilium/leaves/1", "leaves": pairs})
    assert vector["list"] == listed.hex()
    link = Link(b"\x01\x55\x12\x20" + sha(listed))  # one raw leaf: the list is below 1 MiB
    block = cbor({"count": len(pairs), "format": "consilium/leaf-list/1", "leaves": link})
    assert vector["leaf_list"] == {"block": block.hex(), "digest": sha(block).hex()}


def test_terms_in_words_have_a_digest() -> None:
    vector = LEARNING["terms"]
    assert vector["block"] == cbor(vector["terms"]).hex()
    assert vector["digest"] == sha(H(vector["block"])).hex()


# ------------------------------------------------------------------ learning


def test_a_schema_lists_names_in_the_order_of_their_bytes() -> None:
    tensors = [["out.bias", [1]], ["out.weight", [1, 2]]]
    block = cbor({"format": "consilium/schema/1", "dtype": "I32", "tensors": tensors})
    assert LEARNING["schema"] == {"bytes": block.hex(), "digest": sha(block).hex()}


def test_initial_parameters_are_scaled_words_of_philox() -> None:
    for vector in LEARNING["initial_parameters"]:
        size, shape = math.prod(vector["shape"]), vector["shape"]
        if vector["tensor"].endswith(".bias"):
            assert vector["f32"] == bytes(4 * size).hex()
            continue
        key = tagged("consilium/initial/1", vector["seed"], vector["tensor"])
        words = Philox(key=int.from_bytes(key[:16], "big")).random_raw(size)
        values = [
            ((int(word) >> 11) * 2.0**-53 * 2 - 1) * (1 / math.sqrt(math.prod(shape[1:])))
            for word in words
        ]
        assert vector["f32"] == np.array(values, dtype="<f4").tobytes().hex()


def tensors(dtype: str, size: int, arrays: dict[str, tuple[list[int], bytes]]) -> bytes:
    header, at = {}, 0
    for name, (shape, _) in arrays.items():
        end = at + size * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, data in arrays.values())


def state_of(number: int, parameters: bytes) -> dict[str, str]:
    head = {"format": "consilium/state/1", "round": number, "server": {}}
    file = {"format": "consilium/model/1", "round": number, "server": {}}
    return {
        "digest": sha(cbor(head | {"parameters": sha(parameters)})).hex(),
        "file": cbor(file | {"parameters": parameters}).hex(),
    }


def model(bias: bytes, weight: bytes) -> bytes:
    return tensors("F32", 4, {"out.bias": ([1], bias), "out.weight": ([1, 2], weight)})


def test_a_round_leads_from_updates_to_the_next_state_exactly() -> None:
    vector = LEARNING["round"]
    assert vector["order"] == ["out.bias", "out.weight"]
    assert vector["bound"] == math.floor(2.0 * 2**2)
    start = {v["tensor"]: H(v["f32"]) for v in LEARNING["initial_parameters"]}
    assert vector["start"] == state_of(0, model(start["out.bias"], start["out.weight"]))
    total = [0, 0, 0]
    for update in vector["updates"]:
        norm = math.sqrt(sum(x * x for x in update["delta"]))
        scale = min(4.0, vector["bound"] / norm)
        steps = [math.trunc(x * scale) for x in update["delta"]]
        assert update["steps"] == steps
        packed = struct.pack("<3i", *steps)
        arrays = {"out.bias": ([1], packed[:4]), "out.weight": ([1, 2], packed[4:])}
        assert update["bytes"] == tensors("I32", 4, arrays).hex()
        total = [a + update["weight"] * b for a, b in zip(total, steps, strict=True)]
    assert vector["sum"] == total
    weight = sum(update["weight"] for update in vector["updates"])
    mean = [float(Fraction(value, weight << 2)) for value in total]
    assert vector["mean_f64"] == struct.pack("<3d", *mean).hex()
    before = struct.unpack("<3f", start["out.bias"] + start["out.weight"])
    after = struct.pack("<3f", *(a + b for a, b in zip(before, mean, strict=True)))
    assert vector["end"] == state_of(1, model(after[:4], after[4:]))

    plaintext, digests = b"", []
    for left_out in (None, 0, 1):
        kept = list(total)
        if left_out is not None:
            update = vector["updates"][left_out]
            kept = [a - update["weight"] * b for a, b in zip(kept, update["steps"], strict=True)]
        moved = [float(Fraction(value, weight << 2)) for value in kept]  # the divisor stays
        after = struct.pack("<3f", *(a + b for a, b in zip(before, moved, strict=True)))
        parameters = model(after[:4], after[4:])
        digests.append(state_of(1, parameters)["digest"])
        plaintext += parameters
    assert vector["candidates"] == digests
    assert vector["candidates_plaintext"] == plaintext.hex()


def test_each_hospital_divides_its_weight_among_the_others() -> None:
    vector = RECORDS["division"]
    weights = vector["weights"]
    shares = [Fraction(0)] * 3
    for judge, row in vector["gains"]:
        positive = [(who, max(0, gain)) for who, gain in row]
        for who, gain in positive:
            shares[who] += Fraction(weights[judge] * gain, sum(part for _, part in positive))
    exact = [vector["pool"] * share / sum(weights) for share in shares]
    paid = [math.floor(amount) for amount in exact]
    order = sorted(range(3), key=lambda i: (paid[i] - exact[i], i))
    for i in order[: vector["pool"] - sum(paid)]:
        paid[i] += 1
    assert vector["paid"] == paid


def test_shuffles_follow_from_seed_hospital_and_round() -> None:
    for vector in LEARNING["shuffle"]:
        parts = (vector["seed"], vector["hospital"], vector["round"])
        key = tagged("consilium/shuffle/1", *parts)
        order = Generator(Philox(key=int.from_bytes(key[:16], "big")))
        drawn = [order.permutation(10).tolist() for _ in vector["permutations"]]
        assert vector["permutations"] == drawn


def test_splits_deal_each_label_in_the_order_of_a_hash() -> None:
    vector = LEARNING["split"]

    def order(key: str) -> bytes:
        return tagged("consilium/split/1", vector["seed"], vector["hospital"], key)

    for positive in (True, False):
        keys = [key for key in vector["parts"] if (key in vector["positive"]) is positive]
        tests = math.floor(vector["test"] * len(keys) + 0.5)
        validation = math.floor(vector["validation"] * len(keys) + 0.5)
        parts = ["test"] * tests + ["validation"] * validation
        parts += ["train"] * (len(keys) - len(parts))
        found = [vector["parts"][key] for key in sorted(keys, key=order)]
        assert found == parts


# ------------------------------------------------------------------ signed records


def fixed(what: str, size: int = 32) -> bytes:
    return hashlib.shake_256(f"protocol vector {what}".encode()).digest(size)


def test_a_round_manifest_is_a_signed_record() -> None:
    def entry(hospital: int, weight: int, code: str, envelope: bytes) -> dict[str, Any]:
        named = {name: fixed(f"{name} {hospital}") for name in ("freeze", "manifest", "commitment")}
        return named | {"hospital": hospital, "weight": weight, "code": code, "envelope": envelope}

    cid = b"\x01\x71\x12\x20" + fixed("envelope")
    body = {
        "context": fixed("context"),
        "model": fixed("model"),
        "parent": 1,
        "reports": [fixed("report")],
        "round": 2,
        "spec": H(LEARNING["spec"]["digest"]),
        "start_state": fixed("start state"),
        "state": fixed("end"),
        "study": 7,
        "submissions": [entry(0, 25, "", b""), entry(3, 9, "undecryptable", cid)],
    }
    record(RECORDS["round_manifest"], "consilium/round/1", body)


def test_results_are_a_signed_record_announced_under_the_state() -> None:
    names = ("tp", "fp", "tn", "fn", "auc", "auc_low", "auc_high")
    counts = (17, 2, 30, 3, 96, 90, 100)
    body = dict(zip(names, counts, strict=True)) | {
        "context": fixed("context"),
        "hospital": 3,
        "round": 2,
        "split": "test",
        "state": fixed("end"),
        "study": 7,
        "suppressed": False,
    }
    vector = RECORDS["results"]
    record(vector, "consilium/results/2", body)
    assert vector["topic"] == tagged("consilium/results-topic/1", fixed("end")).hex()


def test_a_signed_report_carries_the_reports_own_bytes() -> None:
    rows = [
        [sha(b"model"), [], 12],
        [sha(b"without 0 and 1"), [0, 1], 15],
        [sha(b"without 0"), [0], 14],
        [sha(b"without 1"), [1], 12],
    ]
    head = {"format": "consilium/report/2", "study": 7, "round": 2, "hospital": 3}
    head |= {"context": fixed("context"), "people": 15}
    report = cbor(head | {"root": fixed("root"), "evaluations": rows})
    vector = RECORDS["report"]
    assert vector["report"] == report.hex()
    record(vector, "consilium/signed-report/1", {"report": report})
    assert vector["topic"] == tagged("consilium/report-topic/1", fixed("context")).hex()


def test_orders_of_joining_follow_from_hashes() -> None:
    vector = RECORDS["orders"]
    others = [index for index in range(vector["hospitals"]) if index != vector["judge"]]

    def drawn(place: int | str) -> list[int]:
        parts = (vector["seed"], vector["round"], H(vector["state"]), vector["judge"], place)
        return sorted(others, key=lambda index: tagged("consilium/orders/1", *parts, index))

    plain = [drawn(place) for place in range(vector["permutations"])]
    assert vector["tmc"] == plain
    first = drawn("first")
    assert vector["gtg"] == [
        [first[place], *(index for index in order if index != first[place])]
        for place, order in enumerate(plain)
    ]


def test_candidates_are_a_signed_record_of_state_digests() -> None:
    rows = [
        [[], sha(b"model"), {}],
        [[0, 3], sha(b"without 0 and 3"), {}],
        [[0], sha(b"without 0"), {}],
        [[1], sha(b"without 1"), {"momentum": fixed("momentum")}],
        [[3], sha(b"without 3"), {}],
    ]
    body = {"candidates": rows, "context": fixed("context"), "models": fixed("models")}
    body |= {"included": [0, 1, 3], "round": 2, "study": 7}
    record(RECORDS["candidates"], "consilium/candidates/3", body)


def test_an_auditors_word_that_a_list_is_missing_names_freeze_and_list() -> None:
    freeze = H(CHAIN["freeze"]["digest"])
    body = {"freeze": freeze, "leaf_list": H(CHAIN["freeze"]["freeze"]["leaf_list"])}
    vector = RECORDS["list_missing"]
    record(vector, "consilium/list-missing/1", body)
    assert vector["topic"] == tagged("consilium/list-missing/1", freeze).hex()


def test_an_auditors_word_that_an_update_does_not_open_names_freeze_and_manifest() -> None:
    body = {"freeze": H(CHAIN["freeze"]["digest"]), "manifest": fixed("manifest")}
    vector = RECORDS["undecryptable"]
    record(vector, "consilium/undecryptable/1", body)
    assert vector["topic"] == tagged("consilium/undecryptable/1", fixed("manifest")).hex()


def test_mail_is_announced_under_the_relayers_address() -> None:
    vector = RECORDS["mail"]
    key, agreement, nonce, deadline, r, vs = vector["message"]
    message = [key, agreement, nonce, deadline, H(r), H(vs)]
    body = {"messages": [message]}
    block = cbor({"body": body, "format": "consilium/mail/1", "kind": vector["kind"]})
    assert vector["block"] == block.hex()
    assert vector["topic"] == tagged("consilium/mail/1", H(vector["to"][2:])).hex()


def test_shares_are_announced_under_the_root_that_they_give() -> None:
    vector = RECORDS["shares"]
    tree = next(tree for tree in CHAIN["share_trees"] if tree["root"] == vector["root"])
    assert [share["amount"] for share in tree["shares"]] == list(vector["amounts"].values())
    rows = [[int(index), amount] for index, amount in vector["amounts"].items()]
    block = cbor({"format": "consilium/shares/1", "shares": rows, "study": vector["study"]})
    assert vector["block"] == block.hex()
    assert vector["topic"] == tagged("consilium/shares/1", H(vector["root"])).hex()


def test_a_participants_description_has_a_digest() -> None:
    vector = RECORDS["participant"]
    named = {name: vector[name] for name in ("name", "role")}
    block = cbor(named | {"format": "consilium/participant/1"})
    assert (vector["block"], vector["digest"]) == (block.hex(), sha(block).hex())


def test_a_leaf_with_its_proof_is_a_file() -> None:
    named = {"id": fixed("consent").hex(), "record": fixed("record").hex(), "index": 4}
    proof = [fixed("sibling 0").hex(), fixed("sibling 1").hex()]
    head = {"format": "consilium/leaf-proof/1", "proof": proof}
    assert RECORDS["leaf_proof"] == head | named


def test_an_audits_report_is_canonical() -> None:
    plain = {"name": "code", "ok": True, "round": None, "hospital": None, "detail": ""}
    failed = {"name": "root", "ok": False, "round": 2, "hospital": 3}
    failed["detail"] = "the list does not give the frozen root"
    gone = {"name": "payload", "ok": False, "round": 1, "hospital": 0, "detail": "was erased"}
    silent = {"name": "leaf-list", "ok": False, "round": 2, "hospital": 3}
    silent["detail"] = "nobody answered"
    known = {"erased": False, "unanswered": False}
    checks = [plain | known, failed | known, gone | known | {"erased": True}]
    head = {"format": "consilium/audit/3", "study": 7, "block": 1300, "level": "keyless"}
    block = cbor(head | {"ok": False, "outcome": "tampered", "checks": checks})
    assert RECORDS["audit"] == block.hex()
    block = cbor(head | {"ok": False, "outcome": "erased", "checks": [checks[0], checks[2]]})
    assert RECORDS["audit_erased"] == block.hex()
    later = [checks[2], silent | known | {"unanswered": True}]
    block = cbor(head | {"ok": False, "outcome": "incomplete", "checks": later})
    assert RECORDS["audit_incomplete"] == block.hex()


def test_a_cancellation_names_the_digest_of_an_offer_of_the_same_key() -> None:
    signed = {vector["type"].split("(")[0]: vector for vector in CHAIN["typed_messages"]}
    offer, cancel = signed["CounterOffer"], signed["CancelCounterOffer"]
    assert cancel["message"] == {"offer": offer["digest"], "deadline": offer["message"]["expiry"]}
    assert (cancel["signer"], cancel["domain"]) == (offer["signer"], offer["domain"])


def test_files_that_patients_send_hold_what_they_signed() -> None:
    offer = RECORDS["counter_offer"]
    signed = next(v for v in CHAIN["typed_messages"] if v["type"].startswith("CounterOffer"))
    message = signed["message"]
    terms = {
        "agreement": message["agreement"],
        "price": message["price"],
        "purposes": str(message["purposes"]),
        "not_after": message["notAfter"],
        "expiry": message["expiry"],
        "salt": message["salt"],
    }
    head = {"format": "consilium/counter-offer/1", "key": signed["signer"], "terms": terms}
    assert offer == head | {"signature": signed["signature"]}
    grant = RECORDS["grant"]
    assert grant["format"] == "consilium/grant/1"
    words = word(grant["key"]) + word(grant["agreement"]) + word(grant["nonce"])
    assert grant["id"] == keccak(words).hex()
    assert len(base64.b16decode(grant["r"].upper())) == len(H(grant["vs"])) == 32
