// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "./IRounds.sol";

/// @title Challenges: anyone voids an update with a leaf and its proof.
/// @notice From freeze to the study's challengeEnd. A revocation after the snapshot voids nothing.
///
/// A leaf is hashed twice, keccak256(bytes.concat(keccak256(abi.encode(index, id, record)))), in a tree of sorted pairs
/// (OpenZeppelin's MerkleProof).
interface IChallenges {
    enum Ground {
        None,
        OutOfRange,
        Inactive,
        Expires,
        WrongHospital,
        WrongStudy,
        WrongPurpose,
        SplitIndex,
        Order,
        NoAnswer
    }

    /// @param index place in the cohort, from 0.
    /// @param id consent id; ids strictly increase with the index.
    /// @param record salted digest of the patient's record.
    struct Leaf {
        uint256 index;
        bytes32 id;
        bytes32 record;
    }

    /// @param demander who gets the deposit back when nobody answers.
    struct Demand {
        address demander;
        uint64 deadline;
        uint256 deposit;
        bool closed;
    }

    event Challenged(
        uint256 indexed study,
        uint256 indexed round,
        uint256 indexed index,
        Ground ground
    );
    event Demanded(
        uint256 indexed study,
        uint256 indexed round,
        uint256 indexed index,
        uint256 leaf,
        uint64 deadline
    );
    event Answered(
        uint256 indexed study,
        uint256 indexed round,
        uint256 indexed index,
        IChallenges.Leaf leaf
    );
    /// @notice An auditor holds that the hospital was left out falsely; at the quorum `Rounds` emits Restored.
    event RestoreVoted(
        uint256 indexed study,
        uint256 indexed round,
        uint256 indexed index,
        address auditor,
        uint256 votes
    );

    /// @notice Thrown when the freeze given is not the one that the hospital committed to.
    error WrongFreeze();
    /// @notice Thrown when a leaf is not under the root.
    error WrongProof();
    /// @notice Thrown when the leaves given prove no fault.
    error NoGround();
    error AlreadyVoided(uint256 index);
    error ChallengesClosed(uint64 challengeEnd);
    error TooManyDemands(uint256 max);
    error DemandExists();
    error NoDemand();
    error TooEarly(uint64 deadline);
    error TooLate(uint64 deadline);
    /// @notice Thrown when the account is not an auditor whom the study names.
    error NotAnAuditor(address account);
    error AlreadyVoted(address auditor);
    /// @notice Thrown when the round is not finalized, or the hospital did not submit to it, is included, was voided in any
    /// round, or was restored already.
    error NotRestorable(uint256 index);

    /// @notice Voids for one leaf: not active at the snapshot, expires before submitBy, of another hospital, study or
    /// purpose, or with an index ≥ n.
    function challengeLeaf(
        IRounds.Freeze calldata freeze,
        Leaf calldata leaf,
        bytes32[] calldata proof
    ) external;

    /// @notice Voids for two different leaves with one index.
    function challengeSplitIndex(
        IRounds.Freeze calldata freeze,
        Leaf calldata a,
        bytes32[] calldata proofA,
        Leaf calldata b,
        bytes32[] calldata proofB
    ) external;

    /// @notice Voids for neighbours, b.index = a.index + 1, whose ids do not increase.
    function challengeOrder(
        IRounds.Freeze calldata freeze,
        Leaf calldata a,
        bytes32[] calldata proofA,
        Leaf calldata b,
        bytes32[] calldata proofB
    ) external;

    /// @notice Demands the leaf at one index < n, for the study's deposit (none for its auditors). The answer window must
    /// end before challengeEnd.
    function demand(IRounds.Freeze calldata freeze, uint256 leafIndex) external;

    /// @notice Answers a demand in time, from anyone; the deposit goes to the hospital.
    function answer(
        IRounds.Freeze calldata freeze,
        Leaf calldata leaf,
        bytes32[] calldata proof
    ) external;

    /// @notice Voids a hospital whose demand ran out; the deposit returns. Anyone, after the deadline and until claimEnd;
    /// later only the deposit returns.
    function expire(IRounds.Freeze calldata freeze, uint256 leafIndex) external;

    /// @notice An auditor of the study votes, once, that the center left out the hospital's update falsely, until
    /// challengeEnd. At the study's auditorQuorum the weight that the hospital froze in that round counts for the `count`
    /// rule, as if it had been included. Shares open after challengeEnd, so none was paid without it.
    function restore(uint256 study, uint256 round, uint256 index) external;

    /// @notice What a challenge of this leaf could raise; `None` for a sound one. Reverts on a wrong freeze or proof.
    function groundOf(
        IRounds.Freeze calldata freeze,
        Leaf calldata leaf,
        bytes32[] calldata proof
    ) external view returns (Ground);

    function demandOf(
        uint256 study,
        uint256 round,
        uint256 index,
        uint256 leafIndex
    ) external view returns (Demand memory);

    /// @notice Unanswered demands against a hospital in a study; its claim and bond wait for them.
    function openDemands(uint256 study, uint256 index) external view returns (uint256);

    /// @notice Why the hospital's update in this round was voided.
    function groundVoided(
        uint256 study,
        uint256 round,
        uint256 index
    ) external view returns (Ground);

    /// @notice How many auditors voted to restore the hospital's weight in this round.
    function restoreVotes(
        uint256 study,
        uint256 round,
        uint256 index
    ) external view returns (uint256);

    function hashLeaf(Leaf calldata leaf) external pure returns (bytes32);
}
