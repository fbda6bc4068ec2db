// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Agreements: the price, agreed by both.
/// @notice An agreement is a tier that the center opens for one hospital of one study. A patient's grant names the tier:
/// both have then signed. A tier can be closed to new grants, never altered.
interface IAgreements {
    enum Reward {
        Tokens,
        Results
    }

    /// @param terms digest of the terms in words, which lie in the store for every member to read.
    /// @param price paid once to each patient, in the study's token.
    /// @param purposes bitmap of DUO purposes that the patient permits.
    /// @param notAfter last second at which a consent under this tier still holds.
    /// @param maxCount people who may be admitted.
    /// @param admitted people who were.
    /// @param covers the study's purposes are among the tier's: its consents can stand in a cohort.
    struct Tier {
        uint256 study;
        address hospital;
        bytes32 terms;
        uint256 price;
        uint256 purposes;
        uint64 notAfter;
        uint32 maxCount;
        uint32 admitted;
        Reward reward;
        bool closed;
        bool covers;
    }

    /// @notice A patient's answer to a tier, signed with the one-time key for it (EIP-712), carried through the API.
    /// @param agreement the tier that it answers.
    /// @param expiry last second at which the center may take it up.
    /// @param salt makes equal counter-offers different.
    struct CounterOffer {
        uint256 agreement;
        uint256 price;
        uint256 purposes;
        uint64 notAfter;
        uint64 expiry;
        bytes32 salt;
    }

    event TierOpened(
        uint256 indexed agreement,
        uint256 indexed study,
        address indexed hospital,
        bytes32 terms,
        uint256 price,
        uint256 purposes,
        uint64 notAfter,
        uint32 maxCount,
        Reward reward
    );
    event TierClosed(uint256 indexed agreement);
    /// @param cancellation keccak256(abi.encode(key, digest of the counter-offer)): whoever holds the counter-offer finds it,
    /// the event tells nobody else whose or which it was. The calldata shows key and digest, and no terms.
    event CounterOfferCancelled(bytes32 indexed cancellation);

    error UnknownAgreement(uint256 agreement);
    /// @notice Thrown when the caller is not the center of the tier's study.
    error NotTheCenter(address account);
    /// @notice Thrown when the caller is not the contract that may call.
    error OnlyConsents();
    /// @notice Thrown when a tier is for a hospital that the study did not invite.
    error NotInvited(address hospital);
    error EmptyTier();
    error AlreadyClosed(uint256 agreement);
    error AlreadyCancelled(bytes32 offer);
    error BadSignature();
    error Expired(uint64 deadline);

    /// @notice Opens a tier. Only the study's center, before endBy, for an invited hospital.
    function openTier(
        uint256 study,
        address hospital,
        bytes32 terms,
        uint256 price,
        uint256 purposes,
        uint64 notAfter,
        uint32 maxCount,
        Reward reward
    ) external returns (uint256 agreement);

    function closeTier(uint256 agreement) external;

    /// @notice Counts people admitted under a tier. Only `Consents`.
    function admit(uint256 agreement, uint32 people) external;

    /// @notice Takes a counter-offer back, for ever. Anyone may send what the key signed (EIP-712, or ERC-1271 of a contract):
    /// `CancelCounterOffer(bytes32 offer,uint64 deadline)`. The terms stay untold, so an offer that nobody saw is burned alike.
    /// @param offer digest of the counter-offer, as `hashCounterOffer` gives it.
    function cancelCounterOffer(
        address key,
        bytes32 offer,
        uint64 deadline,
        bytes calldata signature
    ) external;

    function count() external view returns (uint256);

    function tier(uint256 agreement) external view returns (Tier memory);

    /// @notice The tier's hospital; zero for an agreement that was never opened.
    function hospitalOf(uint256 agreement) external view returns (address);

    /// @notice People whom a hospital admitted to a study, over all its tiers.
    function admittedTo(uint256 study, address hospital) external view returns (uint256);

    /// @notice EIP-712 digest of a counter-offer.
    function hashCounterOffer(CounterOffer calldata offer) external view returns (bytes32);

    /// @notice The block in which the key took its counter-offer back; zero while it did not.
    function cancelledAt(address key, bytes32 offer) external view returns (uint64);

    /// @notice EIP-712 digest of a cancellation.
    function hashCancelCounterOffer(bytes32 offer, uint64 deadline) external view returns (bytes32);
}
