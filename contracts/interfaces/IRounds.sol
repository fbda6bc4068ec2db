// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Rounds: open → freeze → submit → (closeSubmit → unmask) → finalize.
/// @notice One live round a study at a time, counted from 1. Every time in a judgement comes from storage.
interface IRounds {
    /// @notice A hospital's commitment to its cohort. Only its digest, bound to the hospital's account, is stored.
    /// @param hospital the hospital's index in the study.
    /// @param snapshot past block at whose end consents are looked at; snapshotHash its hash.
    /// @param root Merkle root over the leaves of the cohort.
    /// @param n number of leaves; weight ≤ n is the aggregation weight and the count that pays.
    /// @param leafList sha2-256 of the published list of leaves (a CID's digest).
    /// @param roundKeys zero in open mode; masked: sha2-256 of the published keys and encrypted shares.
    struct Freeze {
        uint256 study;
        uint256 round;
        uint256 hospital;
        uint64 snapshot;
        bytes32 snapshotHash;
        bytes32 root;
        uint32 n;
        uint32 weight;
        bytes32 leafList;
        bytes32 roundKeys;
    }

    /// @param parent round whose finalized state this one starts from; 0: the study's own.
    /// @param reached k submissions stood unvoided at one time.
    /// @param lapsed ran past finalizeBy unfinalized, and its weights are counted.
    /// @param contaminated a hospital that was included was voided after finalize.
    /// @param enrolled who takes part: all who stood when it opened, or those of them who were drawn.
    /// @param survivors masked mode: written once by closeSubmit.
    struct Round {
        uint64 freezeBy;
        uint64 submitBy;
        uint64 unmaskBy;
        uint64 finalizeBy;
        uint64 openBlock;
        uint16 parent;
        bool reached;
        bool closed;
        bool finalized;
        bool lapsed;
        bool aborted;
        bool contaminated;
        uint256 enrolled;
        uint256 frozen;
        uint256 submitted;
        uint256 voided;
        uint256 included;
        uint256 survivors;
        uint256 unmasked;
        bytes32 startState;
        bytes32 state;
        bytes32 inputs;
        bytes32 manifest;
    }

    /// @param digest keccak256(abi.encode(keccak256(abi.encode(freeze)), hospital)) with its lowest two bits cleared, hospital
    /// the account that froze; zero where not frozen.
    struct Cohort {
        bytes32 digest;
        uint32 weight;
    }

    event RoundOpened(
        uint256 indexed study,
        uint256 indexed round,
        uint256 parent,
        bytes32 state,
        uint256 enrolled
    );
    /// @notice With RoundOpened, where hospitals are drawn: those that it was drawn from.
    event Drawn(uint256 indexed study, uint256 indexed round, uint256 pool);
    event Frozen(
        uint256 indexed study,
        uint256 indexed round,
        address indexed hospital,
        Freeze freeze
    );
    event Submitted(
        uint256 indexed study,
        uint256 indexed round,
        address indexed hospital,
        uint256 index,
        bytes32 manifest,
        bytes32 commitment
    );
    event SubmitClosed(uint256 indexed study, uint256 indexed round, uint256 survivors);
    event Unmasked(
        uint256 indexed study,
        uint256 indexed round,
        address indexed hospital,
        bytes32 shares
    );
    event Finalized(
        uint256 indexed study,
        uint256 indexed round,
        uint256 included,
        bytes32 inputs,
        bytes32 state,
        bytes32 manifest
    );
    event Lapsed(uint256 indexed study, uint256 indexed round);
    event Aborted(uint256 indexed study, uint256 indexed round);
    event Voided(uint256 indexed study, uint256 indexed round, uint256 index, bool contaminated);
    /// @notice A quorum of the study's auditors found that the hospital was left out falsely; its weight counts.
    event Restored(
        uint256 indexed study,
        uint256 indexed round,
        uint256 indexed index,
        uint256 weight
    );

    error UnknownRound(uint256 study, uint256 round);
    error NotTheCenter(address account);
    error RoundLive(uint256 study, uint256 round);
    error TooManyRounds(uint256 study);
    /// @notice Thrown when a round would end after the study, or fewer hospitals are enrolled than it needs.
    error RoundTooLate(uint64 finalizeBy, uint64 endBy);
    error TooFewHospitals(uint256 have, uint256 need);
    /// @notice Thrown when hospitals enrolled, left or were voided since the draw; draw again.
    error OtherHospitals(uint256 pool, uint256 standing);
    /// @notice Thrown when a hospital is drawn that is not in the pool.
    error NotInPool(uint256 drawn, uint256 pool);
    error WrongState(bytes32 given, bytes32 expected);
    /// @notice Thrown when the caller is not the hospital at that index, or was not enrolled when the round opened.
    error NotInRound(address hospital);
    /// @notice Thrown when a verb is called outside of its phase.
    error WrongPhase(uint256 study, uint256 round);
    error AlreadyDone(address hospital);
    /// @notice Thrown when the snapshot is before the round opened, not past, older than 256 blocks, or its hash differs.
    error BadSnapshot(uint64 snapshot);
    /// @notice Thrown when n = 0, weight = 0, weight > n or weight > maxWeight, or roundKeys do not fit the mode.
    error BadCohort();
    error VoidedHospital(uint256 index);
    error EmptyDigest();
    error TooFewSubmissions(uint256 have, uint256 need);
    /// @notice Thrown when `included` names a hospital that did not submit, or was voided.
    error BadIncluded(uint256 included, uint256 allowed);
    error OnlyChallenges();

