// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRounds} from "./IRounds.sol";
import {IChallenges} from "./IChallenges.sol";

/// @title Escrow: the study's money. Σclaimed + Σrefunded ≤ Σfunded, always.
/// @notice Patients are paid by the contract, not by the center, each once, against a proof that their consent stands in a
/// frozen cohort. Bonds of voided hospitals go to the patients' pot, never to the center.
interface IEscrow {
    /// @param funded what the center and others put in (without bonds and deposits).
    /// @param setAside for hospitals.
    /// @param reserved prices of all people admitted, paid or not.
    /// @param paidPatients, paidHospitals, refunded what left.
    /// @param pot bonds taken; potPaid what left of it.
    /// @param patients people paid, among whom the pot is shared.
    struct Account {
        address token;
        address center;
        uint256 funded;
        uint256 setAside;
        uint256 reserved;
        uint256 paidPatients;
        uint256 paidHospitals;
        uint256 refunded;
        uint256 pot;
        uint256 potPaid;
        uint256 patients;
    }

    /// @notice The consent and the key behind it, for a claim.
    /// @param key address of the one-time key; nonce of the consent that stands in the cohort.
    struct Claimant {
        address key;
        uint64 nonce;
    }

    event Funded(uint256 indexed study, address indexed from, uint256 amount);
    event Reserved(uint256 indexed study, uint256 amount);
    event PatientPaid(uint256 indexed study, uint256 indexed agreement, bytes32 id, uint256 amount);
    event BonusPaid(uint256 indexed study, uint256 indexed agreement, bytes32 id, uint256 amount);
    event HospitalPaid(
        uint256 indexed study,
        address indexed hospital,
        uint256 index,
        uint256 amount
    );
    event RewardRootPosted(uint256 indexed study, bytes32 root, uint256 total);
    event RewardRootRejected(
        uint256 indexed study,
        address indexed auditor,
        uint256 votes,
        bool rejected
    );
    event Refunded(uint256 indexed study, address indexed center, uint256 amount);
    event BondPosted(uint256 indexed study, address indexed hospital, uint256 amount);
    event BondReturned(uint256 indexed study, address indexed hospital, uint256 amount);
    event BondTaken(uint256 indexed study, address indexed hospital, uint256 amount);
    event DepositTaken(uint256 indexed study, address indexed from, uint256 amount);
    event DepositCredited(uint256 indexed study, address indexed to, uint256 amount);
    event DepositWithdrawn(uint256 indexed study, address indexed account, uint256 amount);

    error OnlyStudies();
    error OnlyConsents();
    error OnlyRounds();
    error OnlyChallenges();
    error NotTheCenter(address account);
    error NotAnAuditor(address account);
    /// @notice Thrown when a token moved another amount than asked (fee on transfer, or false returned).
    error WrongTransfer(uint256 expected, uint256 got);
    error NoMoney(uint256 study, uint256 need, uint256 have);
    error BadSignature();
    error Expired(uint64 deadline);
    error NoRecipient();
    /// @notice Thrown when the leaf of a claim could be challenged.
    error Unsound(IChallenges.Ground ground);
    /// @notice Thrown when the round has not (yet) come to pay its patients, or the hospital did not submit.
    error RoundDoesNotPay(uint256 study, uint256 round);
    error WrongKey();
    error AlreadyPaid();
    error TooEarly(uint64 from);
    error TooLate(uint64 until);
    error WrongRule();
    error RootPosted(uint256 study);
    error RootTooLarge(uint256 total, uint256 setAside);
    error NoRoot(uint256 study);
    error AlreadyVoted(address auditor);
    error DemandOpen(uint256 index);
    error VoidedHospital(uint256 index);
    error NothingToPay();

    /// @notice Adds money to a study; anyone, before endBy.
    function fund(uint256 study, uint256 amount) external;

    /// @notice Opens the account of a study. Only `Studies`.
    function openAccount(
        uint256 study,
        address center,
        address token,
        uint256 setAside,
        uint256 funding
    ) external;

    /// @notice Takes a hospital's bond. Only `Studies`.
    function postBond(uint256 study, address hospital, uint256 amount) external;

