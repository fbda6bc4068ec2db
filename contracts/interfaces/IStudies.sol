// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Studies: the request of a research center, its terms, its hospitals.
/// @notice A center requests a model by opening a study with an escrowed budget. Hospitals that it invites approve the
/// spec by its digest and enrol. At most 256 hospitals a study, each a bit.
interface IStudies {
    enum RewardRule {
        Count,
        Contribution
    }

    /// @param spec sha2-256 of the study spec's canonical bytes.
    /// @param state digest of the state that the first round starts from.
    /// @param purposes bitmap of GA4GH DUO purposes that the study needs.
    /// @param token ERC-20 token in which everything is paid.
    /// @param hospitalPool set aside for the hospitals when the study opens.
    /// @param bond what each hospital posts at enrolment.
    /// @param demandDeposit what a demand for a leaf costs who is no auditor of the study.
    /// @param endBy no round finalizes later (seconds, as every time here).
    /// @param settleBy until then the center may post a reward root.
    /// @param challengeEnd until then updates can be voided and a root rejected; hospitals' claims open.
    /// @param claimEnd claims end.
    /// @param refundAt what nobody claimed returns to the center from here on; evidence may be erased.
    /// @param freezePeriod, submitPeriod, unmaskPeriod, finalizePeriod lengths of a round's phases; unmaskPeriod is 0
    /// exactly in open mode.
    /// @param answerPeriod how long a hospital has to answer a demand.
    /// @param maxWeight largest aggregation weight of one hospital.
    /// @param maxPatients cap on consents that one hospital may admit to the study.
    /// @param minHospitals k: submissions that a round needs.
    /// @param maxRounds at most 256.
    /// @param threshold masked mode: shares needed to unmask; 0 in open mode.
    /// @param maxDemands demands that may be open or answered per hospital and round: as many of the
    /// study's auditors, and as many of all others.
    /// @param auditorQuorum auditors who together reject a reward root, or restore a hospital's weight.
    struct Terms {
        bytes32 spec;
        bytes32 state;
        uint256 purposes;
        address token;
        uint256 hospitalPool;
        uint256 bond;
        uint256 demandDeposit;
        uint64 endBy;
        uint64 settleBy;
        uint64 challengeEnd;
        uint64 claimEnd;
        uint64 refundAt;
        uint32 freezePeriod;
        uint32 submitPeriod;
        uint32 unmaskPeriod;
        uint32 finalizePeriod;
        uint32 answerPeriod;
        uint32 maxWeight;
        uint32 maxPatients;
        uint16 minHospitals;
        uint16 maxHospitals;
        uint16 maxRounds;
        uint16 threshold;
        uint16 maxDemands;
        uint8 auditorQuorum;
        bool masked;
        RewardRule rule;
    }

    event StudyOpened(
        uint256 indexed study,
        address indexed center,
        bytes32 spec,
        Terms terms,
        address[] auditors
    );
    event Invited(uint256 indexed study, address indexed hospital);
    event Enrolled(uint256 indexed study, address indexed hospital, uint256 index);
    event Left(uint256 indexed study, address indexed hospital, uint256 index);

    /// @notice Thrown when a study with this number was never opened.
    error UnknownStudy(uint256 study);
    /// @notice Thrown when the caller does not hold the role that the call needs.
    error WrongRole(address account);
    /// @notice Thrown when the caller is not the study's center.
    error NotTheCenter(address account);
    /// @notice Thrown when terms contradict each other; `rule` names the one that failed.
    error BadTerms(string rule);
    /// @notice Thrown when a hospital approves another digest than the study's.
    error WrongSpec(bytes32 given, bytes32 expected);
    error NotInvited(address hospital);
    error AlreadyEnrolled(address hospital);
    error NotEnrolled(address hospital);
    error StudyFull(uint256 study);
    error StudyEnded(uint256 study);

    /// @notice Opens a study and moves `funding` from the caller into escrow. Only a center.
    /// @dev Requires now < endBy < settleBy < challengeEnd < claimEnd < refundAt, 1 ≤ minHospitals ≤ maxHospitals ≤ 256,
    /// hospitalPool ≤ funding; masked: minHospitals ≥ 3, 2·threshold > maxHospitals, minHospitals ≥ threshold; the
    /// contribution rule needs at least one auditor and 1 ≤ auditorQuorum ≤ auditors. At most 16 auditors, no one twice.
    /// endBy + answerPeriod < challengeEnd, so that the last round can be asked about; spec, state, purposes, token, the
    /// periods that the mode has, maxWeight, maxPatients, maxRounds and maxDemands are not zero. Studies count from 1.
    function open(
        Terms calldata terms,
        address[] calldata auditors,
        uint256 funding
    ) external returns (uint256 study);

    /// @notice Lets a hospital enrol. Only the study's center.
    function invite(uint256 study, address hospital) external;

    /// @notice Approves the spec by digest, posts the bond, takes the next index. Only an invited hospital, before endBy.
    function enrol(uint256 study, bytes32 spec) external returns (uint256 index);

    /// @notice Takes part in no round opened from now on. The index is never given again; the bond stays.
    function quit(uint256 study) external;

    function isInvited(uint256 study, address hospital) external view returns (bool);

    function count() external view returns (uint256);

    // slither-disable-next-line shadowing-local: parameters of an interface, which has no bodies to confuse
    function terms(uint256 study) external view returns (Terms memory);

    function centerOf(uint256 study) external view returns (address);

    function auditorsOf(uint256 study) external view returns (address[] memory);

    function isAuditor(uint256 study, address account) external view returns (bool);

    /// @notice One bit per hospital that takes part in rounds opened from now on.
    function enrolled(uint256 study) external view returns (uint256 mask);

    /// @notice How many indices were given.
    function hospitalCount(uint256 study) external view returns (uint256);

    function hospitalAt(uint256 study, uint256 index) external view returns (address);

    /// @notice Reverts with `NotEnrolled` for a hospital that never enrolled; one that left keeps its index.
    function indexOf(uint256 study, address hospital) external view returns (uint256);
}
