"""What can go wrong in this package. Every message says what, where, and what to do.

ChainError
├── ToolMissing            anvil, Node or solc is not where the set-up puts it
├── CompileFailed          solc refused a source, or a contract is too large
├── ArtifactsStale         a compiled contract or a source is not the one recorded
├── CodeMismatch           the code at an address is not the committed artifact
├── DeploymentUnreadable   the file of a deployment is damaged or incomplete
├── NodeError
│   ├── NodeDown           the node does not answer
│   ├── NodeFailed         the node started and ended, or never became ready
│   ├── WrongChain         the node serves another chain than the one expected
│   ├── BadSocket          an address at which no WebSocket can be
│   ├── BlockMissing       the node does not have (or no longer has) the block named
│   ├── RpcRefusal         the node answered with an error (defined in chain.refusal)
│   └── NotDevelopment     the clock can be moved on development chains only
├── BadNetwork             validators that make no network, or files of another one
├── TxReverted             a contract refused; `name` and `args` are its error's
├── TxRefused              the node refused a transaction before any contract saw it
├── TxTimeout              no receipt in time; the signed transaction stays in the outbox
├── OutboxError
│   ├── OutboxBusy         another process is sending with the same key
│   ├── OutboxBroken       the file cannot be read or written
│   └── OutboxConflict     one step was asked for with two different calls
├── KeyFailure
│   ├── BadPhrase          not a recovery phrase
│   ├── BadKey             not a private key, or a keystore that does not open
│   ├── BadSignature       bytes from which no signer can be recovered
│   ├── SignerDown         an external signer does not answer, or refuses
│   └── NoPassphrase       neither X nor X_FILE gives one
├── IndexBroken            the index's file cannot be read or written
├── IndexStale             an index of another deployment, or of other events
└── LogsDisagree           logs that do not match what the contract stores
"""

from __future__ import annotations

from typing import Any


class ChainError(Exception):
    """Base of every error that `chain` raises."""


class ToolMissing(ChainError):
    """A program of the set-up is absent."""


class CompileFailed(ChainError):
    """solc refused a source, or a contract exceeds the size limit of EIP-170."""


class ArtifactsStale(ChainError):
    """A source or a compiled contract is not the one that sources.json records."""


class CodeMismatch(ChainError):
    """The code at an address is not the committed artifact with its immutables."""


class DeploymentUnreadable(ChainError):
    """A deployment's file is no JSON of ours, or lacks a contract."""


class NodeError(ChainError):
    """Base of the errors about the node that is asked."""


class NodeDown(NodeError):
    """The node does not answer, or answers what is no JSON-RPC."""


class NodeFailed(NodeError):
    """The node's process ended, or did not become ready in time."""


class WrongChain(NodeError):
    """The node serves a chain with another id."""


class BadSocket(NodeError):
    """An address at which no WebSocket can be."""


class BlockMissing(NodeError):
    """The node cannot answer for the block that was named."""


class NotDevelopment(NodeError):
    """Only anvil's and Hardhat's clocks may be moved."""


class BadNetwork(ChainError):
    """Validators that make no network, or a folder that holds another network's files."""


class TxReverted(ChainError):
    """A contract refused a call or a transaction.

    `name` is the custom error's name (`Error`, `Panic` or `Unknown` where there is none),
    `arguments` its decoded values by name.
    """

    def __init__(self, name: str, arguments: dict[str, Any], what: str) -> None:
        self.name = name
        self.arguments = arguments
        shown = ", ".join(f"{key}={_show(value)}" for key, value in arguments.items())
        super().__init__(f"{what} was refused by the contract: {name}({shown})")


class TxRefused(ChainError):
    """The node refused a transaction: no funds for gas, nonce, size, or fee."""


class TxTimeout(ChainError):
    """No receipt in the time given; the transaction stays in the outbox and can be resumed."""


class OutboxError(ChainError):
    """Base of the errors about the persisted outbox."""


class OutboxBusy(OutboxError):
    """Another process holds this key's outbox."""


class OutboxBroken(OutboxError):
    """The outbox's file is damaged, read-only, or the disk is full."""


class OutboxConflict(OutboxError):
    """A step that was taken with one call is asked for with another."""


class KeyFailure(ChainError):
    """Base of the errors about keys, phrases and keystores."""


class BadPhrase(KeyFailure):
    """Words that are no recovery phrase, or fail its checksum."""


class BadKey(KeyFailure):
    """Not a private key, or a keystore that does not open."""


class BadSignature(KeyFailure):
    """Bytes that are no signature of the form the contracts accept."""


class SignerDown(KeyFailure):
    """An external signer does not answer, or refuses."""


class NoPassphrase(KeyFailure):
    """Neither the variable nor its `_FILE` gives a passphrase."""


class IndexBroken(ChainError):
    """The index's file is damaged, read-only, or the disk is full."""


class IndexStale(ChainError):
    """An index of another deployment, or of contracts with other events."""


class LogsDisagree(ChainError):
    """Logs that a node returned do not match the digests that the contract stores."""


def _show(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
