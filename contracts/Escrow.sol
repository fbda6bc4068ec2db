// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IAgreements} from "./interfaces/IAgreements.sol";
import {IChallenges} from "./interfaces/IChallenges.sol";
import {IConsents} from "./interfaces/IConsents.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IRounds} from "./interfaces/IRounds.sol";
import {IStudies} from "./interfaces/IStudies.sol";
import {Bits} from "./libraries/Bits.sol";
import {Cohorts} from "./libraries/Cohorts.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {Shares} from "./libraries/Shares.sol";
import {Signatures} from "./libraries/Signatures.sol";

// slither-disable-start timestamp: a deadline is a block's second, and phases are longer than its freedom

/// @title Escrow
contract Escrow is IEscrow, EIP712, ReentrancyGuardTransient {
    using Bits for uint256;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev What a claim touches stands in two slots: one that it reads, one that it writes.
    struct Ledger {
        address token;
        uint64 claimEnd;
        uint112 funded;
        uint112 paidPatients;
        uint32 patients;
        address center;
        uint256 setAside;
        uint256 reserved;
        uint256 paidHospitals;
        uint256 refunded;
        uint256 pot;
        uint256 potPaid;
    }

    /// @dev A center's statement of the hospitals' shares, and the auditors who voted against it.
    struct RewardRoot {
        bytes32 root;
        uint256 total;
        uint256 votes;
        bool rejected;
        mapping(address auditor => bool voted) voted;
    }

    bytes32 private constant CLAIM_TYPEHASH = keccak256(
        "Claim(bytes32 id,address recipient,uint64 deadline)"
    );
    bytes32 private constant BONUS_TYPEHASH = keccak256(
        "ClaimBonus(bytes32 id,address recipient,uint64 deadline)"
    );

    IStudies private immutable _studies;
    IAgreements private immutable _agreements;
    IConsents private immutable _consents;
    IRounds private immutable _rounds;
    IChallenges private immutable _challenges;

    mapping(uint256 study => Ledger ledger) private _accounts;
    mapping(uint256 study => mapping(address hospital => uint256 amount)) private _bonds;
    mapping(uint256 study => mapping(address account => uint256 amount)) private _deposits;
    // slither-disable-next-line uninitialized-state: a mapping, which postRewardRoot writes by a pointer
    mapping(uint256 study => RewardRoot root) private _roots;
    mapping(uint256 study => uint256 mask) private _hospitalsPaid;

    constructor(
        IStudies studies,
        IAgreements agreements,
        IConsents consents,
        IRounds rounds,
        IChallenges challenges
    ) EIP712("Consilium", "1") {
        _studies = studies;
        _agreements = agreements;
        _consents = consents;
        _rounds = rounds;
        _challenges = challenges;
    }

    // ---------------------------------------------------------------- money in

    /// @inheritdoc IEscrow
    function fund(uint256 study, uint256 amount) external nonReentrant {
        uint64 endBy = _studies.terms(study).endBy;
        if (block.timestamp >= endBy) revert TooLate(endBy);
        if (amount == 0) revert NothingToPay();
        _accounts[study].funded = (_accounts[study].funded + amount).toUint112();
        emit Funded(study, msg.sender, amount);
        _pull(study, msg.sender, amount);
    }

    /// @inheritdoc IEscrow
    function openAccount(
        uint256 study,
        address center,
        address token,
        uint256 setAside,
        uint256 funding
    ) external nonReentrant {
        if (msg.sender != address(_studies)) revert OnlyStudies();
        if (setAside > funding) revert NoMoney(study, setAside, funding);
        Ledger storage account_ = _accounts[study];
        (account_.token, account_.claimEnd) = (token, _studies.terms(study).claimEnd);
        (account_.center, account_.setAside) = (center, setAside);
        account_.funded = funding.toUint112();
        emit Funded(study, center, funding);
        _pull(study, center, funding);
    }

    /// @inheritdoc IEscrow
    function postBond(uint256 study, address hospital, uint256 amount) external nonReentrant {
        if (msg.sender != address(_studies)) revert OnlyStudies();
        _bonds[study][hospital] += amount;
        emit BondPosted(study, hospital, amount);
        _pull(study, hospital, amount);
    }

    /// @inheritdoc IEscrow
    function takeDeposit(uint256 study, address from, uint256 amount) external nonReentrant {
        if (msg.sender != address(_challenges)) revert OnlyChallenges();
        emit DepositTaken(study, from, amount);
        _pull(study, from, amount);
    }

    // ---------------------------------------------------------------- money that changes its purpose

    /// @inheritdoc IEscrow
    function takeBond(uint256 study, address hospital) external {
        if (msg.sender != address(_rounds)) revert OnlyRounds();
        uint256 amount = _bonds[study][hospital];
        if (amount == 0) return;
        _bonds[study][hospital] = 0;
        _accounts[study].pot += amount;
        emit BondTaken(study, hospital, amount);
    }

    /// @inheritdoc IEscrow
    function reserve(uint256 study, uint256 amount) external {
        if (msg.sender != address(_consents)) revert OnlyConsents();
        uint256 have = unreserved(study);
        if (amount > have) revert NoMoney(study, amount, have);
        _accounts[study].reserved += amount;
        emit Reserved(study, amount);
    }

    /// @inheritdoc IEscrow
    function payDeposit(uint256 study, address to, uint256 amount) external {
        if (msg.sender != address(_challenges)) revert OnlyChallenges();
        _deposits[study][to] += amount;
        emit DepositCredited(study, to, amount);
    }

    // ---------------------------------------------------------------- patients

    /// @inheritdoc IEscrow
    function claim(
        IRounds.Freeze calldata freeze,
        IChallenges.Leaf calldata leaf,
        bytes32[] calldata proof,
        uint64 nonce,
        address recipient
    ) external nonReentrant {
        _payPatient(freeze, leaf, proof, msg.sender, nonce, recipient);
    }

    /// @inheritdoc IEscrow
    function claimBySig(
        IRounds.Freeze calldata freeze,
        IChallenges.Leaf calldata leaf,
        bytes32[] calldata proof,
        Claimant calldata claimant,
        address recipient,
        uint64 deadline,
        bytes calldata signature
    ) external nonReentrant {
        _checkSignature(claimant.key, hashClaim(leaf.id, recipient, deadline), deadline, signature);
        _payPatient(freeze, leaf, proof, claimant.key, claimant.nonce, recipient);
    }

    /// @inheritdoc IEscrow
    function claimBonus(
        address key,
        uint256 agreement,
        address recipient,
        uint64 deadline,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 id = _consents.idOf(key, agreement, 0);
        _checkSignature(key, hashClaimBonus(id, recipient, deadline), deadline, signature);
        if (recipient == address(0)) revert NoRecipient();
        uint256 study = _agreements.tier(agreement).study;
        _checkBonusTime(study);
        if (!_consents.consent(id).paid) revert NothingToPay();
        if (!_consents.markBonusPaid(key, agreement)) revert AlreadyPaid();
        uint256 amount = _takeBonus(study);
        emit BonusPaid(study, agreement, id, amount);
        _push(study, recipient, amount);
    }

    // ---------------------------------------------------------------- hospitals

    /// @inheritdoc IEscrow
    function postRewardRoot(uint256 study, bytes32 root, uint256 total) external {
        if (msg.sender != _accounts[study].center) revert NotTheCenter(msg.sender);
        IStudies.Terms memory terms = _studies.terms(study);
        if (terms.rule != IStudies.RewardRule.Contribution) revert WrongRule();
        if (block.timestamp > terms.settleBy) revert TooLate(terms.settleBy);
        RewardRoot storage posted = _roots[study];
        if (posted.root != 0) revert RootPosted(study);
        if (root == 0) revert NoRoot(study);
        if (total > _accounts[study].setAside)
            revert RootTooLarge(total, _accounts[study].setAside);
        (posted.root, posted.total) = (root, total);
        emit RewardRootPosted(study, root, total);
    }

    /// @inheritdoc IEscrow
    function rejectRewardRoot(uint256 study) external {
        if (!_studies.isAuditor(study, msg.sender)) revert NotAnAuditor(msg.sender);
        IStudies.Terms memory terms = _studies.terms(study);
        RewardRoot storage posted = _roots[study];
        if (posted.root == 0) revert NoRoot(study);
        if (block.timestamp > terms.challengeEnd) revert TooLate(terms.challengeEnd);
        if (posted.voted[msg.sender]) revert AlreadyVoted(msg.sender);
        posted.voted[msg.sender] = true;
        uint256 votes = ++posted.votes;
        if (votes >= terms.auditorQuorum) posted.rejected = true;
        emit RewardRootRejected(study, msg.sender, votes, posted.rejected);
    }

    /// @inheritdoc IEscrow
    function claimHospital(uint256 study, uint256 index) external nonReentrant {
        _checkHospital(study, index);
        if (_rootHolds(study)) revert WrongRule();
        // slither-disable-next-line reentrancy-benign,reentrancy-no-eth: behind nonReentrant; Rounds is our own and calls none
        _lapseLast(study);
        _payHospital(study, index, shareOf(study, index));
    }

    /// @inheritdoc IEscrow
    function claimHospitalByRoot(
        uint256 study,
        uint256 index,
        uint256 amount,
        bytes32[] calldata proof
    ) external nonReentrant {
        _checkHospital(study, index);
        if (!_rootHolds(study)) revert NoRoot(study);
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(study, index, amount))));
        if (!MerkleProof.verifyCalldata(proof, _roots[study].root, leaf))
            revert IChallenges.WrongProof();
        uint256 have = _roots[study].total - _accounts[study].paidHospitals;
        if (amount > have) revert NoMoney(study, amount, have);
        _payHospital(study, index, amount);
    }

    /// @inheritdoc IEscrow
    function returnBond(uint256 study, address hospital) external nonReentrant {
        _checkHospitalTime(study, _studies.indexOf(study, hospital));
        uint256 amount = _bonds[study][hospital];
        if (amount == 0) revert NothingToPay();
        _bonds[study][hospital] = 0;
        emit BondReturned(study, hospital, amount);
        _push(study, hospital, amount);
    }

    /// @inheritdoc IEscrow
    function withdrawDeposit(uint256 study, address account_) external nonReentrant {
        uint256 amount = _deposits[study][account_];
        if (amount == 0) revert NothingToPay();
        _deposits[study][account_] = 0;
        emit DepositWithdrawn(study, account_, amount);
        _push(study, account_, amount);
    }

    // ---------------------------------------------------------------- refund

    /// @inheritdoc IEscrow
    function refund(uint256 study) external nonReentrant {
        IStudies.Terms memory terms = _studies.terms(study);
        if (block.timestamp <= terms.endBy) revert TooEarly(terms.endBy);
        uint256 amount = block.timestamp < terms.refundAt ? unreserved(study) : _unclaimed(study);
        if (amount == 0) revert NothingToPay();
        Ledger storage account_ = _accounts[study];
        account_.refunded += amount;
        emit Refunded(study, account_.center, amount);
        _push(study, account_.center, amount);
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IEscrow
    function account(uint256 study) external view returns (Account memory) {
        Ledger storage kept = _accounts[study];
        return
            Account({
                token: kept.token,
                center: kept.center,
                funded: kept.funded,
                setAside: kept.setAside,
                reserved: kept.reserved,
                paidPatients: kept.paidPatients,
                paidHospitals: kept.paidHospitals,
                refunded: kept.refunded,
                pot: kept.pot,
                potPaid: kept.potPaid,
                patients: kept.patients
            });
    }

    /// @inheritdoc IEscrow
    function unreserved(uint256 study) public view returns (uint256) {
        Ledger storage account_ = _accounts[study];
        uint256 bound = account_.setAside + account_.reserved + account_.refunded;
        return account_.funded > bound ? account_.funded - bound : 0;
    }

    /// @inheritdoc IEscrow
    function bondOf(uint256 study, address hospital) external view returns (uint256) {
        return _bonds[study][hospital];
    }

    /// @inheritdoc IEscrow
    function depositOf(uint256 study, address account_) external view returns (uint256) {
        return _deposits[study][account_];
    }

    /// @inheritdoc IEscrow
    function rewardRoot(
        uint256 study
    ) external view returns (bytes32 root, uint256 total, uint256 votes, bool rejected) {
        RewardRoot storage posted = _roots[study];
        return (posted.root, posted.total, posted.votes, posted.rejected);
    }

    /// @inheritdoc IEscrow
    function hospitalPaid(uint256 study, uint256 index) external view returns (bool) {
        return _hospitalsPaid[study].has(index);
    }

    /// @inheritdoc IEscrow
    function shareOf(uint256 study, uint256 index) public view returns (uint256) {
        if (_rounds.barred(study).has(index)) return 0;
        (uint256[] memory weights, uint256 total) = _rounds.countedWeights(study);
        return Shares.largestRemainder(_accounts[study].setAside, weights, total, index);
    }

    /// @inheritdoc IEscrow
    function hashClaim(
        bytes32 id,
        address recipient,
        uint64 deadline
    ) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CLAIM_TYPEHASH, id, recipient, deadline)));
    }

    /// @inheritdoc IEscrow
    function hashClaimBonus(
        bytes32 id,
        address recipient,
        uint64 deadline
    ) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(BONUS_TYPEHASH, id, recipient, deadline)));
    }

    // ---------------------------------------------------------------- paying patients

    /// @dev Whether the hospital was voided for another leaf does not matter; whether this leaf is sound does. A consent
    /// revoked after the snapshot is paid all the same: a signed price always is.
    function _payPatient(
        IRounds.Freeze calldata freeze,
        IChallenges.Leaf calldata leaf,
        bytes32[] calldata proof,
        address key,
        uint64 nonce,
        address recipient
    ) private {
        Ledger storage account_ = _accounts[freeze.study];
        if (block.timestamp > account_.claimEnd) revert TooLate(account_.claimEnd);
        (bytes32 committed, uint64 submitBy) = _rounds.payableCohort(
            freeze.study,
            freeze.round,
            freeze.hospital
        );
        if (committed == 0) revert RoundDoesNotPay(freeze.study, freeze.round);
        IConsents.Payment memory payment = _consents.pay(leaf.id, key, nonce, freeze.snapshot);
        bool sound =
            payment.active &&
                payment.notAfter >= submitBy &&
                payment.study == freeze.study &&
                payment.covers &&
                Cohorts.bind(Cohorts.hash(freeze), payment.hospital) == committed &&
                leaf.index < freeze.n &&
                Leaves.isUnder(leaf, freeze.root, proof);
        if (!sound) revert Unsound(_challenges.groundOf(freeze, leaf, proof));
        if (recipient == address(0)) revert NoRecipient();
        if (!payment.owned) revert WrongKey();
        if (payment.price == 0) revert NothingToPay();
        if (!payment.due) revert AlreadyPaid();
        // A price that was reserved is part of what was funded, which 112 bits hold.
        (account_.paidPatients, account_.patients) = (
            account_.paidPatients + uint112(payment.price),
            account_.patients + 1
        );
        // slither-disable-next-line reentrancy-events: Consents is our own and calls none
        emit PatientPaid(freeze.study, payment.agreement, leaf.id, payment.price);
        _push(freeze.study, recipient, payment.price);
    }

    function _checkSignature(
        address key,
        bytes32 digest,
        uint64 deadline,
        bytes calldata signature
    ) private view {
        if (block.timestamp > deadline) revert Expired(deadline);
        if (!Signatures.isValid(key, digest, signature)) revert BadSignature();
    }

    function _checkBonusTime(uint256 study) private view {
        IStudies.Terms memory terms = _studies.terms(study);
        // From here on nobody more is paid or voided: pot and number of patients are final.
        if (block.timestamp <= terms.claimEnd) revert TooEarly(terms.claimEnd);
        if (block.timestamp >= terms.refundAt) revert TooLate(terms.refundAt);
    }

    function _takeBonus(uint256 study) private returns (uint256 amount) {
        Ledger storage account_ = _accounts[study];
        amount = account_.pot / account_.patients;
        if (amount == 0) revert NothingToPay();
        account_.potPaid += amount;
    }

    // ---------------------------------------------------------------- paying hospitals

    function _checkHospital(uint256 study, uint256 index) private view {
        uint64 claimEnd = _studies.terms(study).claimEnd;
        if (block.timestamp > claimEnd) revert TooLate(claimEnd);
        _checkHospitalTime(study, index);
        if (_hospitalsPaid[study].has(index)) revert AlreadyPaid();
    }

    /// @dev Strictly after challengeEnd, the last second at which a challenge counts.
    function _checkHospitalTime(uint256 study, uint256 index) private view {
        uint64 challengeEnd = _studies.terms(study).challengeEnd;
        if (block.timestamp <= challengeEnd) revert TooEarly(challengeEnd);
        if (_rounds.barred(study).has(index)) revert VoidedHospital(index);
        if (_challenges.openDemands(study, index) != 0) revert DemandOpen(index);
    }

    /// @dev Only the last round can still wait to be counted: opening one counts the one before it.
    function _lapseLast(uint256 study) private {
        uint256 last = _rounds.count(study);
        if (last == 0) return;
        IRounds.Round memory round = _rounds.round(study, last);
        if (!round.finalized && !round.aborted && !round.lapsed) _rounds.lapse(study, last);
    }

    function _rootHolds(uint256 study) private view returns (bool) {
        return _roots[study].root != 0 && !_roots[study].rejected;
    }

    function _payHospital(uint256 study, uint256 index, uint256 amount) private {
        if (amount == 0) revert NothingToPay();
        address hospital = _studies.hospitalAt(study, index);
        _hospitalsPaid[study] |= Bits.bit(index);
        _accounts[study].paidHospitals += amount;
        emit HospitalPaid(study, hospital, index, amount);
        _push(study, hospital, amount);
    }

    // ---------------------------------------------------------------- moving tokens

    function _unclaimed(uint256 study) private view returns (uint256) {
        Ledger storage account_ = _accounts[study];
        return account_.funded - account_.paidPatients - account_.paidHospitals - account_.refunded;
    }

    /// @dev Studies may share a token: what one study did not receive, another would pay.
    function _pull(uint256 study, address from, uint256 amount) private {
        if (amount == 0) return;
        IERC20 token = IERC20(_accounts[study].token);
        uint256 before = token.balanceOf(address(this));
        // slither-disable-next-line arbitrary-send-erc20: from is the sender, or whom our own contracts name
        token.safeTransferFrom(from, address(this), amount);
        uint256 got = token.balanceOf(address(this)) - before;
        if (got != amount) revert WrongTransfer(amount, got);
    }

    function _push(uint256 study, address to, uint256 amount) private {
        IERC20 token = IERC20(_accounts[study].token);
        uint256 before = token.balanceOf(address(this));
        token.safeTransfer(to, amount);
        uint256 sent = before - token.balanceOf(address(this));
        if (sent != amount) revert WrongTransfer(amount, sent);
    }
}

// slither-disable-end timestamp
