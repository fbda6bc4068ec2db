// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEscrow} from "./interfaces/IEscrow.sol";
import {IParticipants} from "./interfaces/IParticipants.sol";
import {IStudies} from "./interfaces/IStudies.sol";

/// @title Studies: the request of a research center, its terms, its hospitals.
contract Studies is IStudies {
    /// @dev `indexPlusOne` is 0 for a hospital that never enrolled.
    struct Place {
        bool invited;
        uint16 indexPlusOne;
    }

    struct Study {
        address center;
        Terms terms;
        address[] auditors;
        mapping(address account => bool named) isAuditor;
        uint256 enrolled;
        address[] hospitals;
        mapping(address hospital => Place place) places;
    }

    uint256 private constant MAX_AUDITORS = 16;
    uint256 private constant MAX_HOSPITALS = 256;
    uint256 private constant MAX_ROUNDS = 256;

    IParticipants private immutable _participants;
    IEscrow private immutable _escrow;

    uint256 private _count;
    mapping(uint256 study => Study stored) private _studies;

    constructor(IParticipants participants, IEscrow escrow) {
        _participants = participants;
        _escrow = escrow;
    }

    /// @inheritdoc IStudies
    function open(
        Terms calldata terms_,
        address[] calldata auditors,
        uint256 funding
    ) external returns (uint256 study) {
        _requireRole(msg.sender, IParticipants.Role.Center);
        _checkDigests(terms_);
        _checkTimes(terms_);
        _checkCounts(terms_);
        _checkMode(terms_);
        _checkAuditing(terms_, auditors.length);
        _check(terms_.hospitalPool <= funding, "hospitalPool <= funding");
        study = ++_count;
        Study storage stored = _studies[study];
        stored.center = msg.sender;
        stored.terms = terms_;
        _nameAuditors(stored, auditors);
        emit StudyOpened(study, msg.sender, terms_.spec, terms_, auditors);
        _escrow.openAccount(study, msg.sender, terms_.token, terms_.hospitalPool, funding);
    }

    /// @inheritdoc IStudies
    function invite(uint256 study, address hospital) external {
        Study storage stored = _known(study);
        if (msg.sender != stored.center) revert NotTheCenter(msg.sender);
        _requireRunning(study, stored);
        _requireRole(hospital, IParticipants.Role.Hospital);
        if (stored.places[hospital].invited) return;
        stored.places[hospital].invited = true;
        emit Invited(study, hospital);
    }

    /// @inheritdoc IStudies
    function enrol(uint256 study, bytes32 spec) external returns (uint256 index) {
        Study storage stored = _known(study);
        _requireRole(msg.sender, IParticipants.Role.Hospital);
        _requireRunning(study, stored);
        _requireInvited(stored);
        if (spec != stored.terms.spec) revert WrongSpec(spec, stored.terms.spec);
        index = stored.hospitals.length;
        if (index == stored.terms.maxHospitals) revert StudyFull(study);
        stored.hospitals.push(msg.sender);
        stored.places[msg.sender].indexPlusOne = uint16(index + 1);
        stored.enrolled |= 1 << index;
        emit Enrolled(study, msg.sender, index);
        _escrow.postBond(study, msg.sender, stored.terms.bond);
    }

    /// @inheritdoc IStudies
    function quit(uint256 study) external {
        Study storage stored = _known(study);
        uint256 index = _indexOf(stored, msg.sender);
        uint256 bit = 1 << index;
        if (stored.enrolled & bit == 0) revert NotEnrolled(msg.sender);
        stored.enrolled &= ~bit;
        emit Left(study, msg.sender, index);
    }

    /// @inheritdoc IStudies
    function isInvited(uint256 study, address hospital) external view returns (bool) {
        return _studies[study].places[hospital].invited;
    }

    /// @inheritdoc IStudies
    function count() external view returns (uint256) {
        return _count;
    }

    /// @inheritdoc IStudies
    function terms(uint256 study) external view returns (Terms memory) {
        return _known(study).terms;
    }

    /// @inheritdoc IStudies
    function centerOf(uint256 study) external view returns (address) {
        return _known(study).center;
    }

    /// @inheritdoc IStudies
    function auditorsOf(uint256 study) external view returns (address[] memory) {
        return _known(study).auditors;
    }

    /// @inheritdoc IStudies
    function isAuditor(uint256 study, address account) external view returns (bool) {
        return _studies[study].isAuditor[account];
    }

    /// @inheritdoc IStudies
    function enrolled(uint256 study) external view returns (uint256 mask) {
        return _known(study).enrolled;
    }

    /// @inheritdoc IStudies
    function hospitalCount(uint256 study) external view returns (uint256) {
        return _known(study).hospitals.length;
    }

    /// @inheritdoc IStudies
    function hospitalAt(uint256 study, uint256 index) external view returns (address) {
        address[] storage hospitals = _known(study).hospitals;
        if (index >= hospitals.length) revert NotEnrolled(address(0));
        return hospitals[index];
    }

    /// @inheritdoc IStudies
    function indexOf(uint256 study, address hospital) external view returns (uint256) {
        // A study that was never opened has no hospitals: for those who have a place one slot tells both.
        uint256 indexPlusOne = _studies[study].places[hospital].indexPlusOne;
        return indexPlusOne == 0 ? _indexOf(_known(study), hospital) : indexPlusOne - 1;
    }

    function _nameAuditors(Study storage stored, address[] calldata auditors) private {
        for (uint256 i = 0; i < auditors.length; ++i) {
            address auditor = auditors[i];
            _requireRole(auditor, IParticipants.Role.Auditor);
            _check(!stored.isAuditor[auditor], "no auditor twice");
            stored.isAuditor[auditor] = true;
        }
        stored.auditors = auditors;
    }

    function _known(uint256 study) private view returns (Study storage stored) {
        stored = _studies[study];
        if (stored.center == address(0)) revert UnknownStudy(study);
    }

    function _indexOf(Study storage stored, address hospital) private view returns (uint256) {
        uint256 indexPlusOne = stored.places[hospital].indexPlusOne;
        if (indexPlusOne == 0) revert NotEnrolled(hospital);
        return indexPlusOne - 1;
    }

    function _requireInvited(Study storage stored) private view {
        Place memory place = stored.places[msg.sender];
        if (!place.invited) revert NotInvited(msg.sender);
        if (place.indexPlusOne != 0) revert AlreadyEnrolled(msg.sender);
    }

    function _requireRunning(uint256 study, Study storage stored) private view {
        // slither-disable-next-line timestamp: a deadline is a block's second, and phases are longer than its freedom
        if (block.timestamp >= stored.terms.endBy) revert StudyEnded(study);
    }

    function _requireRole(address account, IParticipants.Role role) private view {
        if (_participants.roleOf(account) != role) revert WrongRole(account);
    }

    function _checkTimes(Terms calldata t) private view {
        // slither-disable-next-line timestamp: a deadline is a block's second, and phases are longer than its freedom
        _check(block.timestamp < t.endBy, "now < endBy");
        _check(t.endBy < t.settleBy, "endBy < settleBy");
        _check(t.settleBy < t.challengeEnd, "settleBy < challengeEnd");
        _check(t.challengeEnd < t.claimEnd, "challengeEnd < claimEnd");
        _check(t.claimEnd < t.refundAt, "claimEnd < refundAt");
        _check(t.freezePeriod != 0, "freezePeriod > 0");
        _check(t.submitPeriod != 0, "submitPeriod > 0");
        _check(t.finalizePeriod != 0, "finalizePeriod > 0");
        _check(t.answerPeriod != 0, "answerPeriod > 0");
        // A cohort of the very last round can be asked about too.
        _check(
            uint256(t.endBy) + t.answerPeriod < t.challengeEnd,
            "endBy + answerPeriod < challengeEnd"
        );
    }

    function _checkDigests(Terms calldata t) private pure {
        _check(t.spec != 0, "spec is not zero");
        _check(t.state != 0, "state is not zero");
        _check(t.purposes != 0, "purposes are not empty");
        _check(t.token != address(0), "token is not zero");
    }

    function _checkCounts(Terms calldata t) private pure {
        _check(t.minHospitals != 0, "1 <= minHospitals");
        _check(t.minHospitals <= t.maxHospitals, "minHospitals <= maxHospitals");
        _check(t.maxHospitals <= MAX_HOSPITALS, "maxHospitals <= 256");
        _check(t.maxRounds != 0 && t.maxRounds <= MAX_ROUNDS, "1 <= maxRounds <= 256");
        _check(t.maxWeight != 0, "maxWeight > 0");
        _check(t.maxPatients != 0, "maxPatients > 0");
        _check(t.maxDemands != 0, "maxDemands > 0");
    }

    function _checkMode(Terms calldata t) private pure {
        _check(t.masked == (t.unmaskPeriod != 0), "unmaskPeriod = 0 exactly in open mode");
        if (!t.masked) {
            _check(t.threshold == 0, "open mode: threshold = 0");
            return;
        }
        _check(t.minHospitals >= 3, "masked mode: minHospitals >= 3");
        _check(
            2 * uint256(t.threshold) > t.maxHospitals,
            "masked mode: 2 threshold > maxHospitals"
        );
        _check(t.minHospitals >= t.threshold, "masked mode: minHospitals >= threshold");
    }

    function _checkAuditing(Terms calldata t, uint256 auditors) private pure {
        _check(auditors <= MAX_AUDITORS, "auditors <= 16");
        if (t.rule == RewardRule.Count) return;
        _check(auditors != 0, "contribution rule: at least one auditor");
        _check(t.auditorQuorum != 0, "contribution rule: auditorQuorum > 0");
        _check(t.auditorQuorum <= auditors, "contribution rule: auditorQuorum <= auditors");
    }

    function _check(bool holds, string memory rule) private pure {
        if (!holds) revert BadTerms(rule);
    }
}
