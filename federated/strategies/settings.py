"""What a strategy may be set to, declared once: checked at opening, printed in the docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federated.codec import Config
from federated.errors import SpecError


@dataclass(frozen=True, slots=True)
class Setting:
    """A number from `low` to `high`, or `word` in its place.

    `whole` asks for an integer; `above` and `below` leave `low` and `high` themselves out.
    """

    name: str
    low: float
    high: float
    whole: bool = False
    above: bool = False
    below: bool = False
    word: str = ""

    @property
    def says(self) -> str:
        """What is expected, in words."""
        return f"{'a whole number' if self.whole else 'a number'} in {self.span}"

    @property
    def span(self) -> str:
        """The interval, and the word."""
        left, right = "(" if self.above else "[", ")" if self.below else "]"
        span = f"{left}{self.low:g}, {self.high:g}{right}"
        return f'{span} or "{self.word}"' if self.word else span

    def holds(self, value: object) -> bool:
        """Whether this is such a value; truth values and NaN are not."""
        if self.word and value == self.word:
            return True
        if type(value) is not int and (self.whole or type(value) is not float):
            return False
        if (self.above and value == self.low) or (self.below and value == self.high):
            return False
        return self.low <= value <= self.high


def check_settings(
    chosen: str, settings: Sequence[Setting], config: Config, place: str = "strategy.config"
) -> None:
    """Raise `SpecError` for the first setting that is unknown, missing or not what it must be."""
    known = ", ".join(setting.name for setting in settings) or "none"
    for key in config:
        if key not in {setting.name for setting in settings}:
            where = f"{place}.{key[:40]}"
            raise SpecError(where, f"unknown setting of {chosen}; known: {known}")
    for setting in settings:
        where = f"{place}.{setting.name}"
        if setting.name not in config:
            raise SpecError(where, f"missing setting of {chosen}; add {setting.says}")
        if not setting.holds(config[setting.name]):
            raise SpecError(where, f"{setting.says} is expected")
