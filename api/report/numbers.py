"""Figures as people read them: one rounding and one form for each kind."""

from __future__ import annotations

from federated.evaluation.paired import Difference
from federated.metrics import Estimate

TOKEN = 10**18
NONE = "–"
MINUS = "−"


def share(value: float, decimals: int = 3) -> str:
    """A share of 1, as 0.865."""
    return f"{value:.{decimals}f}".replace("-", MINUS)


def figure(found: Estimate | None) -> str:
    """As 0.865 (0.820–0.910)."""
    if found is None:
        return NONE
    return f"{share(found.value)} ({share(found.low)}–{share(found.high)})"


def signed(found: Estimate | None, decimals: int = 3) -> str:
    """A difference, as +0.024 (−0.006 to +0.043)."""
    if found is None:
        return NONE
    value, low, high = (plus(x, decimals) for x in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def with_p(found: Difference | None) -> str:
    """A difference with its p, as +0.024 (−0.006 to +0.043), p 0.140."""
    if found is None or found.p is None:
        return signed(found)
    p = "< 0.001" if found.p < 0.0005 else share(found.p)
    return f"{signed(found)}, p {p}"


def plus(value: float, decimals: int = 3) -> str:
    """A number with its sign; 0 has none."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def round_tokens(amount: int) -> str:
    """The same without zeros at the end, for a sentence."""
    return tokens(amount).rstrip("0").rstrip(".")


def percent(part: float, whole: float) -> str:
    """As 12.5 %."""
    return f"{100 * part / whole:.1f} %" if whole else NONE


def tokens(amount: int) -> str:
    """An amount in the token's smallest unit, to four decimals, halves down."""
    whole, rest = divmod(amount, TOKEN)
    return f"{whole:,}.{rest * 10**4 // TOKEN:04d}"


def count(number: int) -> str:
    """As 12,345."""
    return f"{number:,}"


def coarse(number: int | None) -> str:
    """A count that is not told where it is 1 to 4."""
    return "1–4" if number is None else count(number)


def size(number: float) -> str:
    """Bytes in the unit that fits."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024 or unit == "MiB":
            return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1024
    return ""


def milliseconds(seconds: float) -> str:
    """As 12.3 ms."""
    return f"{1000 * seconds:,.1f} ms"


def digest(text: str) -> str:
    """The beginning of a digest, for a drawing."""
    return f"{text[:8]}…" if text else NONE
