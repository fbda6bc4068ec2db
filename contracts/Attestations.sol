// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAttestations} from "./interfaces/IAttestations.sol";
import {IParticipants} from "./interfaces/IParticipants.sol";
import {IRounds} from "./interfaces/IRounds.sol";
import {IStudies} from "./interfaces/IStudies.sol";

/// @title Attestations: an auditor's signed verdict. Only records; decides nothing.
contract Attestations is IAttestations {
    struct Attestation {
        Level level;
        Verdict verdict;
        bytes32 report;
    }

    struct Tally {
        mapping(address auditor => Attestation attestation) latest;
        mapping(Verdict verdict => uint256 auditors) counts;
    }

    IParticipants private immutable _participants;
    IStudies private immutable _studies;
    IRounds private immutable _rounds;

    mapping(uint256 study => mapping(uint256 round => Tally tally)) private _tallies;

    constructor(IParticipants participants, IStudies studies, IRounds rounds) {
        _participants = participants;
        _studies = studies;
        _rounds = rounds;
    }

    /// @inheritdoc IAttestations
    function attest(
        uint256 study,
        uint256 round,
        Level level,
        Verdict verdict,
        bytes32 report
    ) external {
        _requireRound(study, round);
        _requireAuditor(study, level);
        if (level == Level.None || verdict == Verdict.None) revert EmptyVerdict();
        Tally storage tally = _tallies[study][round];
        Verdict before = tally.latest[msg.sender].verdict;
        if (before != Verdict.None) --tally.counts[before];
        ++tally.counts[verdict];
        tally.latest[msg.sender] = Attestation(level, verdict, report);
        emit Attested(study, round, msg.sender, level, verdict, report);
    }

    /// @inheritdoc IAttestations
    function verdictOf(
        uint256 study,
        uint256 round,
        address auditor
    ) external view returns (Level level, Verdict verdict, bytes32 report) {
        Attestation storage latest = _tallies[study][round].latest[auditor];
        return (latest.level, latest.verdict, latest.report);
    }

    /// @inheritdoc IAttestations
    function counts(
        uint256 study,
        uint256 round
    ) external view returns (uint256 ok, uint256 tampered, uint256 incomplete) {
        Tally storage tally = _tallies[study][round];
        ok = tally.counts[Verdict.Ok];
        tampered = tally.counts[Verdict.Tampered];
        incomplete = tally.counts[Verdict.Incomplete];
    }

    /// @dev `centerOf` reverts for a study that was never opened.
    function _requireRound(uint256 study, uint256 round) private view {
        // slither-disable-next-line unused-return: it reverts for a study that is none, which is what is asked
        _studies.centerOf(study);
        if (round != 0 && round > _rounds.count(study)) revert UnknownRound(study, round);
    }

    function _requireAuditor(uint256 study, Level level) private view {
        bool auditor = _participants.roleOf(msg.sender) == IParticipants.Role.Auditor;
        bool reaches = level != Level.Keyed || _studies.isAuditor(study, msg.sender);
        if (!auditor || !reaches) revert NotAnAuditor(msg.sender);
    }
}
