"""The state of a study between rounds: global model and server state, under one digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federated.canonical import Digest, decode, digest, encode
from federated.errors import TensorSchemaError
from federated.models import initial_parameters, parameter_schema
from federated.schema import Parameters
from federated.spec import StudySpec
from federated.strategies import ServerState, strategy_of
from federated.tensors import decode_tensors, encode_tensors, encoded_size

_DIGEST_FORMAT = "consilium/state/1"
_FILE_FORMAT = "consilium/model/1"


@dataclass(frozen=True, slots=True)
class GlobalState:
    """What `round_number` ended with (0: the study's beginning)."""

    round_number: int
    parameters: Parameters
    server: ServerState


def initial_state(spec: StudySpec) -> GlobalState:
    """The state that the first round opens with; `seed` and model decide it on every machine."""
    strategy = strategy_of(spec.strategy.name)
    server = strategy.initial(parameter_schema(spec), spec.strategy.config)
    return GlobalState(0, initial_parameters(spec), server)


def next_state(
    spec: StudySpec, state: GlobalState, mean: Parameters, round_number: int
) -> GlobalState:
    """The state after a round: the strategy's step from `state` by the exact mean update."""
    strategy = strategy_of(spec.strategy.name)
    parameters, server = strategy.step(state.parameters, state.server, mean, spec.strategy.config)
    return GlobalState(round_number, parameters, server)


def state_digest(spec: StudySpec, state: GlobalState) -> Digest:
    """sha2-256 of canonical {format, round, digest of parameters, digests of server state}."""
    parameters, server = state_files(spec, state)
    parts = {name: digest(data) for name, data in server.items()}
    return digest_of_parts(state.round_number, digest(parameters), parts)


def digest_of_parts(round_number: int, parameters: bytes, server: Mapping[str, bytes]) -> Digest:
    """The state digest from the digests of its files: who has the parameters alone checks them."""
    return digest(
        encode(
            {
                "format": _DIGEST_FORMAT,
                "round": round_number,
                "parameters": parameters,
                "server": dict(server),
            }
        )
    )


def encode_state(spec: StudySpec, state: GlobalState) -> bytes:
    """The whole state as canonical bytes, to be sealed and pinned."""
    return encoded_state(spec, state)[0]


def encoded_state(spec: StudySpec, state: GlobalState) -> tuple[bytes, Digest]:
    """As `encode_state`; with its `state_digest`, of the same files."""
    parameters, server = state_files(spec, state)
    content = {"round": state.round_number, "parameters": parameters, "server": server}
    parts = {name: digest(data) for name, data in server.items()}
    found = digest_of_parts(state.round_number, digest(parameters), parts)
    return encode({"format": _FILE_FORMAT, **content}), found


def tensors_size(spec: StudySpec) -> int:
    """Bytes that the tensors of a state take, each part in its own file."""
    schema, parts = parameter_schema(spec), strategy_of(spec.strategy.name).state
    return encoded_size(schema) + len(parts) * encoded_size(schema.with_dtype("F64"))


def decode_state(spec: StudySpec, data: bytes) -> GlobalState:
    """The inverse of `encode_state`, from hostile bytes. Raises `FederatedError`s."""
    return read_state(spec, data)[0]


def read_state(spec: StudySpec, data: bytes) -> tuple[GlobalState, Digest]:
    """As `decode_state`; with its `state_digest`, which the caller compares with the chain's.

    Tensors have one encoding, so the digests of the bytes that were read are those of the state.
    """
    schema = parameter_schema(spec)
    tree = decode(data)
    if not isinstance(tree, dict) or tree.get("format") != _FILE_FORMAT:
        raise TensorSchemaError("", f"not a model file: the format is not {_FILE_FORMAT}")
    shape = {"format": str, "round": int, "parameters": bytes, "server": dict}
    if set(tree) != set(shape) or any(type(tree[key]) is not shape[key] for key in shape):
        raise TensorSchemaError("", f"not a model file: it needs exactly {', '.join(shape)}")
    if set(tree["server"]) != set(strategy_of(spec.strategy.name).state):
        raise TensorSchemaError("", "the server state is not one of the study's strategy")
    wide = schema.with_dtype("F64")
    server = {name: decode_tensors(_bytes(item), wide) for name, item in tree["server"].items()}
    state = GlobalState(tree["round"], decode_tensors(tree["parameters"], schema), server)
    parts = {name: digest(item) for name, item in tree["server"].items()}
    return state, digest_of_parts(state.round_number, digest(tree["parameters"]), parts)


def state_files(spec: StudySpec, state: GlobalState) -> tuple[bytes, dict[str, bytes]]:
    """The parameters' bytes (F32), and those of each part of the server state (F64)."""
    schema = parameter_schema(spec)
    wide = schema.with_dtype("F64")
    server = {name: encode_tensors(tensors, wide) for name, tensors in state.server.items()}
    return encode_tensors(state.parameters, schema), server


def _bytes(item: object) -> bytes:
    if not isinstance(item, bytes):
        raise TensorSchemaError("", "the server state holds something that is not tensors")
    return item
