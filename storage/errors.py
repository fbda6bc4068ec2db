"""What can go wrong in this package. Every message says what, where, and what to do.

StorageError
├── EngineMissing              the IPFS engine is not installed
├── NodeFailed                 a node of the swarm does not start, or finds no other
├── NotPrivate                 a node that strangers can reach, where a private one is wanted
├── BadConfiguration           an engine's configuration that cannot be read or written
├── Unreachable                the store itself is absent, unreadable or full
│   ├── TooSlow                its node answers, and gave up in time
│   └── TooFewCopies           pinned, on fewer nodes than it must be
├── MalformedCid               text or bytes that are not a CID of this store
├── MalformedBlock             a block whose bytes are not what its codec promises
├── BlockTooLarge              more than one block may hold
├── BadKeyword                 what cannot be a keyword, or is one too many
├── MissingBlock               the store does not have the block
│   └── Unanswered             nor do those who answer; a member that may have it does not
├── CorruptBlock               the bytes at hand do not hash to their CID
├── KeyFailure
│   ├── MalformedKey           bytes that are not a public or private key
│   ├── KeyFileMissing         no key file at that path
│   ├── KeyFileExists          never overwrite a private key
│   ├── KeyFileExposed         others may read the private key
│   └── WrongPassphrase        absent, wrong, or the file was altered
└── ArtefactError
    ├── MalformedRecord        a signed record with missing or ill-typed fields
    ├── BadSignature           the record was not signed by the key that it names
    ├── WrongSigner            signed, but by another than the one expected
    ├── WrongContext           sealed for another study, round or state
    ├── WrongManifest          an envelope that names another manifest
    ├── NoRecipients           nothing is sealed for nobody
    ├── NotARecipient          no envelope wraps the data key for this identity
    ├── WrongKey               a wrap for this identity does not open
    ├── KeyCommitmentMismatch  it opens, to a key that the manifest does not commit to
    ├── CommitmentMismatch     salt and plaintext do not give the commitment
    ├── EvidenceNeeded         not to be erased while a study's evidence must last
    ├── Truncated              the payload is shorter or longer than the manifest says
    └── CorruptPayload         a segment does not authenticate
"""

from typing import TypeVar


class StorageError(Exception):
    """Base of every error that `storage` raises."""


class EngineMissing(StorageError):
    """No Kubo of the pinned version on this machine."""


class NodeFailed(StorageError):
    """A node of the private swarm does not start, or is not connected in time."""


class NotPrivate(StorageError):
    """An IPFS node whose settings lead beyond a private swarm."""


class BadConfiguration(StorageError):
    """The configuration of an engine cannot be read or written, or is none."""


class Unreachable(StorageError):
    """The store is absent, unreadable or full; nothing is known about its blocks."""


class TooSlow(Unreachable):
    """The store's node was not done within the time that it was given."""


class TooFewCopies(Unreachable):
    """Fewer nodes than wanted report a copy; the cluster goes on making them."""


class MalformedCid(StorageError):
    """Not a CIDv1 with sha2-256 over raw, dag-pb or dag-cbor."""


class MalformedBlock(StorageError):
    """The bytes are not canonical dag-cbor, or not a UnixFS file node."""


class BlockTooLarge(StorageError):
    """More than 1 MiB in one block; a file has no such limit."""


class BadKeyword(StorageError):
    """Empty, too long, not printable; or more than an index takes."""


class MissingBlock(StorageError):
    """The store is reachable and does not have the block."""


class Unanswered(MissingBlock):
    """Members of the swarm did not answer in time: what they have is not known."""


class CorruptBlock(StorageError):
    """The bytes found under a CID hash to something else."""


class KeyFailure(StorageError):
    """Base of the errors about keys and key files."""


class MalformedKey(KeyFailure):
    """Bytes that are not a key of a known profile."""


class KeyFileMissing(KeyFailure):
    """No key file at the path given."""


class KeyFileExists(KeyFailure):
    """A key file is there already and is never overwritten."""


class KeyFileExposed(KeyFailure):
    """Other accounts of the machine may read the private key."""


class WrongPassphrase(KeyFailure):
    """The key file does not open with this passphrase."""


class ArtefactError(StorageError):
    """Base of the errors about sealed artefacts and signed records."""


class MalformedRecord(ArtefactError):
    """Canonical dag-cbor, but not the record that its reader expects."""


class BadSignature(ArtefactError):
    """The signature does not verify under the key that the record names."""


class WrongSigner(ArtefactError):
    """A valid signature of someone else than the expected signer."""


class WrongContext(ArtefactError):
    """The artefact was sealed for another study, round, spec or input state."""


class WrongManifest(ArtefactError):
    """The envelope names another manifest."""


class NoRecipients(ArtefactError):
    """An artefact or envelope without a recipient could be opened by nobody."""


class NotARecipient(ArtefactError):
    """No known envelope of the artefact has a wrap for this identity."""


class WrongKey(ArtefactError):
    """The wrap names this identity and does not open with its private key."""


class KeyCommitmentMismatch(ArtefactError):
    """The unwrapped data key is not the one that the manifest commits to."""


class CommitmentMismatch(ArtefactError):
    """Salt and plaintext do not give the manifest's commitment."""


class EvidenceNeeded(ArtefactError):
    """The artefact may not be erased yet."""


class Truncated(ArtefactError):
    """The payload does not have the size that the manifest states."""


class CorruptPayload(ArtefactError):
    """A segment of the payload does not authenticate under the data key."""


Kind = TypeVar("Kind", bound=StorageError)


def caused_by(exc: BaseException | None, kind: type[Kind]) -> Kind | None:
    """The first of this kind among an error and its causes."""
    while exc is not None and not isinstance(exc, kind):
        exc = exc.__cause__
    return exc


def told_in_full(exc: BaseException) -> str:
    """What an error says, and who was silent if it came of that."""
    silence = caused_by(exc, Unanswered)
    return str(exc) if silence is None or str(silence) in str(exc) else f"{exc}; {silence}"