    /// @notice Moves a voided hospital's bond to the patients' pot. Only `Rounds`.
    function takeBond(uint256 study, address hospital) external;

    /// @notice Returns an unvoided hospital's bond, from challengeEnd on. Anyone; it goes to the hospital.
    function returnBond(uint256 study, address hospital) external;

    /// @notice Reserves prices of people just admitted. Only `Consents`.
    function reserve(uint256 study, uint256 amount) external;

    /// @notice Takes the deposit of a demand. Only `Challenges`.
    function takeDeposit(uint256 study, address from, uint256 amount) external;

    /// @notice Credits a deposit to whom it is due. Only `Challenges`.
    /// @dev A transfer here could fail by the receiver's doing, and a demand that can be neither answered nor expired
    /// would void an honest hospital, or hold its claim for ever.
    function payDeposit(uint256 study, address to, uint256 amount) external;

    /// @notice Pays an account the deposits credited to it. Anyone; it goes to the account.
    function withdrawDeposit(uint256 study, address account) external;

    /// @notice The key itself claims its tier's price, from the round's end to claimEnd.
    function claim(
        IRounds.Freeze calldata freeze,
        IChallenges.Leaf calldata leaf,
        bytes32[] calldata proof,
        uint64 nonce,
        address recipient
    ) external;

    /// @notice The same with the key's signature of `Claim(bytes32 id,address recipient,uint64 deadline)`, sent by anyone.
    function claimBySig(
        IRounds.Freeze calldata freeze,
        IChallenges.Leaf calldata leaf,
        bytes32[] calldata proof,
        Claimant calldata claimant,
        address recipient,
        uint64 deadline,
        bytes calldata signature
    ) external;

    /// @notice A paid person's equal share of the patients' pot, between claimEnd and refundAt, with the key's signature of
    /// `ClaimBonus(bytes32 id,address recipient,uint64 deadline)`, id that of nonce 0. What nobody claims of the pot, or
    /// does not divide, stays in the contract for ever: it never goes to the center, who would gain by a void.
    function claimBonus(
        address key,
        uint256 agreement,
        address recipient,
        uint64 deadline,
        bytes calldata signature
    ) external;

    /// @notice Contribution rule: the center posts the root of the hospitals' shares, until settleBy.
    /// @dev Leaf: keccak256(bytes.concat(keccak256(abi.encode(study, index, amount)))); total ≤ setAside.
    function postRewardRoot(uint256 study, bytes32 root, uint256 total) external;

    /// @notice An auditor of the study votes against the root, until challengeEnd; at the quorum `count` holds.
    function rejectRewardRoot(uint256 study) external;

    /// @notice Pays a hospital by the `count` rule, from challengeEnd to claimEnd. Anyone; it goes to the hospital.
    function claimHospital(uint256 study, uint256 index) external;

    /// @notice Pays a hospital by the posted, unrejected root.
    function claimHospitalByRoot(
        uint256 study,
        uint256 index,
        uint256 amount,
        bytes32[] calldata proof
    ) external;

    /// @notice Returns to the center what is unreserved (after endBy), and all that nobody claimed (from refundAt on).
    function refund(uint256 study) external;

    // slither-disable-next-line shadowing-local: parameters of an interface, which has no bodies to confuse
    function account(uint256 study) external view returns (Account memory);

    /// @notice funded − setAside − reserved − refunded, before refundAt.
    function unreserved(uint256 study) external view returns (uint256);

    function bondOf(uint256 study, address hospital) external view returns (uint256);

    /// @notice Deposits credited to an account and not yet withdrawn.
    function depositOf(uint256 study, address account) external view returns (uint256);

    function rewardRoot(
        uint256 study
    ) external view returns (bytes32 root, uint256 total, uint256 votes, bool rejected);

    function hospitalPaid(uint256 study, uint256 index) external view returns (bool);

    /// @notice What the `count` rule pays: largest remainder, ties by index; 0 for a voided hospital.
    function shareOf(uint256 study, uint256 index) external view returns (uint256);

    function hashClaim(
        bytes32 id,
        address recipient,
        uint64 deadline
    ) external view returns (bytes32);

    function hashClaimBonus(
        bytes32 id,
        address recipient,
        uint64 deadline
    ) external view returns (bytes32);
}
