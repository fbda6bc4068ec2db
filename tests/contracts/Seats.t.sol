// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Seats} from "../../contracts/libraries/Seats.sol";

/// @title What one hospital's seat holds, no other's shows.
contract SeatsTest {
    using Seats for mapping(uint256 word => uint256 seats);

    mapping(uint256 word => uint256 seats) private _seats;

    function testFuzz_WhoIsInvitedHasASeatAndNobodyElse(uint256 set, uint8 index) external {
        _seats.invite(set);
        assert((_seats.read(index) & Seats.INVITED != 0) == ((set >> index) & 1 != 0));
        assert(_seats.having(set, Seats.INVITED) == set);
        assert(_seats.having(type(uint256).max, Seats.INVITED) == set);
        assert(_seats.having(set, Seats.FROZEN) == 0);
    }

    function testFuzz_AWrittenSeatIsReadBackAndLeavesTheOthers(
        uint256 set,
        uint8 index,
        uint8 other,
        uint32 weight
    ) external {
        _seats.invite(set);
        uint256 before = _seats.read(other);
        uint256 seat = _seats.read(index) | Seats.FROZEN | weight;
        _seats.write(index, seat);
        assert(_seats.read(index) == seat);
        if (other != index) assert(_seats.read(other) == before);
        assert(_seats.having(type(uint256).max, Seats.FROZEN) == uint256(1) << index);
    }
}
