"""The hospital's own policy: what a study may ask for, decided by the hospital and nobody else."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from federated.codec import Form, from_tree
from federated.errors import PolicyRefused, SpecError
from federated.purposes import code
from federated.spec import StudySpec


@dataclass(frozen=True, slots=True)
class Policy:
    """Empty lists allow anything; `least_cohort` is the fewest patients that a round may use."""

    purposes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    most_rounds: int = 256
    least_cohort: int = 20


def read_policy(path: Path) -> Policy:
    """The policy of a TOML file. Raises `PolicyRefused` for a file that is not one."""
    try:
        return from_tree(Policy, tomllib.loads(path.read_text("utf-8")), Form.TEXT)
    except OSError as exc:
        raise PolicyRefused("(file)", f"{path} cannot be read; check the path") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise PolicyRefused("(file)", f"{path} is not TOML: {exc}") from exc
    except SpecError as exc:
        raise PolicyRefused(exc.key, f"{path}: {exc}") from exc


def check_policy(policy: Policy, spec: StudySpec) -> None:
    """Raise `PolicyRefused` that names the first rule which the study breaks."""
    allowed = {code(item) for item in policy.purposes}
    for purpose in spec.purposes if allowed else ():
        if code(purpose) not in allowed:
            raise PolicyRefused("purposes", f"the study needs {purpose}, which is not allowed")
    _among("modes", policy.modes, spec.mode)
    _among("models", policy.models, spec.model.name)
    if spec.rounds > policy.most_rounds:
        raise PolicyRefused(
            "most_rounds", f"the study has {spec.rounds} rounds, at most {policy.most_rounds}"
        )


def check_cohort(policy: Policy, people: int) -> None:
    """Raise `PolicyRefused` for a cohort of too few people."""
    if people < policy.least_cohort:
        raise PolicyRefused(
            "least_cohort",
            f"too few patients consent ({people}, at least {policy.least_cohort} are needed)",
        )


def _among(rule: str, allowed: tuple[str, ...], wanted: str) -> None:
    if allowed and wanted not in allowed:
        raise PolicyRefused(rule, f"the study has {wanted!r}; allowed: {', '.join(allowed)}")
