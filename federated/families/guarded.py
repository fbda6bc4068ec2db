"""An installed family in use: what it gives is checked, what it says of a failure stays here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from federated.codec import Config
from federated.errors import FamilyError, FederatedError
from federated.families.base import Family, Shapes

if TYPE_CHECKING:
    from numpy.random import Generator
    from torch import Tensor

T = TypeVar("T")


class Guarded(Family):
    """A family whose errors carry no words: they could show what a patient's record holds."""

    def __init__(self, family: Family, name: str) -> None:
        self._family = family
        self._name = name

    def shapes(self, config: Config, shape: tuple[int, ...], outputs: int) -> Shapes:
        """See Family."""
        return self._guard(lambda: dict(self._family.shapes(config, shape, outputs)))

    def forward(
        self,
        parameters: Mapping[str, Tensor],
        inputs: Tensor,
        config: Config,
        shape: tuple[int, ...],
        *,
        training: bool = False,
    ) -> Tensor:
        """See Family."""
        wanted = (len(inputs), parameters["out.bias"].numel())

        def checked() -> Tensor:
            found = self._family.forward(parameters, inputs, config, shape, training=training)
            if tuple(found.shape) != wanted or found.dtype != inputs.dtype:
                raise FamilyError(f"family {self._name!r}: gave no {wanted}; ask whoever wrote it")
            return found

        return self._guard(checked)

    def varied(
        self, inputs: Tensor, config: Config, shape: tuple[int, ...], order: Generator
    ) -> Tensor:
        """See Family."""
        return self._guard(lambda: self._family.varied(inputs, config, shape, order))

    def _guard(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except FederatedError:
            raise
        except Exception as exc:  # noqa: BLE001  whatever it may be, its words stay here
            kind = type(exc).__name__
        raise FamilyError(f"family {self._name!r}: failed ({kind}); ask whoever wrote it")
