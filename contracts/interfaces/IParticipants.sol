// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who takes part, in which role, and with which keys.
/// @notice The operator admits hospitals, centers and auditors; it can neither grant nor revoke a consent, pay, nor
/// pause a withdrawal. Patients never appear here.
interface IParticipants {
    enum Role {
        None,
        Hospital,
        Center,
        Auditor
    }

    /// @param signing Ed25519 public key (RFC 8032) that signs manifests and envelopes.
    /// @param encryption sha2-256 of the HPKE public key (RFC 9180); the key's bytes lie in the store under that digest.
    /// @param fromBlock first block at which the keys hold.
    struct Keys {
        bytes32 signing;
        bytes32 encryption;
        uint64 fromBlock;
    }

    event Admitted(address indexed account, Role role, bytes32 metadata);
    event Dismissed(address indexed account);
    event Described(address indexed account, bytes32 metadata);
    event KeysRevoked(address indexed account);
    event KeysSet(address indexed account, bytes32 signing, bytes32 encryption);

    /// @notice Thrown when an account already holds a role, or the role given is `None`.
    error AlreadyAdmitted(address account);
    /// @notice Thrown when an account holds no role.
    error NotAParticipant(address account);
    /// @notice Thrown when a key is zero.
    error EmptyKey();

    /// @notice Gives an account its one role. Only the operator.
    /// @param metadata digest of the participant's public description.
    function admit(address account, Role role, bytes32 metadata) external;

    /// @notice Takes the role away: no new study, enrolment or attestation. What it holds or owes is untouched.
    function dismiss(address account) external;

    /// @notice Publishes the caller's keys from this block on; earlier ones stay readable for replays.
    function setKeys(bytes32 signing, bytes32 encryption) external;

    /// @notice No keys of the caller hold from this block on, until it sets new ones; earlier ones stay readable.
    function revokeKeys() external;

    /// @notice Changes the digest of the caller's public description.
    function describe(bytes32 metadata) external;

    function roleOf(address account) external view returns (Role);

    function metadataOf(address account) external view returns (bytes32);

    /// @notice The keys that held at the end of a block; all zero where none had been set, or they were revoked.
    function keysAt(address account, uint64 blockNumber) external view returns (Keys memory);
}
