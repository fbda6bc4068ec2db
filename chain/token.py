"""The ERC-20 token that a study pays in, and the development token that the demo mints."""

from __future__ import annotations

from chain.contract import Contract
from chain.types import Address, BlockNumber, Call, Wei


class Token(Contract):
    """EIP-20, with `mint` where it is contracts/dev/DevelopmentToken.sol."""

    name = "DevelopmentToken"

    def approve(self, spender: Address, amount: Wei) -> Call:
        """Lets the escrow take this much."""
        return self._call("approve", spender, amount)

    def transfer(self, to: Address, amount: Wei) -> Call:
        """Moves tokens."""
        return self._call("transfer", to, amount)

    def mint(self, to: Address, amount: Wei) -> Call:
        """Development only: anyone mints."""
        return self._call("mint", to, amount)

    def balance_of(self, account: Address, *, block_identifier: BlockNumber) -> Wei:
        """An account's tokens."""
        return Wei(self._read(block_identifier, "balanceOf", account)[0])

    def decimals(self, *, block_identifier: BlockNumber) -> int:
        """Digits after the point, as people write amounts."""
        return int(self._read(block_identifier, "decimals")[0])
