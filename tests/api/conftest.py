"""One finished study, built once for the tests of the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # the kit imports torch, which the command line's own tests need not wait for
    from tests.api.serving import Served
    from tests.e2e.kit import Saved


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    from tests.api.serving import build_study

    return build_study(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def served(finished_study: Saved, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The API over a copy of it, one for each module."""
    from tests.api.serving import serving

    folder = tmp_path_factory.mktemp("served") / "world"
    with finished_study.start(folder) as world, serving(world) as found:
        yield found
