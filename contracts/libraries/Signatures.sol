// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title Signatures of keys and of contracts that act as keys.
library Signatures {
    /// @dev What a contract may burn while it judges a signature. Two multi-signature checks fit well; a hostile contract
    /// costs its own caller this much and no more.
    uint256 internal constant ERC1271_GAS = 200_000;

    /// @notice True where `signer` signed `digest`: by its private key (65 bytes, or 64 as ERC-2098), else by ERC-1271.
    function isValid(
        address signer,
        bytes32 digest,
        bytes calldata signature
    ) internal view returns (bool) {
        address recovered = recover(digest, signature);
        if (recovered != address(0) && recovered == signer) return true;
        return signer.code.length != 0 && _isValidERC1271(signer, digest, signature);
    }

    /// @notice The address that signed, or zero for a signature that is malformed or whose s is in the upper half.
    function recover(
        bytes32 digest,
        bytes calldata signature
    ) internal pure returns (address recovered) {
        if (signature.length != 64) {
            // slither-disable-next-line unused-return: a failed recovery gives key 0
            (recovered, , ) = ECDSA.tryRecoverCalldata(digest, signature);
        } else {
            // slither-disable-next-line unused-return: a failed recovery gives key 0
            (recovered, , ) = ECDSA.tryRecover(
                digest,
                bytes32(signature[:32]),
                bytes32(signature[32:])
            );
        }
    }

    /// @dev Solidity's own staticcall copies all that the callee returns, at the caller's cost: a contract that returns
    /// megabytes would starve the transaction. Here one word is copied, and an answer of another length is none.
    function _isValidERC1271(
        address signer,
        bytes32 digest,
        bytes calldata signature
    ) private view returns (bool valid) {
        bytes memory input = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        assembly ("memory-safe") {
            let success := staticcall(
                ERC1271_GAS,
                signer,
                add(input, 0x20),
                mload(input),
                0x00,
                0x20
            )
            valid := and(success, and(eq(returndatasize(), 0x20), eq(mload(0x00), magic)))
        }
    }
}