    /// @notice Opens the next round from the parent's finalized state. Only the center; the previous round must be over.
    /// It is for every hospital that is enrolled and was never voided.
    function open(uint256 study, uint256 parent, bytes32 state) external returns (uint256 round);

    /// @notice As `open`, for the drawn hospitals alone. The study's spec fixes the draw, and whoever reads the chain
    /// repeats it: the contract holds what it was drawn from, so that nobody can enrol or leave in between unseen.
    /// @param pool every hospital that is enrolled and was never voided; drawn those of them that take part.
    function openDrawn(
        uint256 study,
        uint256 parent,
        bytes32 state,
        uint256 pool,
        uint256 drawn
    ) external returns (uint256 round);

    /// @notice Ends a round that nobody submitted to yet, so that the next can open. Only the center.
    function abort(uint256 study, uint256 round) external;

    /// @notice Commits to a cohort, until freezeBy. Only a hospital enrolled when the round opened.
    function freeze(Freeze calldata commitment) external;

    /// @notice Records an update, after its own freeze (masked: after freezing ended), until submitBy.
    /// @param manifest sha2-256 of the artefact's manifest; commitment the salted commitment of its plaintext.
    function submit(uint256 study, uint256 round, bytes32 manifest, bytes32 commitment) external;

    /// @notice Masked mode: writes the survivors once. Anyone, under finalize's condition, until unmaskBy.
    function closeSubmit(uint256 study, uint256 round) external;

    /// @notice Masked mode: a survivor records the digest of its shares, until unmaskBy.
    function unmask(uint256 study, uint256 round, bytes32 shares) external;

    /// @notice Binds the inputs, one state digest and the round manifest. Only the center, until finalizeBy, when freezing
    /// ended and every unvoided frozen hospital has submitted or submitBy is past.
    /// @dev inputs = keccak256(abi.encode(study, round, included, submission digests of included in order of index)).
    function finalize(
        uint256 study,
        uint256 round,
        uint256 included,
        bytes32 state,
        bytes32 manifest
    ) external;

    /// @notice Counts the weights of a round that ran past finalizeBy unfinalized with k submissions. Anyone.
    function lapse(uint256 study, uint256 round) external;

    /// @notice Takes a hospital's update out of the round, or flags the round where it is too late. Only `Challenges`.
    /// Cancels the hospital's whole share and bars it from rounds opened later.
    function voidUpdate(uint256 study, uint256 round, uint256 index) external;

    /// @notice Counts the frozen weight of a hospital that the center left out falsely. Only `Challenges`, which asks
    /// `restorable` first. The model, the inputs and every state stay what finalize bound.
    function restoreWeight(uint256 study, uint256 round, uint256 index) external;

    function count(uint256 study) external view returns (uint256);

    // slither-disable-next-line shadowing-local: parameters of an interface, which has no bodies to confuse
    function round(uint256 study, uint256 number) external view returns (Round memory);

    /// @notice The deadlines alone: one slot, for those who judge many leaves of a round.
    function deadlines(
        uint256 study,
        uint256 round
    ) external view returns (uint64 freezeBy, uint64 submitBy, uint64 unmaskBy, uint64 finalizeBy);

    function cohort(
        uint256 study,
        uint256 round,
        uint256 index
    ) external view returns (Cohort memory);

    /// @notice The digest of a cohort whose patients can claim, and the round's submitBy; digest zero where the hospital did
    /// not submit or the round does not (yet) pay.
    function payableCohort(
        uint256 study,
        uint256 round,
        uint256 index
    ) external view returns (bytes32 digest, uint64 submitBy);

    /// @notice keccak256(abi.encode(manifest, commitment)); zero where not submitted.
    function submissionDigest(
        uint256 study,
        uint256 round,
        uint256 index
    ) external view returns (bytes32);

    /// @notice Over now: finalized, aborted, or past finalizeBy.
    function isOver(uint256 study, uint256 round) external view returns (bool);

    /// @notice Patients of its cohorts can claim: k submissions were reached, and finalized or past finalizeBy.
    function pays(uint256 study, uint256 round) external view returns (bool);

    /// @notice Hospitals that submitted to a finalized round, were left out of it, were not restored in it, and were voided
    /// in no round: those whose weight auditors can restore.
    function restorable(uint256 study, uint256 round) external view returns (uint256 mask);

    /// @notice Hospitals whose weight in this round counts because auditors restored it.
    function restored(uint256 study, uint256 round) external view returns (uint256 mask);

    /// @notice Weight that the `count` rule pays to the hospital (0 once voided), and the total over all hospitals, which a
    /// void after counting does not change.
    function countedWeight(
        uint256 study,
        uint256 index
    ) external view returns (uint256 weight, uint256 total);

    /// @notice The weights as counted, voided or not: what the largest-remainder split divides by.
    function countedWeights(
        uint256 study
    ) external view returns (uint256[] memory weights, uint256 total);

    /// @notice Hospitals voided in any round.
    function barred(uint256 study) external view returns (uint256 mask);

    function hashFreeze(Freeze calldata commitment) external pure returns (bytes32);
}
