// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Consents: granted by a patient's signature and a hospital's admission, withdrawn by the patient alone.
/// @notice `id = keccak256(abi.encode(key, agreement, nonce))`, where `key` is the address of a one-time key. One packed
/// slot per id. No address of a patient is in any event or storage. Nothing here can be paused.
///
/// Active at block b means from ≤ b < revoked: the state at the end of b.
interface IConsents {
    /// @dev Why a message of a batch was skipped; `None` never appears in an event.
    enum Skip {
        None,
        BadSignature,
        Expired,
        AlreadyUsed,
        PreviousNotRevoked,
        TierClosed,
        TierFull,
        HospitalFull,
        NoMoney,
        TierExpired,
        UnknownAgreement
    }

    /// @dev Why a consent was withdrawn. `Patient` and `Superseded` are set by the contract alone.
    enum Reason {
        None,
        Patient,
        Paper,
        KeyLost,
        Died,
        Erasure,
        Superseded
    }

    /// @param id keccak256(abi.encode(key, agreement, nonce)).
    /// @param r, vs compact signature (ERC-2098) of the typed message `Grant`.
    struct GrantMessage {
        bytes32 id;
        uint64 nonce;
        uint64 deadline;
        bytes32 r;
        bytes32 vs;
    }

    /// @param key address of the patient's one-time key.
    /// @param r, vs compact signature of the typed message `Revoke`.
    struct RevokeMessage {
        address key;
        uint256 agreement;
        uint64 nonce;
        uint64 deadline;
        bytes32 r;
        bytes32 vs;
    }

    /// @param key, agreement, nonce the preimage of the id.
    struct Withdrawal {
        address key;
        uint256 agreement;
        uint64 nonce;
        Reason reason;
    }

    /// @param from block of the grant; 0 where never granted.
    /// @param revoked block of the withdrawal; 0 where never withdrawn. from = 0 and revoked > 0: burned.
    /// @param reserved (nonce 0 only) the tier's price is reserved for this person.
    /// @param paid (nonce 0 only) the price was paid.
    /// @param bonusPaid (nonce 0 only) the share of the patients' pot was paid.
    struct Consent {
        uint64 from;
        uint64 revoked;
        uint64 agreement;
        Reason reason;
        bool reserved;
        bool paid;
        bool bonusPaid;
    }

    /// @param key, agreement, nonce the preimage of a consent's id; signature the key's (ECDSA or ERC-1271).
    struct Signed {
        address key;
        uint256 agreement;
        uint64 nonce;
        bytes signature;
    }

    /// @param agreement the id's; 0 where it was never used. The next five are that tier's.
    /// @param active the consent held at the end of the block asked about.
    /// @param owned the key and the nonce give the id.
    /// @param due nobody was paid yet for the person behind the key, who is marked as paid now.
    struct Payment {
        uint256 agreement;
        uint256 price;
        address hospital;
        uint256 study;
        uint256 notAfter;
        bool covers;
        bool active;
        bool owned;
        bool due;
    }

    event Granted(uint256 indexed agreement, address indexed hospital, bytes32[] ids);
    event GrantSkipped(uint256 indexed agreement, bytes32 id, Skip reason);
    event Revoked(uint256 indexed agreement, address indexed hospital, bytes32 id, Reason reason);
    /// @notice The hospital corrected why it withdrew: `record` is the digest of its statement in the store.
    event Amended(
        uint256 indexed agreement,
        address indexed hospital,
        bytes32 id,
        Reason before,
        Reason reason,
        bytes32 record
    );
    /// @notice With Revoked: the patient's consent `by` stands in the place of `id`.
    event Superseded(uint256 indexed agreement, address indexed hospital, bytes32 id, bytes32 by);
    event RevokeSkipped(uint256 indexed agreement, bytes32 id, Skip reason);

    error NotTheHospital(address account);
    /// @notice Thrown when neither the hospital sends the batch nor its signature over the ids is valid.
    error NotAdmitted(uint256 agreement);
    /// @notice Thrown by the single-message functions for what a batch would skip.
    error Refused(bytes32 id, Skip reason);
    error OnlyEscrow();
    /// @notice Thrown when a hospital gives no reason, or the reason that is the patient's own.
    error BadReason();
    /// @notice Thrown when the consent that shall stand in the place of another does not hold now, or is of another
    /// hospital or study.
    error NoSuccessor(bytes32 by);
    /// @notice Thrown when a correction names no record that says why.
    error NoRecord();

