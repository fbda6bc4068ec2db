// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IParticipants} from "./interfaces/IParticipants.sol";

/// @title Who takes part, in which role, and with which keys.
contract Participants is IParticipants, AccessManaged {
    struct Participant {
        Role role;
        bytes32 metadata;
    }

    mapping(address account => Participant participant) private _participants;
    /// @dev In order of fromBlock; of one block's entries the last holds.
    mapping(address account => Keys[] history) private _keys;

    constructor(address authority) AccessManaged(authority) {}

    /// @inheritdoc IParticipants
    function admit(address account, Role role, bytes32 metadata) external restricted {
        bool held = _participants[account].role != Role.None;
        if (held || role == Role.None) revert AlreadyAdmitted(account);
        _participants[account] = Participant(role, metadata);
        emit Admitted(account, role, metadata);
    }

    /// @inheritdoc IParticipants
    function dismiss(address account) external restricted {
        _requireParticipant(account);
        _participants[account].role = Role.None;
        emit Dismissed(account);
    }

    /// @inheritdoc IParticipants
    function setKeys(bytes32 signing, bytes32 encryption) external {
        _requireParticipant(msg.sender);
        if (signing == 0 || encryption == 0) revert EmptyKey();
        _keys[msg.sender].push(Keys(signing, encryption, uint64(block.number)));
        emit KeysSet(msg.sender, signing, encryption);
    }

    /// @inheritdoc IParticipants
    function revokeKeys() external {
        _requireParticipant(msg.sender);
        _keys[msg.sender].push(Keys(0, 0, uint64(block.number)));
        emit KeysRevoked(msg.sender);
    }

    /// @inheritdoc IParticipants
    function describe(bytes32 metadata) external {
        _requireParticipant(msg.sender);
        _participants[msg.sender].metadata = metadata;
        emit Described(msg.sender, metadata);
    }

    /// @inheritdoc IParticipants
    function roleOf(address account) external view returns (Role) {
        return _participants[account].role;
    }

    /// @inheritdoc IParticipants
    function metadataOf(address account) external view returns (bytes32) {
        return _participants[account].metadata;
    }

    /// @inheritdoc IParticipants
    function keysAt(address account, uint64 blockNumber) external view returns (Keys memory keys) {
        Keys[] storage history = _keys[account];
        uint256 low = 0;
        uint256 high = history.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (history[middle].fromBlock > blockNumber) high = middle;
            else low = middle + 1;
        }
        // Nothing of revoked keys is given out: a key of zeros is a point of small order, under which anybody signs.
        if (low != 0 && history[low - 1].signing != 0) keys = history[low - 1];
    }

    function _requireParticipant(address account) private view {
        if (_participants[account].role == Role.None) revert NotAParticipant(account);
    }
}
