"""Model families that somebody installed: by digest, never imported before it was checked."""

from __future__ import annotations

import importlib
import json
import os
import py_compile
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from federated.errors import FamilyError, SpecError
from federated.families import family_of
from federated.families.__main__ import main as families_main
from federated.families.code import find_code, offers
from federated.hospital.policy import Asked, Outcome, Policy, judge
from federated.models import update_schema
from federated.networks import probabilities
from federated.rules import check_spec
from federated.schema import Tensor
from federated.simulate import simulate
from federated.spec import Choice, StudySpec
from federated.spec_files import read_bytes, read_json
from federated.state import initial_state, state_digest
from tests.federated.wheels import Wheel

SHAPES = (Tensor("out.bias", (1,)), Tensor("out.weight", (1, 4)))
NOBODY = "0" * 64


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that Python imports from."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    return folder


def digest_of(wheel: Wheel) -> str:
    (found,) = (offer for offer in offers() if offer.source.name == wheel.package)
    return found.read().digest


def study_of(spec: StudySpec, digest: str, name: str = "squares") -> StudySpec:
    return replace(spec, model=Choice(name, {}, digest, SHAPES))


def answer(policy: Policy, spec: StudySpec) -> tuple[Outcome, str]:
    found = next(item for item in judge(policy, Asked(spec)) if item.rule == "models")
    return found.outcome, found.why


def listing(digest: str, name: str = "squares") -> Policy:
    return Policy(models=("mlp", f"{name}@{digest}"))


