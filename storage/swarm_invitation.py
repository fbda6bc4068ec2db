"""An invitation into a private swarm: its secrets and its members, sealed to who is invited.

One file: dag-cbor of `{"envelope", "manifest", "payload": bytes, "tag": text}`, the three blocks
of an artefact (docs/artefact.md) of kind `invitation`. Its context binds it to the invited key, its
signature to who invites: a false swarm would take what is meant for the right one, and keep it.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storage import dagcbor
from storage.artefact import open_artefact, seal
from storage.cid import Cid, Codec
from storage.embedded import EmbeddedStore
from storage.errors import MalformedBlock, MalformedRecord
from storage.keys import Identity, RecipientKey
from storage.manifest import read_manifest
from storage.signing import Sender, Signer
from storage.swarm_card import Card
from storage.tags import INVITATION

KIND = "invitation"
MAX_SIZE = 1 << 20  # bytes
_TAG = INVITATION.decode()
_SCHEMA = hashlib.sha256(INVITATION + bytes(32)).digest()
_KEY = re.compile(r"/key/swarm/psk/1\.0\.0/\n/base16/\n[0-9a-f]{64}\n?")
_SECRET = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a member needs of the others: both secrets, and who they are."""

    swarm_key: str = field(repr=False)
    cluster_secret: str = field(repr=False)
    members: Sequence[Card]

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.swarm_key) or not _SECRET.fullmatch(self.cluster_secret):
            raise MalformedRecord("an invitation holds a swarm key and a cluster secret: ask anew")


def invite(invitation: Invitation, recipient: RecipientKey, sender: Sender) -> bytes:
    """The file for one who is invited; nobody else can open it."""
    content = {
        "cluster_secret": invitation.cluster_secret,
        "members": [card.to_tree() for card in invitation.members],
        "swarm_key": invitation.swarm_key,
    }
    with tempfile.TemporaryDirectory(prefix="consilium-invite-") as folder:
        store = EmbeddedStore.create(Path(folder))
        sealed = seal(
            store,
            json.dumps(content).encode(),
            kind=KIND,
            schema=_SCHEMA,
            context=_context(recipient),
            sender=sender,
            recipients=[recipient],
        )
        payload = read_manifest(store, sealed.manifest_digest).payload
        return dagcbor.encode(
            {
                "envelope": store.get_block(sealed.envelope_cid),
                "manifest": store.get_block(sealed.manifest_cid),
                "payload": store.get_block(payload),
                "tag": _TAG,
            }
        )


def open_invitation(content: bytes, identity: Identity, inviter: Signer) -> Invitation:
    """What is in the file, if it is for this identity and from this inviter.

    Raises MalformedRecord, WrongContext, WrongSigner, and what `open_artefact` does.
    """
    blocks = _parts(content)
    envelope, manifest = (Cid.of(Codec.DAG_CBOR, blocks[key]) for key in ("envelope", "manifest"))
    with tempfile.TemporaryDirectory(prefix="consilium-invite-") as folder:
        store = EmbeddedStore.create(Path(folder))
        for block in blocks.values():
            store.put_block(Codec.RAW, block)  # what it is called follows from who asks for it
        opened = open_artefact(
            store,
            manifest.digest,
            identity,
            expected_context=_context(identity.recipient),
            expected_signer=inviter,
            envelope=envelope,
        )
        if (opened.manifest.kind, opened.manifest.schema) != (KIND, _SCHEMA):
            raise _malformed()
        return _invitation(opened.read())


def _context(recipient: RecipientKey) -> bytes:
    return hashlib.sha256(INVITATION + recipient.key_id).digest()


def _parts(content: bytes) -> dict[str, bytes]:
    if len(content) > MAX_SIZE:
        raise _malformed()
    try:
        file = dagcbor.decode(content)
    except MalformedBlock as exc:
        raise _malformed() from exc
    if not isinstance(file, dict) or file.keys() != {"envelope", "manifest", "payload", "tag"}:
        raise _malformed()
    blocks = {key: value for key, value in file.items() if isinstance(value, bytes)}
    if len(blocks) != 3 or file["tag"] != _TAG:
        raise _malformed()
    return blocks


def _invitation(plaintext: bytes) -> Invitation:
    try:
        tree = json.loads(plaintext)
        members = [Card.from_tree(item) for item in tree["members"]]
        return Invitation(str(tree["swarm_key"]), str(tree["cluster_secret"]), members)
    except (ValueError, KeyError, TypeError) as exc:
        raise _malformed() from exc


def _malformed() -> MalformedRecord:
    return MalformedRecord("this is no invitation into a swarm: ask who invites for it anew")
