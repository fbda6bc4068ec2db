"""A study spec read from bytes or text, and held to the rules: how a hostile one is refused."""

from __future__ import annotations

import json
import tomllib

from federated.canonical import Value, decode
from federated.codec import Form, from_tree
from federated.errors import CanonicalError, SpecError
from federated.rules import check_spec
from federated.spec import StudySpec


def read_bytes(data: bytes) -> StudySpec:
    """The valid spec whose canonical bytes these are. Raises `SpecError`."""
    try:
        tree = decode(data)
    except CanonicalError as exc:
        raise SpecError("(bytes)", str(exc)) from exc
    return _checked(tree, Form.CANONICAL)


def read_toml(text: str) -> StudySpec:
    """A valid spec from its TOML text. Raises `SpecError`."""
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise SpecError("(file)", f"not TOML: {exc}") from exc
    return _checked(tree, Form.TEXT)


def read_json(text: str) -> StudySpec:
    """A valid spec from its JSON text. Raises `SpecError`."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise SpecError("(file)", f"not JSON: {exc}") from exc
    return _checked(tree, Form.TEXT)


def _checked(tree: Value, form: Form) -> StudySpec:
    spec = from_tree(StudySpec, tree, form)
    check_spec(spec)
    return spec
