"""The round manifest: what a center signs about a round when it finalizes it.

Every submission on-chain is in it once, included or with the code that excludes it, so that leaving
one out is seen by anyone. Its digest is on-chain; the block lies in the store, readable by all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from federated.errors import RecordError
from federated.exclusion import ExclusionCode
from storage.cid import Codec, dag_cbor_cid
from storage.signed import Shape, check_shape, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore

TAG = "consilium/round/1"

_BODY: Shape = {
    "context": 32,
    "model": 32,
    "parent": int,
    "reports": list,
    "round": int,
    "spec": 32,
    "start_state": 32,
    "state": 32,
    "study": int,
    "submissions": list,
}
_ENTRY: Shape = {
    "code": str,
    "commitment": 32,
    "envelope": bytes,
    "freeze": 32,
    "hospital": int,
    "manifest": 32,
    "weight": int,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One submission as the center judged it; `code` is None where it was included.

    `hospital` is the index in the study, `freeze` the digest that the chain holds, `weight` the
    frozen one, `manifest` and `commitment` as submitted. `envelope` is the CID (in bytes) of the
    auditor's word that an "undecryptable" was judged on, else empty.
    """

    hospital: int
    freeze: bytes
    weight: int
    manifest: bytes
    commitment: bytes
    code: ExclusionCode | None = None
    envelope: bytes = b""


@dataclass(frozen=True, slots=True)
class RoundManifest:
    """`model` is the manifest digest of the sealed state, `reports` those of evaluations."""

    context: bytes
    study: int
    round_number: int
    parent: int
    spec: bytes
    start_state: bytes
    state: bytes
    model: bytes
    entries: tuple[Entry, ...]
    reports: tuple[bytes, ...] = ()

    @property
    def included(self) -> int:
        """One bit per hospital whose update was aggregated."""
        return sum(1 << entry.hospital for entry in self.entries if entry.code is None)


def write_round_manifest(store: BlockStore, manifest: RoundManifest, sender: Sender) -> bytes:
    """Sign, keep and pin the manifest; returns its digest (32 bytes)."""
    cid = store.put_block(Codec.DAG_CBOR, sign_record(TAG, _body(manifest), sender))
    store.pin(cid)
    return cid.digest


def read_round_manifest(store: BlockStore, digest: bytes) -> tuple[RoundManifest, Signer]:
    """The manifest with this digest and who signed it; the signature is verified.

    Raises `RecordError` and what the store raises.
    """
    record = open_record(TAG, store.get_block(dag_cbor_cid(digest)), _BODY)
    where = f"round manifest {dag_cbor_cid(digest)}"
    body = record.body
    entries = tuple(_read_entry(item, where) for item in body["submissions"])
    if any(not 0 <= entry.hospital < 256 for entry in entries):
        raise RecordError(f"{where}: a hospital's index lies in [0, 256)")
    if [entry.hospital for entry in entries] != sorted({entry.hospital for entry in entries}):
        raise RecordError(f"{where}: hospitals are not in the order of their index, each once")
    if any(not isinstance(report, bytes) or len(report) != 32 for report in body["reports"]):
        raise RecordError(f"{where}: a report is not named by a digest of 32 bytes")
    manifest = RoundManifest(
        context=body["context"],
        study=body["study"],
        round_number=body["round"],
        parent=body["parent"],
        spec=body["spec"],
        start_state=body["start_state"],
        state=body["state"],
        model=body["model"],
        entries=entries,
        reports=tuple(body["reports"]),
    )
    return manifest, record.signer


def _body(manifest: RoundManifest) -> dict[str, Any]:
    return {
        "context": manifest.context,
        "model": manifest.model,
        "parent": manifest.parent,
        "reports": list(manifest.reports),
        "round": manifest.round_number,
        "spec": manifest.spec,
        "start_state": manifest.start_state,
        "state": manifest.state,
        "study": manifest.study,
        "submissions": [
            {
                "code": "" if entry.code is None else entry.code.value,
                "commitment": entry.commitment,
                "envelope": entry.envelope,
                "freeze": entry.freeze,
                "hospital": entry.hospital,
                "manifest": entry.manifest,
                "weight": entry.weight,
            }
            for entry in manifest.entries
        ],
    }


def _read_entry(item: Any, where: str) -> Entry:
    fields = check_shape(item, _ENTRY, where)
    try:
        code = ExclusionCode(fields["code"]) if fields["code"] else None
    except ValueError as exc:
        raise RecordError(f"{where}: unknown exclusion code {fields['code'][:40]!r}") from exc
    return Entry(
        hospital=fields["hospital"],
        freeze=fields["freeze"],
        weight=fields["weight"],
        manifest=fields["manifest"],
        commitment=fields["commitment"],
        code=code,
        envelope=fields["envelope"],
    )
