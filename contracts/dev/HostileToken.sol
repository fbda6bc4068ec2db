// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that turns against who holds it, for tests.
contract HostileToken is ERC20 {
    /// @dev Honest, keeps a unit of what it moves, answers false, moves nothing and answers true, calls back while it
    /// moves, or refuses one receiver.
    enum Mode {
        Honest,
        Fee,
        False,
        Nothing,
        Callback,
        Block
    }

    Mode public mode;
    address public target;
    bytes public callbackData;

    /// @notice What the last callback came to: the answer, or the error's bytes.
    bool public callbackSucceeded;
    bytes public callbackResult;

    error Blocked(address receiver);

    constructor() ERC20("Consilium Hostile Token", "EVIL") {}

    /// @notice Gives an account new tokens.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Chooses how the next transfers go wrong; `target_` is called back, or blocked.
    function turn(Mode mode_, address target_, bytes calldata data) external {
        (mode, target, callbackData) = (mode_, target_, data);
        delete callbackSucceeded;
        delete callbackResult;
    }

    /// @inheritdoc ERC20
    function transfer(address to, uint256 amount) public override returns (bool) {
        return _move(msg.sender, to, amount);
    }

    /// @inheritdoc ERC20
    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _spendAllowance(from, msg.sender, amount);
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (mode == Mode.False) return false;
        if (mode == Mode.Nothing) return true;
        if (mode == Mode.Block && to == target) revert Blocked(to);
        if (mode == Mode.Callback) _callBack();
        _transfer(from, to, mode == Mode.Fee ? amount - 1 : amount);
        return true;
    }

    function _callBack() private {
        Mode before = mode;
        mode = Mode.Honest;
        // solhint-disable-next-line avoid-low-level-calls
        (bool succeeded, bytes memory result) = target.call(callbackData);
        (callbackSucceeded, callbackResult) = (succeeded, result);
        mode = before;
    }
}
