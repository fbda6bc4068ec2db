"""eth-tester, an EVM in Python, behind the JSON-RPC that `chain` speaks: for the conformance suite.

It has no server of its own. Every transaction is a block; others come by themselves, as on a chain
with validators.
"""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from eth.vm.forks.cancun import CancunVM
from eth_abi.abi import encode
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import BlockNotFound, TransactionFailed, TransactionNotFound
from eth_utils.exceptions import ValidationError as EthUtilsValidationError

CHAIN_ID = 131277322940537
_GAS = 30_000_000
_BLOCK_S = 0.2


class PyEvm:
    """A context manager; nothing of the chain is kept after it."""

    def __init__(self, *, is_sealing: bool = True, keys: Sequence[bytes] = ()) -> None:
        """`is_sealing`: blocks come by themselves. It sends for the accounts of `keys`, too."""
        genesis = PyEVMBackend.generate_genesis_params({"gas_limit": _GAS})
        vms = ((0, CancunVM),)
        self._chain = EthereumTester(PyEVMBackend(genesis_parameters=genesis, vm_configuration=vms))
        self._bank = self._chain.get_accounts()[0]
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()
        self._works: list[Callable[[], None]] = [self._serve]
        if is_sealing:
            self._works.append(self._seal)
        for key in keys:
            self._chain.add_account("0x" + key.hex())
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes: the second would wait 40 ms for the first's answer.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                many = isinstance(body, list)
                found = [*map(outer._answer, body)] if many else outer._answer(body)
                answer = json.dumps(found, default=lambda item: "0x" + item.hex()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fund(self, address: str, wei: int) -> None:
        """Sends coins from the first account."""
        value = min(wei, 10**20)
        with self._one_at_a_time:
            self._chain.send_transaction(
                {"from": self._bank, "to": address, "value": value, "gas": 21_000}
            )

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def _seal(self) -> None:
        while not self._ended.wait(_BLOCK_S):
            with self._one_at_a_time:
                self._chain.mine_block()

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._one_at_a_time:
            try:
                answer: Any = {"result": getattr(self, f"_{body['method']}")(*body["params"])}
            except TransactionFailed as exc:
                shown = "0x" + _reverted_with(exc).hex()
                answer = {"error": {"code": 3, "message": "execution reverted", "data": shown}}
            except AttributeError as exc:
                answer = {"error": {"code": -32601, "message": f"no method: {exc}"}}
            except (ValueError, TypeError, EthUtilsValidationError) as exc:
                answer = {"error": {"code": -32000, "message": str(exc)}}
        return {"jsonrpc": "2.0", "id": body["id"], **answer}

    # ------------------------------------------------------------ as a chain for development

    def _evm_snapshot(self) -> str:
        return hex(self._chain.take_snapshot())

    def _evm_revert(self, snapshot: str) -> bool:
        self._chain.revert_to_snapshot(int(snapshot, 16))
        return True

    def _evm_setNextBlockTimestamp(self, timestamp: int) -> None:
        # It seals a block at the time to which it goes, and the next is a second later.
        if timestamp - 1 > self._chain.get_block_by_number("latest")["timestamp"]:
            self._chain.time_travel(timestamp - 1)

    def _evm_mine(self) -> None:
        self._chain.mine_block()

    def _anvil_mine(self, blocks: str) -> None:
        self._chain.mine_blocks(int(blocks, 16))

    def _anvil_impersonateAccount(self, address: str) -> None:
        assert address in self._chain.get_accounts()

    def _anvil_setBalance(self, address: str, _wei: str) -> None:
        """Coins enough for gas, whatever is asked."""
        self._chain.send_transaction(
            {"from": self._bank, "to": address, "value": 10**18, "gas": 21_000}
        )

    def _eth_accounts(self) -> Any:
        return list(self._chain.get_accounts())

    def _eth_sendTransaction(self, call: dict[str, Any]) -> Any:
        numbers = {name: int(call[name], 16) for name in ("gas", "value") if name in call}
        sent = {key: call[key] for key in ("from", "to", "data") if key in call}
        return self._chain.send_transaction({**sent, **numbers})

    # ------------------------------------------------------------ as every node

    def _eth_chainId(self) -> str:
        return hex(CHAIN_ID)

    def _web3_clientVersion(self) -> str:
        return "eth-tester"

    def _eth_blockNumber(self) -> str:
        return hex(self._chain.get_block_by_number("latest")["number"])

    def _eth_gasPrice(self) -> str:
        return hex(10**9)

    def _eth_maxPriorityFeePerGas(self) -> str:
        return hex(1)

    def _eth_getBlockByNumber(self, block: str, _full: bool) -> Any:
        try:
            name = block if block == "pending" else _block(block)
            return _shown(self._chain.get_block_by_number(name))
        except BlockNotFound:
            return None

    def _eth_getBlockByHash(self, block: str, _full: bool) -> Any:
        try:
            return _shown(self._chain.get_block_by_hash(block))
        except BlockNotFound:
            return None

    def _eth_getCode(self, address: str, block: str) -> Any:
        return self._chain.get_code(address, _block(block))

    def _eth_getBalance(self, address: str, block: str) -> str:
        return hex(self._chain.get_balance(address, _block(block)))

    def _eth_getTransactionCount(self, address: str, block: str) -> str:
        return hex(self._chain.get_nonce(address, _block(block)))

    def _eth_call(self, call: dict[str, Any], block: Any) -> Any:
        return self._chain.call(self._call(call), block if block == "pending" else _block(block))

    def _eth_estimateGas(self, call: dict[str, Any], block: str) -> str:
        return hex(self._chain.estimate_gas(self._call(call), _block(block)))

    def _eth_sendRawTransaction(self, raw: str) -> Any:
        return self._chain.send_raw_transaction(raw)

    def _eth_getTransactionByHash(self, name: str) -> Any:
        try:
            return _shown(self._chain.get_transaction_by_hash(name))
        except TransactionNotFound:
            return None

    def _eth_getTransactionReceipt(self, name: str) -> Any:
        try:
            return _shown(self._chain.get_transaction_receipt(name))
        except TransactionNotFound:
            return None

    def _eth_getLogs(self, asked: dict[str, Any]) -> Any:
        wanted = asked["address"]
        addresses = {wanted.lower()} if isinstance(wanted, str) else {*map(str.lower, wanted)}
        found = self._chain.get_logs(
            from_block=int(asked["fromBlock"], 16), to_block=int(asked["toBlock"], 16)
        )
        topics = asked.get("topics") or []
        return [
            _shown(log)
            for log in found
            if log["address"].lower() in addresses
            and all(
                topic is None or (n < len(log["topics"]) and log["topics"][n] == topic)
                for n, topic in enumerate(topics)
            )
        ]

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        numbers = {name: int(call[name], 16) for name in ("gas", "value") if name in call}
        sender = call.get("from", self._bank)
        return {"gas": _GAS, **call, "from": sender, **numbers}

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=work, daemon=True) for work in self._works]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()


def _block(name: Any) -> Any:
    if isinstance(name, dict):
        return name["blockHash"]
    if name == "pending":
        return "latest"  # nothing ever waits
    return int(name, 16) if name.startswith("0x") else name


def _reverted_with(failure: TransactionFailed) -> bytes:
    """What a contract reverted with: eth-tester tells its repr, or the text of `Error(string)`."""
    told = failure.args[0] if failure.args else b""
    while isinstance(told, Exception):
        told = told.args[0] if told.args else b""
    if isinstance(told, bytes):
        return told
    if told[:2] in ("b'", 'b"'):
        return bytes(ast.literal_eval(told))
    return bytes.fromhex("08c379a0") + encode(["string"], [told])


def _shown(value: Any) -> Any:
    """As JSON-RPC spells it: camelCase, numbers in hexadecimal."""
    if isinstance(value, Mapping):
        return {_camel(name): _shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return hex(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
