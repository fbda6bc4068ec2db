"""How each rule answers; what a center wrote is data here, and shown as such."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from federated.codec import Address
from federated.errors import FamilyError
from federated.families.code import find_code
from federated.hospital.policy.finding import Answer, Asked, Outcome
from federated.hospital.policy.policy import Policy
from federated.models import parameter_schema
from federated.purposes import PERMISSIONS, RESTRICTIONS, study_bitmap, tier_bitmap

_ON_CHAIN = "known when the study is open"


def purposes(policy: Policy, asked: Asked) -> Answer:
    """Whether a tier of the policy's purposes would cover the study."""
    needed = study_bitmap(asked.spec.purposes)
    if not policy.purposes:
        return Outcome.PASSES, "any"
    missing = needed & ~tier_bitmap(policy.purposes)
    words = [term.label for term in PERMISSIONS.values() if missing >> term.bit & 1]
    words += [
        f"not to be bound by {term.label!r}"
        for term in RESTRICTIONS.values()
        if len(term.bits) == 1 and missing >> term.bits[0] & 1
    ]
    if not missing:
        return Outcome.PASSES, ", ".join(asked.spec.purposes)
    allowed = ", ".join(policy.purposes)
    return Outcome.REFUSES, f"the study needs {', '.join(words)}; allowed: {allowed}"


def models(policy: Policy, asked: Asked) -> Answer:
    """A family that is not built in must be listed with its digest, and be installed as that.

    Nothing of it is imported here, or before this was answered.
    """
    model = asked.spec.model
    wanted = model.listed_as
    if model.digest is None:
        return among(wanted, policy.models)
    if wanted not in policy.models:
        return Outcome.REFUSES, (
            f"the study has {wanted!r}, which is not built in and not listed; allowed: "
            f"{', '.join(policy.models) or 'any that is built in'}"
        )
    try:
        code = find_code(model.name, model.digest)
    except FamilyError as exc:
        return Outcome.REFUSES, str(exc)
    return Outcome.PASSES, f"{wanted!r}, as {code.distribution} {code.version} brings it"


def parameters(policy: Policy, asked: Asked) -> Answer:
    """The size of the model."""
    return at_most(policy.most_parameters, parameter_schema(asked.spec).size, "parameters")


def passes(policy: Policy, asked: Asked) -> Answer:
    """How often a round sees each record; a count of steps is most on the smallest cohort."""
    training, fewest = asked.spec.training, max(1, policy.least_training)
    if training.updates is None:
        return at_most(policy.most_epochs, training.epochs, "passes a round")
    often = -(-training.updates // -(-fewest // training.batch_size))
    what = f"passes a round where {fewest} patients train"
    return at_most(policy.most_epochs, often, what)


def denied_features(policy: Policy, asked: Asked) -> Answer:
    """A field that is predicted, or by which patients are chosen, is used as well."""
    data = asked.spec.data
    names = [item.name for item in data.features] + [data.label.name]
    names += [item.field for item in data.eligibility]
    denied = {_plain(name) for name in policy.denied_features}
    used = sorted({name for name in names if _plain(name) in denied})
    if used:
        return Outcome.REFUSES, f"the study uses {_quoted(used)}; no model may"
    return Outcome.PASSES, "none is used" if denied else "any"


def denied_centers(policy: Policy, asked: Asked) -> Answer:
    """Whether the center is one that may not ask."""
    if not policy.denied_centers:
        return Outcome.PASSES, "any"
    if asked.center is None:
        return Outcome.LATER, _ON_CHAIN
    if same(asked.center) in map(same, policy.denied_centers):
        return Outcome.REFUSES, f"the center {asked.center} may not ask"
    return Outcome.PASSES, asked.center


def auditors(policy: Policy, asked: Asked) -> Answer:
    """Whether the study names all whom the hospital wants."""
    named = {same(item.address) for item in asked.spec.auditors}
    missing = [item for item in policy.auditors if same(item) not in named]
    if missing:
        return Outcome.REFUSES, f"the study does not name {', '.join(missing)}"
    return Outcome.PASSES, "all are named" if policy.auditors else "any"


def least_auditors(policy: Policy, asked: Asked) -> Answer:
    """A center that names itself has nobody else recompute."""
    named = {same(item.address) for item in asked.spec.auditors}
    if asked.center is not None:
        named -= {same(asked.center)}
    return at_least(policy.least_auditors, len(named), "auditors besides the center")


def studies(policy: Policy, asked: Asked) -> Answer:
    """Other studies that go on, and this one."""
    if asked.others is None:
        return Outcome.LATER, "counted when the study is approved and joined"
    return at_most(policy.most_studies, asked.others + 1, "studies at once, with this one")


def cohort(least: int, asked: Asked) -> Answer:
    """Cohorts are counted at freeze; here only what no cohort could ever reach is refused."""
    if not least:
        return Outcome.PASSES, "any"
    most = asked.spec.terms.max_patients
    if most < least:
        return Outcome.REFUSES, f"the study takes {most} patients of a hospital, at least {least}"
    return Outcome.LATER, f"at least {least} people: counted before a cohort is frozen"


def epsilon(most: float | None) -> Answer:
    """No study declares a budget yet, so that none keeps to one."""
    if most is None:
        return Outcome.PASSES, "no privacy noise is asked for"
    return Outcome.REFUSES, (
        f"no privacy budget is declared, so that none can keep ε ≤ {most}: studies carry no "
        "privacy noise yet; without this rule the hospital takes part without it"
    )


def among(wanted: str | None, allowed: Sequence[str]) -> Answer:
    """Whether what is wanted is in a list; an empty one allows anything."""
    if not allowed:
        return Outcome.PASSES, "any"
    if wanted is None:
        return Outcome.LATER, _ON_CHAIN
    if wanted in allowed:
        return Outcome.PASSES, _quoted([wanted])
    return Outcome.REFUSES, f"the study has {_quoted([wanted])}; allowed: {', '.join(allowed)}"


def among_addresses(wanted: str | None, allowed: Sequence[Address]) -> Answer:
    """The same of addresses, which are one whatever their case."""
    return among(same(wanted), [item.lower() for item in allowed])


def at_most(most: int, got: int, what: str) -> Answer:
    """Whether a number stays within its bound."""
    if got > most:
        return Outcome.REFUSES, f"the study has {got} {what}, at most {most}"
    return Outcome.PASSES, f"{got} of at most {most}"


def at_least(least: int, got: int, what: str) -> Answer:
    """Whether a number reaches its bound."""
    if got < least:
        return Outcome.REFUSES, f"the study has {got} {what}, at least {least}"
    return Outcome.PASSES, f"{got} of at least {least}"


def same(address: str | None) -> str | None:
    """An address without the case of its checksum."""
    return None if address is None else address.lower()


def _plain(name: str) -> str:
    """A name as a person reads it: "Post code", full-width letters and case are one spelling."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def _quoted(names: Iterable[str]) -> str:
    """Words of a center are data: `repr` leaves no control character to a terminal."""
    return ", ".join(repr(name[:60]) for name in names)
