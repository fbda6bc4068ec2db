"""policy.toml, read strictly.

The file decides what leaves the hospital, so whatever is doubtful about it is an error: an unknown
key, an empty list of what is allowed, a link, a file that everybody may write.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from federated.codec import Form, from_tree
from federated.errors import PolicyRefused, SpecError
from federated.hospital.policy.policy import Policy
from federated.purposes import tier_bitmap

LARGEST = 1 << 16
"""Bytes of a policy at most."""

_BY_DIGEST = "[a-z0-9-]{1,32}@[0-9a-f]{64}"
_LARGEST_NUMBER = 1 << 53  # what every reader of JSON still tells apart
_WORDS = {"modes": ("open", "masked"), "after_void": ("go-back", "go-on")}


def read_policy(path: Path) -> Policy:
    """The policy of a TOML file. Raises `PolicyRefused` that names the key of what is wrong."""
    try:
        tree = tomllib.loads(_bytes(path).decode())
    except OSError as exc:
        raise _file(path, "cannot be read; check the path") from exc
    except (ValueError, RecursionError) as exc:
        raise _file(path, f"is not TOML: {exc}") from exc
    _check_keys(path, tree)
    try:
        policy = from_tree(Policy, tree, Form.TEXT)
        if policy.purposes:
            tier_bitmap(policy.purposes)
    except SpecError as exc:
        raise PolicyRefused(exc.key, f"{path}: {_reason(exc)}") from exc
    for item in fields(policy):
        _check_value(path, item.name, getattr(policy, item.name))
    return policy


def is_there(path: Path) -> bool:
    """Whether a policy is at a path, be it broken: what cannot be looked at is not missing."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _bytes(path: Path) -> bytes:
    """The file's bytes. A link may be turned to another file by who cannot write this one."""
    if path.is_symlink():
        raise _file(path, "is a link; put the file itself there")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _file(path, "is no file; put a policy there")
        if found.st_mode & stat.S_IWOTH:
            raise _file(path, "may be written by everybody; run `chmod o-w` on it")
        data = os.read(handle, LARGEST + 1)
    finally:
        os.close(handle)
    if len(data) > LARGEST:
        raise _file(path, f"has more than {LARGEST} bytes; it is no policy")
    return data


def _check_keys(path: Path, tree: Mapping[str, Any]) -> None:
    known = [item.name for item in fields(Policy)]
    for key in tree:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0) or known
            shown = key[:60].encode("unicode_escape").decode()
            raise PolicyRefused(shown, f"{path}: unknown rule; the nearest known is {near[0]}")
        if tree[key] == [] and not key.startswith("denied_"):
            raise PolicyRefused(key, f"{path}: an empty list; leave the rule out to allow any")


def _check_value(path: Path, key: str, value: object) -> None:
    if isinstance(value, tuple):
        for item in value:
            if not 0 < len(item) <= 100 or not any(letter.isalnum() for letter in item):
                raise PolicyRefused(key, f"{path}: {item[:20]!r} is no name")
            if item not in _WORDS.get(key, (item,)):
                choices = " or ".join(_WORDS[key])
                raise PolicyRefused(key, f"{path}: {item[:20]!r} is not known; {choices}")
            if key == "models" and "@" in item and not re.fullmatch(_BY_DIGEST, item):
                raise PolicyRefused(key, f"{path}: {item[:20]!r} is no NAME@DIGEST of 64 digits")
    elif isinstance(value, int | float) and not 0 <= value <= _LARGEST_NUMBER:
        raise PolicyRefused(key, f"{path}: a number from 0 to 2^53 is expected")


def _reason(exc: SpecError) -> str:
    return str(exc).removeprefix(f"study spec: {exc.key}: ")


def _file(path: Path, message: str) -> PolicyRefused:
    return PolicyRefused("(file)", f"{path} {message}")
