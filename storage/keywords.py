"""An index by keyword that tells the store none: HMAC tokens under a key of a study's members.

A token is bound to its artefact: equal keywords of two artefacts give unlike tokens, so that
without the key nobody counts or compares them. Every entry has as many tokens; those beyond the
keywords are random, which nobody without the key can tell. docs/artefact.md specifies the bytes.
"""

import hmac
import secrets
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage import tags
from storage.cid import Cid, Codec
from storage.errors import BadKeyword, MalformedRecord
from storage.signed import Shape, check_shape, open_record, sign_record
from storage.signing import Sender, Signer
from storage.store import BlockStore

SECRET_SIZE = 32
TOKEN_SIZE = 32
MOST_KEYWORDS = 32
MOST_ENTRIES = 900  # more does not fit into one block
MOST_CHARACTERS = 64

_SHAPE: Shape = {"catalogue": 32, "context": 32, "entries": list, "key": 32, "number": int}
_ENTRY: Shape = {"artefact": 32, "tokens": MOST_KEYWORDS * TOKEN_SIZE}


@dataclass(frozen=True, slots=True)
class IndexKey:
    """What a study's members make tokens with; `key_id` (32 bytes) may be shown to anybody."""

    key: bytes = field(repr=False)
    key_id: bytes

    @classmethod
    def derived(cls, secret: bytes, context: bytes) -> "IndexKey":
        """HKDF-SHA-256 (RFC 5869) of the members' secret, salted with the study's context."""
        return cls(
            _derive(secret, context, tags.INDEX_KEY), _derive(secret, context, tags.INDEX_KEY_ID)
        )

    def token(self, artefact: bytes, keyword: str) -> bytes:
        """HMAC-SHA-256 (RFC 2104) of an artefact's digest and a keyword. Raises BadKeyword."""
        message = tags.KEYWORD + artefact + normalised(keyword).encode()
        return hmac.digest(self.key, message, "sha256")


@dataclass(frozen=True, slots=True)
class Index:
    """A verified index: whose it is, which artefacts it lists, with which tokens.

    `catalogue` is the manifest digest of the sealed list of keywords; of one author the highest
    `number` counts.
    """

    cid: Cid
    signer: Signer
    context: bytes
    key_id: bytes
    number: int
    catalogue: bytes
    entries: Mapping[bytes, frozenset[bytes]]

    def matching(self, key: IndexKey, keywords: Iterable[str]) -> list[bytes]:
        """Digests of the artefacts that are listed under all keywords."""
        wanted = list(keywords)
        return [
            artefact
            for artefact, tokens in self.entries.items()
            if all(key.token(artefact, keyword) in tokens for keyword in wanted)
        ]


def normalised(keyword: str) -> str:
    """How a keyword is compared: NFKC, without case, spaces as one. Raises BadKeyword."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", keyword).casefold())
    found = " ".join(folded.split())
    if not found or len(found) > MOST_CHARACTERS or not found.isprintable():
        raise BadKeyword(f"a keyword has 1 to {MOST_CHARACTERS} printable characters")
    return found


def tokens_of(key: IndexKey, artefact: bytes, keywords: Iterable[str]) -> bytes:
    """All tokens of one entry in ascending order, joined. Raises BadKeyword."""
    found = {key.token(artefact, keyword) for keyword in keywords}
    if len(found) > MOST_KEYWORDS:
        raise BadKeyword(f"an artefact has at most {MOST_KEYWORDS} keywords, not {len(found)}")
    while len(found) < MOST_KEYWORDS:
        found.add(secrets.token_bytes(TOKEN_SIZE))
    return b"".join(sorted(found))


def write_index(
    store: BlockStore,
    entries: Mapping[bytes, Sequence[str]],
    *,
    key: IndexKey,
    context: bytes,
    number: int,
    catalogue: bytes,
    sender: Sender,
) -> Cid:
    """Sign, keep and pin an index of keywords by artefact's digest. Raises BadKeyword."""
    if len(entries) > MOST_ENTRIES:
        raise BadKeyword(f"an index lists at most {MOST_ENTRIES} artefacts, not {len(entries)}")
    body = {
        "catalogue": catalogue,
        "context": context,
        "entries": [
            {"artefact": artefact, "tokens": tokens_of(key, artefact, entries[artefact])}
            for artefact in sorted(entries)
        ],
        "key": key.key_id,
        "number": number,
    }
    cid = store.put_block(Codec.DAG_CBOR, sign_record(tags.INDEX, body, sender))
    store.pin(cid)
    return cid


def read_index(store: BlockStore, cid: Cid) -> Index:
    """The index, its signature verified; whose it may be is the caller's to say.

    Raises MissingBlock, CorruptBlock, MalformedBlock, MalformedRecord, BadSignature.
    """
    record = open_record(tags.INDEX, store.get_block(cid), _SHAPE)
    where, body = f"index {cid}", record.body
    entries: dict[bytes, frozenset[bytes]] = {}
    for item in body["entries"]:
        entry = check_shape(item, _ENTRY, where)
        entries[entry["artefact"]] = frozenset(
            entry["tokens"][start : start + TOKEN_SIZE]
            for start in range(0, MOST_KEYWORDS * TOKEN_SIZE, TOKEN_SIZE)
        )
    if list(entries) != sorted(item["artefact"] for item in body["entries"]):
        raise MalformedRecord(f"{where} does not list each artefact once, in order of digest")
    return Index(
        cid=cid,
        signer=record.signer,
        context=body["context"],
        key_id=body["key"],
        number=body["number"],
        catalogue=body["catalogue"],
        entries=MappingProxyType(entries),
    )


def _derive(secret: bytes, context: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=context, info=info).derive(secret)
