"""Families that somebody installed, imported from the very bytes whose digest was checked.

So neither a file that is exchanged between check and import, nor a stale `.pyc`, nor a module that
lies beside it unlisted is ever run. What it imports from other distributions is not covered.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from threading import RLock
from types import ModuleType
from typing import Any

from federated.errors import FamilyError
from federated.families.base import Family
from federated.families.code import Code, find_code
from federated.families.guarded import Guarded

_TAKEN = {*sys.stdlib_module_names, "api", "chain", "federated", "records", "storage"}
_LOCK = RLock()
_LOADED: dict[tuple[str, str], Family] = {}
_FINDERS: dict[str, _Verified] = {}


def load(name: str, digest: str) -> Family:
    """The family of this name and digest, imported once. Raises `FamilyError`.

    Whoever calls this has decided that the code may run: a hospital by its policy.
    """
    with _LOCK:
        if (found := _LOADED.get((name, digest))) is None:
            found = _LOADED[name, digest] = Guarded(_imported(find_code(name, digest)), name)
        return found


class _Verified(MetaPathFinder, Loader):
    """Finds the modules of one distribution, in memory and nowhere else."""

    def __init__(self, code: Code) -> None:
        self._root = code.root
        self._sources = {_module(path): (path, code.files[path]) for path in _modules(code)}
        self.tops = {name.partition(".")[0] for name in self._sources}
        for name in self._sources:
            parent = name.rpartition(".")[0]
            if parent and parent not in self._sources:
                raise FamilyError(f"{code.distribution}: {parent} has no __init__.py; add one")

    def __contains__(self, module: str) -> bool:
        return module in self._sources

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's place; nothing else below the distribution's own names is a module."""
        del path, target
        if name in self._sources:
            file = self._sources[name][0]
            package = file.endswith("/__init__.py")
            return spec_from_loader(name, self, origin=str(self._root / file), is_package=package)
        if name.partition(".")[0] in self.tops:
            raise ModuleNotFoundError(f"{name} is not among the files that were checked", name=name)
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the source that was checked."""
        file, source = self._sources[module.__name__]
        code = compile(source, str(self._root / file), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  what an import does


def _imported(code: Code) -> Family:
    finder = _FINDERS.get(code.digest) or _Verified(code)
    if code.entry.partition(":")[0] not in finder:
        raise FamilyError(
            f"{code.distribution}: {code.entry[:60]!r} is not among its own files, which alone the "
            "digest covers; use a distribution that brings its family itself"
        )
    if code.digest not in _FINDERS:
        _check_names(code, finder)
        sys.meta_path.insert(0, finder)
        _FINDERS[code.digest] = finder
    try:
        return _resolved(code)
    except FamilyError:
        _forget(code.digest)
        raise


def _resolved(code: Code) -> Family:
    module, _, attribute = code.entry.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        found = found() if isinstance(found, type) else found
    except (Exception, SystemExit) as exc:
        raise FamilyError(
            f"{code.distribution} {code.version}: cannot be imported ({type(exc).__name__}); ask "
            "whoever wrote it"
        ) from exc
    if not isinstance(found, Family):
        raise FamilyError(f"{code.distribution}: {code.entry[:60]!r} is no Family; derive from it")
    return found


def _check_names(code: Code, finder: _Verified) -> None:
    """No module of the distribution may stand in another's place, nor another in its place."""
    for top in finder.tops:
        if top in _TAKEN or top in sys.modules:
            raise FamilyError(
                f"{code.distribution}: a module {top!r} is there already; where it is another "
                "version of the family, run the study in a process of its own"
            )


def _forget(digest: str) -> None:
    finder = _FINDERS.pop(digest)
    sys.meta_path.remove(finder)
    for name in [name for name in sys.modules if name.partition(".")[0] in finder.tops]:
        del sys.modules[name]


def _modules(code: Code) -> list[str]:
    return [path for path in code.files if path.endswith(".py")]


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