def test_a_study_learns_with_a_family_that_its_hospitals_installed(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    """A circle, which no weighted sum of the inputs tells from its outside."""
    wheel = Wheel(tmp_path)
    wheel.unpack(site)
    digest = digest_of(wheel)
    study = study_of(spec, digest)
    study = replace(
        study,
        grid=replace(study.grid, clip_norm=50.0, grid_bits=20),
        training=replace(study.training, epochs=30),
    )
    check_spec(study)
    assert answer(listing(digest), study)[0] is Outcome.PASSES
    assert not wheel.marker.exists()
    inputs = np.random.default_rng(1).uniform(-2, 2, (400, 2)).astype(np.float32)
    labels = ((inputs**2).sum(axis=1) < 2).astype(np.int64)
    cohort = {"north": (inputs[:100], labels[:100]), "south": (inputs[100:200], labels[100:200])}
    state = simulate(study, [cohort] * 3)[-1]
    assert wheel.marker.exists()
    chances = probabilities(state.parameters, inputs[200:], study)
    assert ((chances > 0.5) == labels[200:]).mean() > 0.9
    again = simulate(study, [cohort] * 3)[-1]
    assert state_digest(study, again) == state_digest(study, state)


def test_the_documented_family_is_one(spec: StudySpec, site: Path, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "families.md").read_text("utf-8")
    source = page.partition("```python\n")[2].partition("```")[0]
    wheel = Wheel(tmp_path, source=source)
    wheel.unpack(site)
    study = study_of(spec, digest_of(wheel))
    dose = np.array([[1.0, 3.0]], dtype=np.float32)
    start = initial_state(study).parameters
    odds = (np.array([1.0, 3.0, 1.0, 9.0]) * start["out.weight"]).sum()
    assert probabilities(start, dose, study)[0] == pytest.approx(1 / (1 + np.exp(-odds)))


def test_whoever_runs_no_model_needs_no_code(spec: StudySpec) -> None:
    """A patient, a relayer, an auditor: reading, schema and first state come from the spec."""
    study = study_of(spec, NOBODY)
    assert read_bytes(study.to_bytes()) == study
    assert read_json(study.to_json()) == study
    assert study.digest() != study_of(spec, "1" * 64).digest()
    assert update_schema(study).size == 5
    assert initial_state(study).parameters["out.weight"].shape == (1, 4)
    with pytest.raises(FamilyError, match=r"not installed \(no distribution offers it"):
        family_of(study.model)


def test_pip_s_own_marks_are_no_part_of_the_digest(site: Path, tmp_path: Path) -> None:
    wheel = Wheel(tmp_path)
    wheel.unpack(site)
    digest = digest_of(wheel)
    other = wheel.pip(tmp_path / "pip")
    assert (other / wheel.info / "INSTALLER").exists()
    assert list(other.rglob("*.pyc"))  # which pip adds to RECORD
    sys.path[sys.path.index(str(site))] = str(other)
    assert digest_of(wheel) == digest


Change = Callable[[Wheel, Path], None]


def _edit(wheel: Wheel, site: Path) -> None:
    file = site / wheel.package / "inner.py"
    file.write_text(file.read_text().replace("** 2", "** 3"))


def _rename(wheel: Wheel, site: Path) -> None:
    file = site / wheel.info / "entry_points.txt"
    file.write_text("[consilium.families]\nsquares = os:system\n")


def _relist(wheel: Wheel, site: Path) -> None:
    _rename(wheel, site)
    record = site / wheel.info / "RECORD"
    rows = [row for row in record.read_text().splitlines() if "entry_points" not in row]
    record.write_text("\n".join(rows))


def _link(wheel: Wheel, site: Path) -> None:
    file = site / wheel.package / "inner.py"
    file.rename(site / "elsewhere.py")
    file.symlink_to(site / "elsewhere.py")


def _link_folder(wheel: Wheel, site: Path) -> None:
    (site / wheel.package).rename(site / "elsewhere")
    (site / wheel.package).symlink_to(site / "elsewhere")


def _pipe(wheel: Wheel, site: Path) -> None:
    file = site / wheel.package / "inner.py"
    file.unlink()
    os.mkfifo(file)


def _lose(wheel: Wheel, site: Path) -> None:
    (site / wheel.package / "inner.py").unlink()


def _list(row: str) -> Change:
    def change(wheel: Wheel, site: Path) -> None:
        with (site / wheel.info / "RECORD").open("a") as record:
            record.write(f"{row}\n")

    return change


def _editable(wheel: Wheel, site: Path) -> None:
    origin = {"url": "file:///src", "dir_info": {"editable": True}}
    (site / wheel.info / "direct_url.json").write_text(json.dumps(origin))


def _old_editable(wheel: Wheel, site: Path) -> None:
    (site / wheel.info / "RECORD").unlink()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_edit, "1.0 has the digest"),
        (_rename, "1.0 has the digest"),
        (_relist, "does not list its entry_points"),
        (_link, "has a link"),
        (_link_folder, "has a link"),
        (_pipe, "no file or too large"),
        (_lose, "cannot be read; install it anew"),
        (_list("../../bin/run,,"), "outside of its folder"),
        (_list("/etc/passwd,,"), "outside of its folder"),
        (_list("__editable__.acme.pth,,"), "which runs at every start of Python"),
        (_list("acme/fast.so,,"), "has compiled code"),
        (_list("acme/hidden.pyc,,"), "has compiled code"),
        (_list('"'), "cannot be read|no family|has no RECORD|outside of its folder"),
        (_list("x.py,,\n" * 1001), "more than 1000 files"),
        (_editable, "installed as editable"),
        (_old_editable, "has no RECORD"),
    ],
)
def test_other_code_than_the_one_listed_is_refused_before_any_of_it_runs(
    spec: StudySpec, site: Path, tmp_path: Path, change: Change, why: str
) -> None:
    wheel = Wheel(tmp_path)
    wheel.unpack(site)
    digest = digest_of(wheel)
    assert answer(listing(digest), study_of(spec, digest))[0] is Outcome.PASSES
    change(wheel, site)
    importlib.invalidate_caches()
    found, said = answer(listing(digest), study_of(spec, digest))
    assert found is Outcome.REFUSES
    with pytest.raises(FamilyError, match=why) as caught:
        family_of(study_of(spec, digest).model)
    assert str(caught.value) == said
    assert wheel.package in said
    assert not wheel.marker.exists()


