"""What a sender keeps of an artefact, so that it is sealed only once, whatever happens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from storage.cid import Cid, dag_cbor_cid
from storage.errors import MalformedCid, MalformedRecord
from storage.payload import payload_size


@dataclass(frozen=True, slots=True)
class Sealed:
    """Digests and salt have 32 bytes. `salt` is secret until the sender shows it.

    Persist `to_json()` before submitting: sealing again gives another artefact.
    """

    manifest_digest: bytes
    envelope_cid: Cid
    commitment: bytes
    salt: bytes = field(repr=False)
    plaintext_size: int

    @property
    def manifest_cid(self) -> Cid:
        """The manifest's CID."""
        return dag_cbor_cid(self.manifest_digest)

    @property
    def payload_size(self) -> int:
        """Bytes of the payload."""
        return payload_size(self.plaintext_size)

    def to_json(self) -> dict[str, str | int]:
        """A JSON object; bytes in hexadecimal."""
        return {
            "manifest": self.manifest_digest.hex(),
            "envelope": str(self.envelope_cid),
            "commitment": self.commitment.hex(),
            "salt": self.salt.hex(),
            "plaintext_size": self.plaintext_size,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> Self:
        """Inverse of `to_json`; raises MalformedRecord."""
        try:
            sealed = cls(
                manifest_digest=bytes.fromhex(str(fields["manifest"])),
                envelope_cid=Cid.parse(str(fields["envelope"])),
                commitment=bytes.fromhex(str(fields["commitment"])),
                salt=bytes.fromhex(str(fields["salt"])),
                plaintext_size=int(str(fields["plaintext_size"])),
            )
        except (KeyError, ValueError, MalformedCid) as exc:
            raise _malformed() from exc
        if {len(sealed.manifest_digest), len(sealed.commitment), len(sealed.salt)} != {32}:
            raise _malformed()
        return sealed


def _malformed() -> MalformedRecord:
    return MalformedRecord(
        "what was kept of a sealed artefact lacks a field or has an ill-formed one: restore it, "
        "or seal again and submit the new artefact"
    )
