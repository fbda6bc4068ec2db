// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IAgreements} from "./interfaces/IAgreements.sol";
import {IStudies} from "./interfaces/IStudies.sol";

/// @title Agreements: the price, agreed by both.
contract Agreements is IAgreements, EIP712 {
    bytes32 private constant COUNTER_OFFER_TYPEHASH = keccak256(
        "CounterOffer(uint256 agreement,uint256 price,uint256 purposes,uint64 notAfter,uint64 expiry,bytes32 salt)"
    );

    IStudies private immutable _studies;
    address private immutable _consents;

    uint256 private _count;
    mapping(uint256 agreement => Tier tier) private _tiers;
    mapping(uint256 study => mapping(address hospital => uint256 people)) private _admitted;

    constructor(IStudies studies, address consents) EIP712("Consilium", "1") {
        _studies = studies;
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
        if (block.timestamp >= _studies.terms(study).endBy) revert IStudies.StudyEnded(study);
        if (!_studies.isInvited(study, hospital)) revert NotInvited(hospital);
        if (maxCount == 0 || purposes == 0 || notAfter <= block.timestamp) revert EmptyTier();
        agreement = ++_count;
        Tier storage opened = _tiers[agreement];
        opened.study = study;
        opened.hospital = hospital;
        opened.terms = terms;
        opened.price = price;
        opened.purposes = purposes;
        opened.notAfter = notAfter;
        opened.maxCount = maxCount;
        opened.reward = reward;
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
        Tier storage known = _known(agreement);
        _requireCenter(known.study);
        if (known.closed) revert AlreadyClosed(agreement);
        known.closed = true;
        emit TierClosed(agreement);
    }

    /// @inheritdoc IAgreements
    function admit(uint256 agreement, uint32 people) external {
        if (msg.sender != _consents) revert OnlyConsents();
        Tier storage known = _known(agreement);
        known.admitted += people;
        _admitted[known.study][known.hospital] += people;
    }

    /// @inheritdoc IAgreements
    function count() external view returns (uint256) {
        return _count;
    }

    /// @inheritdoc IAgreements
    function tier(uint256 agreement) external view returns (Tier memory) {
        return _known(agreement);
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

    function _known(uint256 agreement) private view returns (Tier storage known) {
        known = _tiers[agreement];
        if (known.hospital == address(0)) revert UnknownAgreement(agreement);
    }

    function _requireCenter(uint256 study) private view {
        if (msg.sender != _studies.centerOf(study)) revert NotTheCenter(msg.sender);
    }
}