def test_a_policy_lists_a_family_by_digest_or_not_at_all(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    """A list of none allows any that is built in, and no other."""
    wheel = Wheel(tmp_path)
    wheel.unpack(site)
    study = study_of(spec, digest_of(wheel))
    for policy in (Policy(), Policy(models=("squares",)), listing(NOBODY), listing("", "squares")):
        found, why = answer(policy, study)
        assert found is Outcome.REFUSES
        assert "not built in and not listed" in why
    assert answer(Policy(), spec)[0] is Outcome.PASSES
    assert answer(listing(NOBODY), spec)[0] is Outcome.REFUSES  # logistic is not in the list
    assert not wheel.marker.exists()


def test_a_distribution_cannot_take_a_built_in_family_s_name(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    wheel = Wheel(tmp_path, family="logistic")
    wheel.unpack(site)
    dose = np.array([[1.0, 3.0]], dtype=np.float32)
    probabilities(initial_state(spec).parameters, dose, spec)
    with pytest.raises(SpecError, match="logistic is built in") as caught:
        check_spec(study_of(spec, digest_of(wheel), "logistic"))
    assert caught.value.key == "model.digest"
    assert not wheel.marker.exists()


def test_two_distributions_of_one_name_are_told_apart_by_digest(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    mine, theirs = Wheel(tmp_path), Wheel(tmp_path)
    for wheel in (theirs, mine):
        wheel.unpack(site)
    family_of(study_of(spec, digest_of(mine)).model)
    assert mine.marker.exists()
    assert not theirs.marker.exists()


def test_a_distribution_that_is_broken_hides_no_other(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    broken, sound = Wheel(tmp_path), Wheel(tmp_path)
    broken.unpack(site)
    (site / broken.info / "entry_points.txt").write_text("[consilium.families]\nno equals sign\n")
    sound.unpack(site)
    assert find_code("squares", digest_of(sound)).distribution == sound.package


@pytest.mark.parametrize(
    "source",
    ["raise RuntimeError('no')", "import sys; sys.exit(3)", "Squares = 7", "def broken(:", ""],
)
def test_an_entry_point_that_fails_is_an_error_and_leaves_nothing_behind(
    spec: StudySpec, site: Path, tmp_path: Path, source: str
) -> None:
    wheel = Wheel(tmp_path, source=source or "Other = 1")
    wheel.unpack(site)
    before = list(sys.meta_path)
    with pytest.raises(FamilyError, match=r"cannot be imported|is no Family"):
        family_of(study_of(spec, digest_of(wheel)).model)
    assert wheel.package not in sys.modules
    assert sys.meta_path == before


def test_an_entry_point_into_another_distribution_is_refused(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    """The digest would not cover what runs."""
    other = Wheel(tmp_path)
    other.unpack(site)
    wheel = Wheel(tmp_path, entry=f"{other.package}:Squares")
    wheel.unpack(site)
    with pytest.raises(FamilyError, match="not among its own files"):
        family_of(study_of(spec, digest_of(wheel)).model)
    assert not other.marker.exists()


def test_a_distribution_that_lists_another_s_files_cannot_choose_what_of_them_runs(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    """Its digest is the other's, whose own entry point was read and listed by the policy."""
    source = f"{Wheel(tmp_path).source}\n\nclass Other(Squares):\n    pass\n"
    listed = Wheel(tmp_path, source=source)
    listed.unpack(site)
    digest = digest_of(listed)
    thief = Wheel(tmp_path, entry=f"{listed.package}:Other")
    thief.unpack(site)
    (site / listed.info / "METADATA").unlink()
    (site / listed.info / "RECORD").replace(site / thief.info / "RECORD")
    with pytest.raises(FamilyError, match="lists another entry_points") as caught:
        family_of(study_of(spec, digest).model)
    assert thief.package in str(caught.value)
    assert not listed.marker.exists()


class _Elsewhere:
    """Finds a module whatever the package, as the finders of editable installs do."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file

    def find_spec(self, name: str, path: object, target: object = None) -> object:
        return spec_from_file_location(name, self._file) if name == self._name else None


def test_a_module_that_lies_there_unlisted_is_never_imported(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    source = "from . import added\nfrom federated.families import Family"
    wheel = Wheel(tmp_path, source=source)
    wheel.unpack(site)
    digest = digest_of(wheel)
    (site / wheel.package / "added.py").write_text(f"open({str(wheel.marker)!r}, 'w')")
    assert digest_of(wheel) == digest
    added = _Elsewhere(f"{wheel.package}.added", site / wheel.package / "added.py")
    sys.meta_path.insert(0, added)
    with pytest.raises(FamilyError, match=r"cannot be imported \(ImportError"):
        family_of(study_of(spec, digest).model)
    assert not wheel.marker.exists()


def test_bytecode_that_was_put_in_place_is_not_run(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    """Python's own import would run it: it has the source's time and size."""
    wheel = Wheel(tmp_path)
    wheel.unpack(site)
    digest = digest_of(wheel)
    file, poison = site / wheel.package / "inner.py", tmp_path / "poison.py"
    size, stamp = file.stat().st_size, file.stat().st_mtime
    ran = tmp_path / "poisoned"
    text = f"open({str(ran)!r}, 'w')\n"
    poison.write_text(text.ljust(size, "#"))
    os.utime(poison, (stamp, stamp))
    cache = importlib.util.cache_from_source(str(file))
    py_compile.compile(str(poison), cache, dfile=str(file), doraise=True)
    family_of(study_of(spec, digest).model)
    assert wheel.marker.exists()
    assert not ran.exists()


def test_a_file_that_is_exchanged_after_the_check_is_not_run(
    spec: StudySpec, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = Wheel(tmp_path)
    wheel.unpack(site)
    ran = tmp_path / "exchanged"
    running = importlib.import_module("federated.families.running")

    def meanwhile(name: str, digest: str) -> object:
        code = find_code(name, digest)
        (site / wheel.package / "__init__.py").write_text(f"open({str(ran)!r}, 'w')")
        return code

    monkeypatch.setattr(running, "find_code", meanwhile)
    family_of(study_of(spec, digest_of(wheel)).model)
    assert wheel.marker.exists()
    assert not ran.exists()


@pytest.mark.parametrize("package", ["json", "federated", "numpy"])
def test_a_family_cannot_stand_in_the_place_of_another_module(
    spec: StudySpec, site: Path, tmp_path: Path, package: str
) -> None:
    (site / package).mkdir()
    wheel = Wheel(tmp_path, package=package)
    wheel.unpack(site)
    found = [offer for offer in offers() if offer.source.locate_file("") == site]
    digest = found[0].read().digest
    with pytest.raises(FamilyError, match="is there already"):
        family_of(study_of(spec, digest).model)
    assert not wheel.marker.exists()


def test_what_a_family_says_of_a_patient_is_not_repeated(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    source = Wheel(tmp_path).source.replace(
        "return both(inputs)", "raise ValueError(f'odd {inputs}'); return both(inputs)"
    )
    wheel = Wheel(tmp_path, source=source)
    wheel.unpack(site)
    study = study_of(spec, digest_of(wheel))
    with pytest.raises(FamilyError, match=r"failed \(ValueError\)") as caught:
        probabilities(
            initial_state(study).parameters, np.array([[41.5, 7.25]], dtype=np.float32), study
        )
    assert "41.5" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("2 * math.prod(shape)", "3 * math.prod(shape)", "other tensors than the study declares"),
        ('+ parameters["out.bias"]', "@ inputs.new_ones((1, 3))", r"gave no \(2, 1\)"),
        ('+ parameters["out.bias"]', "; return None", r"failed \(AttributeError\)|gave no"),
        ('+ parameters["out.bias"]', '+ parameters["bias"]', r"failed \(KeyError\)"),
    ],
)
def test_a_family_that_gives_something_else_is_refused(
    spec: StudySpec, site: Path, tmp_path: Path, before: str, after: str, why: str
) -> None:
    source = Wheel(tmp_path).source
    assert before in source
    changed = source.replace(before, after)
    if "None" in after:
        changed = source.replace("return both(inputs)", "return None; both(inputs)")
    wheel = Wheel(tmp_path, source=changed)
    wheel.unpack(site)
    study = study_of(spec, digest_of(wheel))
    with pytest.raises(FamilyError, match=why):
        probabilities(initial_state(study).parameters, np.zeros((2, 2), dtype=np.float32), study)


def test_a_tensor_that_a_family_does_not_use_stays(
    spec: StudySpec, site: Path, tmp_path: Path
) -> None:
    source = Wheel(tmp_path).source.replace(' + parameters["out.bias"]', "")
    wheel = Wheel(tmp_path, source=source)
    wheel.unpack(site)
    study = study_of(spec, digest_of(wheel))
    cohort = {"north": (np.ones((4, 2), dtype=np.float32), np.ones(4, dtype=np.int64))}
    after = simulate(study, [cohort])[1].parameters
    assert (after["out.bias"] == 0).all()
    assert (after["out.weight"] != initial_state(study).parameters["out.weight"]).any()


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("model.name", Choice("Squares", {}, NOBODY, SHAPES)),
        ("model.name", Choice("../squares", {}, NOBODY, SHAPES)),
        ("model.name", Choice("squares", {})),
        ("model.digest", Choice("squares", {}, "0" * 63, SHAPES)),
        ("model.digest", Choice("squares", {}, "A" * 64, SHAPES)),
        ("model.tensors", Choice("squares", {}, NOBODY)),
        ("model.tensors", Choice("squares", {}, NOBODY, ())),
        ("model.tensors", Choice("squares", {}, NOBODY, SHAPES[::-1])),
        ("model.tensors", Choice("squares", {}, NOBODY, (*SHAPES, SHAPES[1]))),
        ("model.tensors", Choice("squares", {}, NOBODY, SHAPES[1:])),
        ("model.tensors", Choice("squares", {}, NOBODY, (SHAPES[0], Tensor("out.weight", (2, 4))))),
        (
            "model.tensors[0]",
            Choice("squares", {}, NOBODY, (Tensor("a\x1b.weight", (1,)), *SHAPES)),
        ),
        ("model.tensors[0]", Choice("squares", {}, NOBODY, (Tensor("a.weight", (0,)), *SHAPES))),
        ("model.config", Choice("squares", {}, NOBODY, (Tensor("a.weight", (2**30,)), *SHAPES))),
        ("model.tensors", Choice("logistic", {}, None, SHAPES)),
    ],
)
def test_a_model_that_no_family_can_have_is_refused_by_name(
    spec: StudySpec, key: str, model: Choice
) -> None:
    with pytest.raises(SpecError) as caught:
        check_spec(replace(spec, model=model))
    assert caught.value.key == key


def test_a_strategy_is_always_built_in(spec: StudySpec) -> None:
    with pytest.raises(SpecError, match="all strategies are built in") as caught:
        check_spec(replace(spec, strategy=Choice("fedavg", {}, NOBODY)))
    assert caught.value.key == "strategy"


def test_what_is_installed_is_listed_without_being_imported(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, linked = Wheel(tmp_path), Wheel(tmp_path, family="linked")
    for wheel in (sound, linked):
        wheel.unpack(site)
    digest = digest_of(sound)
    _link(linked, site)
    assert families_main([]) == 0
    told = capsys.readouterr().out
    assert "logistic  built in" in told
    assert f"squares@{digest}  {sound.package} 1.0" in told
    assert f"linked  refused: {linked.package} 1.0: has a link" in told
    assert not sound.marker.exists()


def test_a_spec_s_model_is_printed_as_a_spec_takes_it(
    spec: StudySpec, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = Wheel(tmp_path)
    wheel.unpack(site)
    digest = digest_of(wheel)
    assert families_main(["declare", f"squares@{digest}", "--shape", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    tree = json.loads(spec.to_json())
    assert read_json(json.dumps(tree | told)) == study_of(spec, digest)
    assert families_main(["declare", f"squares@{NOBODY}", "--shape", "2"]) == 1
    assert f"{wheel.package} 1.0 has the digest {digest}" in capsys.readouterr().err
