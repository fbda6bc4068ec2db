// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A round's seats, four to a word: who may freeze, who froze, and with which weight.
/// @dev One seat has 64 bits: weight 32, then the flags. One slot answers "in the round?", "done already?" and "barred?", and
/// takes the weight.
library Seats {
    uint256 internal constant INVITED = 1 << 32;
    uint256 internal constant FROZEN = 1 << 33;
    uint256 internal constant BARRED = 1 << 34;

    uint256 private constant A_WORD = 4;
    uint256 private constant BITS = 64;
    uint256 private constant SEAT = (1 << BITS) - 1;
    /// @dev The lowest bit of each seat of a word.
    uint256 private constant EACH = 1 | (1 << 64) | (1 << 128) | (1 << 192);

    /// @notice Gives every hospital of the set an empty seat.
    function invite(mapping(uint256 word => uint256 seats) storage words, uint256 set) internal {
        for (uint256 word = 0; set != 0; (set, word) = (set >> A_WORD, word + 1)) {
            uint256 seats = 0;
            for (uint256 place = 0; place < A_WORD; ++place)
                if ((set >> place) & 1 != 0) seats |= INVITED << (BITS * place);
            if (seats != 0) words[word] = seats;
        }
    }

    function read(
        mapping(uint256 word => uint256 seats) storage words,
        uint256 index
    ) internal view returns (uint256 seat) {
        return (words[index / A_WORD] >> (BITS * (index % A_WORD))) & SEAT;
    }

    function write(
        mapping(uint256 word => uint256 seats) storage words,
        uint256 index,
        uint256 seat
    ) internal {
        uint256 shift = BITS * (index % A_WORD);
        uint256 others = words[index / A_WORD] & ~(SEAT << shift);
        words[index / A_WORD] = others | (seat << shift);
    }

    /// @notice The hospitals of `set` whose seats have the flag, one bit each.
    function having(
        mapping(uint256 word => uint256 seats) storage words,
        uint256 set,
        uint256 flag
    ) internal view returns (uint256 mask) {
        for (uint256 word = 0; set != 0; (set, word) = (set >> A_WORD, word + 1)) {
            uint256 found = words[word] & (EACH * flag);
            for (uint256 place = 0; place < A_WORD; ++place)
                if (found & (flag << (BITS * place)) != 0) mask |= 1 << (A_WORD * word + place);
        }
    }
}
