"""The catalogue beside an index: the keywords themselves, sealed by the author to the members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from federated.canonical import decode, encode, tagged_hash
from federated.errors import FederatedError, RecordError
from federated.index_keys import index_context, members_keys
from federated.party import Party
from federated.study import Study
from storage.artefact import open_artefact, seal
from storage.keywords import MOST_ENTRIES, Index

KIND = "catalogue"
_SCHEMA = tagged_hash("consilium/catalogue/1")
_ENTRY_SIZE = 16 << 10  # more than 32 keywords of 64 characters take
_LENGTH_SIZE = 4


def seal_catalogue(
    party: Party, study: Study, entries: Mapping[bytes, Sequence[str]], context: bytes
) -> bytes:
    """Seal keywords by artefact to all members; the manifest's digest.

    Its size tells how many artefacts are listed, and nothing of their keywords.
    """
    listed = [{"artefact": digest, "keywords": entries[digest]} for digest in sorted(entries)]
    data = encode(listed)
    padding = bytes(_ENTRY_SIZE * (len(entries) + 1) - _LENGTH_SIZE - len(data))
    sealed = seal(
        party.store,
        len(data).to_bytes(_LENGTH_SIZE, "big") + data + padding,
        kind=KIND,
        schema=_SCHEMA,
        context=context,
        sender=party.sender,
        recipients=members_keys(party, study),
    )
    return sealed.manifest_digest


def read_catalogue(party: Party, study: Study, index: Index) -> dict[bytes, list[str]]:
    """The keywords by artefact that the author of an index stands by, for a member.

    Raises `RecordError` for a malformed catalogue, and what `open_artefact` does.
    """
    opened = open_artefact(
        party.store,
        index.catalogue,
        party.identity,
        expected_context=index_context(party, study),
        expected_signer=index.signer,
    )
    where = f"the catalogue of index {index.cid}"
    most = _ENTRY_SIZE * (MOST_ENTRIES + 1)
    if opened.manifest.kind != KIND or opened.manifest.plaintext_size > most:
        raise RecordError(f"{where} is none: ask its author to index again")
    data = opened.read()
    length = int.from_bytes(data[:_LENGTH_SIZE], "big")
    try:
        listed = decode(data[_LENGTH_SIZE : _LENGTH_SIZE + length])
        return {bytes(item["artefact"]): [str(w) for w in item["keywords"]] for item in listed}
    except (FederatedError, KeyError, TypeError, ValueError) as exc:
        raise RecordError(f"{where} is malformed: ask its author to index again") from exc