    /// @notice Grants a batch under one tier. Messages that are invalid, applied already, beyond the tier's or the
    /// hospital's count or beyond unreserved money are skipped with an event; none reverts the others.
    /// @param admission empty when the tier's hospital sends the batch; else its signature (ECDSA or ERC-1271) of the typed
    /// message `Admission(uint256 agreement,bytes32 ids,uint64 deadline)`, ids = keccak256(abi.encodePacked(ids)).
    function grantBatch(
        uint256 agreement,
        GrantMessage[] calldata messages,
        uint64 admissionDeadline,
        bytes calldata admission
    ) external;

    /// @notice Grants one consent; the key may be a contract (ERC-1271), asked by staticcall with bounded gas and return.
    function grantBySig(
        address key,
        uint256 agreement,
        uint64 nonce,
        uint64 deadline,
        bytes calldata signature,
        uint64 admissionDeadline,
        bytes calldata admission
    ) external;

    /// @notice The key itself withdraws. An id never granted is burned, so that a grant held back gains nothing.
    /// @dev Burning a later nonce needs the one before it revoked, as granting does: else a person could burn nonce 1 and
    /// hold nonces 0 and 2 at once. So of one key's ids under one agreement at most one is active.
    function revoke(uint256 agreement, uint64 nonce) external;

    function revokeBySig(
        address key,
        uint256 agreement,
        uint64 nonce,
        uint64 deadline,
        bytes calldata signature
    ) external;

    function revokeBatch(RevokeMessage[] calldata messages) external;

    /// @notice The agreement's hospital withdraws for patients who did so on paper, lost the key or died.
    function revokeByHospital(Withdrawal[] calldata withdrawals) external;

    /// @notice The agreement's hospital corrects the reason of a withdrawal that it made: by a linked record, never in
    /// silence. That the consent is withdrawn, and since when, nobody can change; nor why a patient did.
    /// @param corrected the withdrawal with its right reason; record digest of the statement that says what was wrong.
    function amend(Withdrawal calldata corrected, bytes32 record) external;

    /// @notice Ends one consent in favour of another that holds already, under the same hospital and study: a patient whose
    /// terms were wrong, or changed, leaves a link and no gap. Anyone sends it.
    /// @dev Both keys sign `Supersede(bytes32 id,bytes32 by,uint64 deadline)`: else a patient could name a stranger's
    /// consent as an own.
    function supersede(Signed calldata old, Signed calldata successor, uint64 deadline) external;

    function hashSupersede(bytes32 id, bytes32 by, uint64 deadline) external view returns (bytes32);

    /// @notice Marks the person behind a consent as paid, once, and says what the claim needs of it. Only `Escrow`.
    function pay(
        bytes32 id,
        address key,
        uint64 nonce,
        uint64 blockNumber
    ) external returns (Payment memory);

    /// @notice Marks the share of the pot as paid; returns false where it was, or nothing is reserved. Only `Escrow`.
    function markBonusPaid(address key, uint256 agreement) external returns (bool);

    function idOf(address key, uint256 agreement, uint64 nonce) external pure returns (bytes32);

    function consent(bytes32 id) external view returns (Consent memory);

    /// @notice One bit per id, in order, least significant first, 256 a word: active at the end of that block?
    function activeAt(
        bytes32[] calldata ids,
        uint64 blockNumber
    ) external view returns (uint256[] memory bitmap);

    function isActive(bytes32 id, uint64 blockNumber) external view returns (bool);

    /// @notice EIP-712 digests, as wallets sign them; price, purposes and notAfter are the tier's.
    /// Grant(bytes32 id,uint256 study,uint256 agreement,uint256 price,uint256 purposes,uint64 notAfter,uint64 nonce,uint64 deadline)
    function hashGrant(
        bytes32 id,
        uint256 agreement,
        uint64 nonce,
        uint64 deadline
    ) external view returns (bytes32);

    /// @notice Revoke(bytes32 id,uint64 deadline)
    function hashRevoke(bytes32 id, uint64 deadline) external view returns (bytes32);

    function hashAdmission(
        uint256 agreement,
        bytes32[] calldata ids,
        uint64 deadline
    ) external view returns (bytes32);
}
