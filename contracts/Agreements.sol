// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IAgreements} from "./interfaces/IAgreements.sol";
import {IStudies} from "./interfaces/IStudies.sol";
import {Signatures} from "./libraries/Signatures.sol";

// slither-disable-start timestamp: a deadline is a block's second, and phases are longer than its freedom

/// @title Agreements: the price, agreed by both.
contract Agreements is IAgreements, EIP712 {
    using SafeCast for uint256;

    /// @dev Who, then what it pays and how long it holds: two slots, of which grants write one.
    struct Stored {
        address hospital;
        uint48 study;
        uint32 maxCount;
        uint96 price;
        uint64 notAfter;
        uint32 admitted;
        Reward reward;
        bool closed;
        bool covers;
        bytes32 terms;
        uint256 purposes;
    }

    bytes32 private constant COUNTER_OFFER_TYPEHASH = keccak256(
        "CounterOffer(uint256 agreement,uint256 price,uint256 purposes,uint64 notAfter,uint64 expiry,bytes32 salt)"
    );
    bytes32 private constant CANCEL_TYPEHASH = keccak256(
        "CancelCounterOffer(bytes32 offer,uint64 deadline)"
    );

    IStudies private immutable _studies;
    address private immutable _consents;

    uint256 private _count;
    mapping(uint256 agreement => Stored tier) private _tiers;
    mapping(uint256 study => mapping(address hospital => uint256 people)) private _admitted;
    /// @dev Under the hash of key and digest: no patient's address stands here, and nobody's mark covers another's offer.
    mapping(bytes32 cancellation => uint64 blockNumber) private _cancelled;

    constructor(IStudies studies, address consents) EIP712("Consilium", "1") {
        _studies = studies;
        // slither-disable-next-line missing-zero-check: deploy.py predicts and verifies the wiring
        _consents = consents;
    }

    /// @inheritdoc IAgreements
    function openTier(
        uint256 study,
        address hospital,
        bytes32 terms,
        uint256 price,
        uint256 purposes,
        uint64 notAfter,
        uint32 maxCount,
        Reward reward
    ) external returns (uint256 agreement) {
        _requireCenter(study);
        IStudies.Terms memory asked = _studies.terms(study);
        if (block.timestamp >= asked.endBy) revert IStudies.StudyEnded(study);
        if (!_studies.isInvited(study, hospital)) revert NotInvited(hospital);
        if (maxCount == 0 || purposes == 0 || notAfter <= block.timestamp) revert EmptyTier();
        agreement = ++_count;
        Stored storage opened = _tiers[agreement];
        (opened.hospital, opened.study, opened.maxCount) = (hospital, study.toUint48(), maxCount);
        (opened.price, opened.notAfter, opened.reward) = (price.toUint96(), notAfter, reward);
        (opened.terms, opened.purposes) = (terms, purposes);
        opened.covers = asked.purposes & ~purposes == 0;
        emit TierOpened(
            agreement,
            study,
            hospital,
            terms,
            price,
            purposes,
            notAfter,
            maxCount,
            reward
        );
    }

    /// @inheritdoc IAgreements
    function closeTier(uint256 agreement) external {
        Stored storage known = _known(agreement);
        _requireCenter(known.study);
        if (known.closed) revert AlreadyClosed(agreement);
        known.closed = true;
        emit TierClosed(agreement);
    }

    /// @inheritdoc IAgreements
    function admit(uint256 agreement, uint32 people) external {
        if (msg.sender != _consents) revert OnlyConsents();
        Stored storage known = _known(agreement);
        known.admitted += people;
        _admitted[known.study][known.hospital] += people;
    }

    /// @inheritdoc IAgreements
    function cancelCounterOffer(
        address key,
        bytes32 offer,
        uint64 deadline,
        bytes calldata signature
    ) external {
        if (block.timestamp > deadline) revert Expired(deadline);
        bytes32 digest = hashCancelCounterOffer(offer, deadline);
        if (!Signatures.isValid(key, digest, signature)) revert BadSignature();
        bytes32 cancellation = _cancellation(key, offer);
        if (_cancelled[cancellation] != 0) revert AlreadyCancelled(offer);
        _cancelled[cancellation] = uint64(block.number);
        emit CounterOfferCancelled(cancellation);
    }

    /// @inheritdoc IAgreements
    function count() external view returns (uint256) {
        return _count;
    }

    /// @inheritdoc IAgreements
    function tier(uint256 agreement) external view returns (Tier memory) {
        Stored storage known = _known(agreement);
        return
            Tier({
                study: known.study,
                hospital: known.hospital,
                terms: known.terms,
                price: known.price,
                purposes: known.purposes,
                notAfter: known.notAfter,
                maxCount: known.maxCount,
                admitted: known.admitted,
                reward: known.reward,
                closed: known.closed,
                covers: known.covers
            });
    }

    /// @inheritdoc IAgreements
    function hospitalOf(uint256 agreement) external view returns (address) {
        return _tiers[agreement].hospital;
    }

    /// @inheritdoc IAgreements
    function admittedTo(uint256 study, address hospital) external view returns (uint256) {
        return _admitted[study][hospital];
    }

    /// @inheritdoc IAgreements
    function hashCounterOffer(CounterOffer calldata offer) external view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(COUNTER_OFFER_TYPEHASH, offer)));
    }

    /// @inheritdoc IAgreements
    function cancelledAt(address key, bytes32 offer) external view returns (uint64) {
        return _cancelled[_cancellation(key, offer)];
    }

    /// @inheritdoc IAgreements
    function hashCancelCounterOffer(bytes32 offer, uint64 deadline) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CANCEL_TYPEHASH, offer, deadline)));
    }

    function _cancellation(address key, bytes32 offer) private pure returns (bytes32) {
        return keccak256(abi.encode(key, offer));
    }

    function _known(uint256 agreement) private view returns (Stored storage known) {
        known = _tiers[agreement];
        if (known.hospital == address(0)) revert UnknownAgreement(agreement);
    }

    function _requireCenter(uint256 study) private view {
        if (msg.sender != _studies.centerOf(study)) revert NotTheCenter(msg.sender);
    }
}

// slither-disable-end timestamp
