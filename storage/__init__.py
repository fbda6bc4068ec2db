"""Content-addressed, encrypted artefacts: CIDs, blocks, files, signed records, envelopes.

`store` is what a backend must do, `embedded` the one on disk; `artefact` seals and opens.
`errors` draws the tree of what can go wrong.
"""

from storage.artefact import Opened, open_artefact, publish, rewrap, seal
from storage.cid import Cid, Codec, dag_cbor_cid, raw_cid
from storage.embedded import EmbeddedStore
from storage.envelope import Envelope, read_envelope
from storage.keyfile import load_identity, load_signing_key, save_key
from storage.keys import Identity, Profile, RecipientKey, fetch_key, publish_key
from storage.manifest import Manifest, check_commitment, read_manifest
from storage.sealed import Sealed
from storage.signed import SignedRecord, expect_signer, open_record, sign_record
from storage.signing import Sender, Signer, SigningKey, verify_signature
from storage.store import BlockStore, get_record, put_record

__all__ = [
    "BlockStore",
    "Cid",
    "Codec",
    "EmbeddedStore",
    "Envelope",
    "Identity",
    "Manifest",
    "Opened",
    "Profile",
    "RecipientKey",
    "Sealed",
    "Sender",
    "SignedRecord",
    "Signer",
    "SigningKey",
    "check_commitment",
    "dag_cbor_cid",
    "expect_signer",
    "fetch_key",
    "get_record",
    "load_identity",
    "load_signing_key",
    "open_artefact",
    "open_record",
    "publish",
    "publish_key",
    "put_record",
    "raw_cid",
    "read_envelope",
    "read_manifest",
    "rewrap",
    "save_key",
    "seal",
    "sign_record",
    "verify_signature",
]
