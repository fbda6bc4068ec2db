// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreements} from "./interfaces/IAgreements.sol";
import {IChallenges} from "./interfaces/IChallenges.sol";
import {IConsents} from "./interfaces/IConsents.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IRounds} from "./interfaces/IRounds.sol";
import {IStudies} from "./interfaces/IStudies.sol";
import {Bits} from "./libraries/Bits.sol";
import {Cohorts} from "./libraries/Cohorts.sol";
import {Leaves} from "./libraries/Leaves.sol";

// slither-disable-start timestamp: a deadline is a block's second, and phases are longer than its freedom

/// @title Challenges
contract Challenges is IChallenges {
    using Bits for uint256;

    /// @dev The votes of the study's auditors to restore one hospital's weight in one round.
    struct Ballot {
        uint256 votes;
        mapping(address auditor => bool voted) voted;
    }

    IStudies private immutable _studies;
    IAgreements private immutable _agreements;
    IConsents private immutable _consents;
    IRounds private immutable _rounds;
    IEscrow private immutable _escrow;

    mapping(uint256 study => mapping(uint256 round => mapping(uint256 index => Ground ground)))
        private _grounds;
    mapping(uint256 study => mapping(uint256 round => mapping(uint256 index => mapping(uint256 leaf => Demand demand))))
        private _demands;
    mapping(uint256 study => mapping(uint256 round => mapping(uint256 index => uint256 demands)))
        private _demandCounts;
    /// @dev Apart from everybody else's: a hospital that demands its own leaves cannot use up what auditors may ask.
    mapping(uint256 study => mapping(uint256 round => mapping(uint256 index => uint256 demands)))
        private _auditorDemandCounts;
    mapping(uint256 study => mapping(uint256 index => uint256 demands)) private _openDemands;
    mapping(uint256 study => mapping(uint256 round => mapping(uint256 index => Ballot ballot)))
        private _ballots;

    constructor(
        IStudies studies,
        IAgreements agreements,
        IConsents consents,
        IRounds rounds,
        IEscrow escrow
    ) {
        _studies = studies;
        _agreements = agreements;
        _consents = consents;
        _rounds = rounds;
        _escrow = escrow;
    }

    // ---------------------------------------------------------------- faults that leaves prove

    /// @inheritdoc IChallenges
    function challengeLeaf(
        IRounds.Freeze calldata freeze,
        Leaf calldata leaf,
        bytes32[] calldata proof
    ) external {
        _checkChallengeable(freeze);
        Ground ground = groundOf(freeze, leaf, proof);
        if (ground == Ground.None) revert NoGround();
        _void(freeze, ground);
    }

    /// @inheritdoc IChallenges
    function challengeSplitIndex(
        IRounds.Freeze calldata freeze,
        Leaf calldata a,
        bytes32[] calldata proofA,
        Leaf calldata b,
        bytes32[] calldata proofB
    ) external {
        _checkChallengeable(freeze);
        _checkLeaves(freeze, a, proofA, b, proofB);
        if (a.index != b.index || Leaves.hash(a) == Leaves.hash(b)) revert NoGround();
        _void(freeze, Ground.SplitIndex);
    }

    /// @inheritdoc IChallenges
    function challengeOrder(
        IRounds.Freeze calldata freeze,
        Leaf calldata a,
        bytes32[] calldata proofA,
        Leaf calldata b,
        bytes32[] calldata proofB
    ) external {
        _checkChallengeable(freeze);
        _checkLeaves(freeze, a, proofA, b, proofB);
        if (b.index == 0 || b.index - 1 != a.index || b.id > a.id) revert NoGround();
        _void(freeze, Ground.Order);
    }

    // ---------------------------------------------------------------- demands

    /// @inheritdoc IChallenges
    function demand(IRounds.Freeze calldata freeze, uint256 leafIndex) external {
        _checkFreeze(freeze);
        _checkUnvoided(freeze);
        if (leafIndex >= freeze.n) revert NoGround();
        IStudies.Terms memory terms = _studies.terms(freeze.study);
        uint64 deadline = uint64(block.timestamp) + terms.answerPeriod;
        if (deadline >= terms.challengeEnd) revert ChallengesClosed(terms.challengeEnd);
        bool byAuditor = _studies.isAuditor(freeze.study, msg.sender);
        _countDemand(byAuditor ? _auditorDemandCounts : _demandCounts, freeze, terms.maxDemands);
        uint256 deposit = byAuditor ? 0 : terms.demandDeposit;
        _write(freeze, leafIndex, Demand(msg.sender, deadline, deposit, false));
        emit Demanded(freeze.study, freeze.round, freeze.hospital, leafIndex, deadline);
        if (deposit != 0) _escrow.takeDeposit(freeze.study, msg.sender, deposit);
    }

    /// @inheritdoc IChallenges
    function answer(
        IRounds.Freeze calldata freeze,
        Leaf calldata leaf,
        bytes32[] calldata proof
    ) external {
        _checkFreeze(freeze);
        Demand storage asked = _openDemand(freeze, leaf.index);
        if (block.timestamp > asked.deadline) revert TooLate(asked.deadline);
        _checkProof(freeze, leaf, proof);
        _close(freeze, asked);
        emit Answered(freeze.study, freeze.round, freeze.hospital, leaf);
        _payDeposit(
            freeze.study,
            _studies.hospitalAt(freeze.study, freeze.hospital),
            asked.deposit
        );
    }

    /// @inheritdoc IChallenges
    function expire(IRounds.Freeze calldata freeze, uint256 leafIndex) external {
        _checkFreeze(freeze);
        Demand storage asked = _openDemand(freeze, leafIndex);
        if (block.timestamp <= asked.deadline) revert TooEarly(asked.deadline);
        _close(freeze, asked);
        bool inTime = block.timestamp <= _studies.terms(freeze.study).claimEnd;
        if (inTime && _groundVoided(freeze) == Ground.None) _void(freeze, Ground.NoAnswer);
        _payDeposit(freeze.study, asked.demander, asked.deposit);
    }

    // ---------------------------------------------------------------- exclusions that were false

    /// @inheritdoc IChallenges
    function restore(uint256 study, uint256 round, uint256 index) external {
        if (!_studies.isAuditor(study, msg.sender)) revert NotAnAuditor(msg.sender);
        IStudies.Terms memory terms = _studies.terms(study);
        if (block.timestamp > terms.challengeEnd) revert ChallengesClosed(terms.challengeEnd);
        if (!_rounds.restorable(study, round).has(index)) revert NotRestorable(index);
        Ballot storage ballot = _ballots[study][round][index];
        if (ballot.voted[msg.sender]) revert AlreadyVoted(msg.sender);
        ballot.voted[msg.sender] = true;
        uint256 votes = ++ballot.votes;
        emit RestoreVoted(study, round, index, msg.sender, votes);
        if (votes >= terms.auditorQuorum) _rounds.restoreWeight(study, round, index);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IChallenges
    function groundOf(
        IRounds.Freeze calldata freeze,
        Leaf calldata leaf,
        bytes32[] calldata proof
    ) public view returns (Ground) {
        _checkFreeze(freeze);
        _checkProof(freeze, leaf, proof);
        if (leaf.index >= freeze.n) return Ground.OutOfRange;
        IConsents.Consent memory consent = _consents.consent(leaf.id);
        // The state at the end of the snapshot's block: a later revocation counts from the next round.
        bool granted = consent.from != 0 && consent.from <= freeze.snapshot;
        if (!granted || (consent.revoked != 0 && consent.revoked <= freeze.snapshot))
            return Ground.Inactive;
        return _groundOfTier(freeze, _agreements.tier(consent.agreement));
    }

    /// @inheritdoc IChallenges
    function demandOf(
        uint256 study,
        uint256 round,
        uint256 index,
        uint256 leafIndex
    ) external view returns (Demand memory) {
        return _demands[study][round][index][leafIndex];
    }

    /// @inheritdoc IChallenges
    function openDemands(uint256 study, uint256 index) external view returns (uint256) {
        return _openDemands[study][index];
    }

    /// @inheritdoc IChallenges
    function groundVoided(
        uint256 study,
        uint256 round,
        uint256 index
    ) external view returns (Ground) {
        return _grounds[study][round][index];
    }

    /// @inheritdoc IChallenges
    function restoreVotes(
        uint256 study,
        uint256 round,
        uint256 index
    ) external view returns (uint256) {
        return _ballots[study][round][index].votes;
    }

    /// @inheritdoc IChallenges
    function hashLeaf(Leaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    // ---------------------------------------------------------------- judging

    function _groundOfTier(
        IRounds.Freeze calldata freeze,
        IAgreements.Tier memory tier
    ) private view returns (Ground) {
        // slither-disable-next-line unused-return: of a round's four times this one alone is judged by
        (, uint64 submitBy, , ) = _rounds.deadlines(freeze.study, freeze.round);
        if (tier.notAfter < submitBy) return Ground.Expires;
        if (tier.study != freeze.study) return Ground.WrongStudy;
        if (tier.hospital != _studies.hospitalAt(freeze.study, freeze.hospital))
            return Ground.WrongHospital;
        return tier.covers ? Ground.None : Ground.WrongPurpose;
    }

    function _checkChallengeable(IRounds.Freeze calldata freeze) private view {
        uint64 challengeEnd = _studies.terms(freeze.study).challengeEnd;
        if (block.timestamp > challengeEnd) revert ChallengesClosed(challengeEnd);
        _checkFreeze(freeze);
        _checkUnvoided(freeze);
    }

    function _checkFreeze(IRounds.Freeze calldata freeze) private view {
        bytes32 committed = _rounds.cohort(freeze.study, freeze.round, freeze.hospital).digest;
        if (committed == 0) revert WrongFreeze();
        address hospital = _studies.hospitalAt(freeze.study, freeze.hospital);
        if (Cohorts.bind(Cohorts.hash(freeze), hospital) != committed) revert WrongFreeze();
    }

    function _checkUnvoided(IRounds.Freeze calldata freeze) private view {
        if (_groundVoided(freeze) != Ground.None) revert AlreadyVoided(freeze.hospital);
    }

    function _checkLeaves(
        IRounds.Freeze calldata freeze,
        Leaf calldata a,
        bytes32[] calldata proofA,
        Leaf calldata b,
        bytes32[] calldata proofB
    ) private pure {
        _checkProof(freeze, a, proofA);
        _checkProof(freeze, b, proofB);
    }

    function _checkProof(
        IRounds.Freeze calldata freeze,
        Leaf calldata leaf,
        bytes32[] calldata proof
    ) private pure {
        if (!Leaves.isUnder(leaf, freeze.root, proof)) revert WrongProof();
    }

    function _groundVoided(IRounds.Freeze calldata freeze) private view returns (Ground) {
        return _grounds[freeze.study][freeze.round][freeze.hospital];
    }

    function _void(IRounds.Freeze calldata freeze, Ground ground) private {
        _grounds[freeze.study][freeze.round][freeze.hospital] = ground;
        emit Challenged(freeze.study, freeze.round, freeze.hospital, ground);
        _rounds.voidUpdate(freeze.study, freeze.round, freeze.hospital);
    }

    // ---------------------------------------------------------------- keeping demands

    function _countDemand(
        mapping(uint256 => mapping(uint256 => mapping(uint256 => uint256))) storage counts,
        IRounds.Freeze calldata freeze,
        uint256 max
    ) private {
        uint256 demands = counts[freeze.study][freeze.round][freeze.hospital];
        if (demands >= max) revert TooManyDemands(max);
        counts[freeze.study][freeze.round][freeze.hospital] = demands + 1;
        ++_openDemands[freeze.study][freeze.hospital];
    }

    function _write(
        IRounds.Freeze calldata freeze,
        uint256 leafIndex,
        Demand memory asked
    ) private {
        Demand storage slot = _demands[freeze.study][freeze.round][freeze.hospital][leafIndex];
        if (slot.demander != address(0)) revert DemandExists();
        (slot.demander, slot.deadline, slot.deposit) = (
            asked.demander,
            asked.deadline,
            asked.deposit
        );
    }

    function _openDemand(
        IRounds.Freeze calldata freeze,
        uint256 leafIndex
    ) private view returns (Demand storage asked) {
        asked = _demands[freeze.study][freeze.round][freeze.hospital][leafIndex];
        if (asked.demander == address(0) || asked.closed) revert NoDemand();
    }

    function _close(IRounds.Freeze calldata freeze, Demand storage asked) private {
        asked.closed = true;
        --_openDemands[freeze.study][freeze.hospital];
    }

    function _payDeposit(uint256 study, address to, uint256 deposit) private {
        if (deposit != 0) _escrow.payDeposit(study, to, deposit);
    }
}

// slither-disable-end timestamp
