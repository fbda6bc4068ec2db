// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Attestations: an auditor's signed verdict. Only records; decides nothing.
interface IAttestations {
    /// @dev What the auditor could check: without a key, or with the key of an auditor whom the study names.
    enum Level {
        None,
        Keyless,
        Keyed
    }

    enum Verdict {
        None,
        Ok,
        Tampered,
        Incomplete
    }

    event Attested(
        uint256 indexed study,
        uint256 indexed round,
        address indexed auditor,
        Level level,
        Verdict verdict,
        bytes32 report
    );

    /// @notice Thrown when the account is no auditor, or claims a level that only an auditor of the study reaches.
    error NotAnAuditor(address account);
    error UnknownRound(uint256 study, uint256 round);
    error EmptyVerdict();

    /// @notice Records a verdict; a later one of the same auditor replaces it in the counts, the event stays.
    /// @param round the last round that was replayed; 0 for the whole study.
    /// @param report sha2-256 of the report, or zero.
    function attest(
        uint256 study,
        uint256 round,
        Level level,
        Verdict verdict,
        bytes32 report
    ) external;

    function verdictOf(
        uint256 study,
        uint256 round,
        address auditor
    ) external view returns (Level level, Verdict verdict, bytes32 report);

    /// @notice How many auditors hold each verdict now.
    function counts(
        uint256 study,
        uint256 round
    ) external view returns (uint256 ok, uint256 tampered, uint256 incomplete);
}
