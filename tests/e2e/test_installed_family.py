"""A study whose model is a family that its hospitals installed, over a real chain."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from api.cli.study import _tree
from api.report.gather import _study
from chain.types import RoundNumber
from federated.center import finalize, open_round
from federated.errors import FamilyError, PolicyRefused
from federated.families import family_of
from federated.families.code import offers
from federated.hospital import freeze, train
from federated.hospital.bedside import open_bedside
from federated.hospital.personalise import personalise
from federated.hospital.policy import Policy
from federated.schema import Tensor
from federated.spec import Choice
from tests.e2e import kit
from tests.federated.wheels import Wheel

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.slow]

running = importlib.import_module("federated.families.running")


def test_a_study_runs_on_installed_code_where_the_policy_lists_it_and_is_audited_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, wheel = tmp_path / "site", Wheel(tmp_path)
    wheel.unpack(site)
    monkeypatch.syspath_prepend(site)
    (offer,) = (item for item in offers() if item.source.name == wheel.package)
    digest = offer.read().digest
    tensors = (Tensor("out.bias", (1,)), Tensor("out.weight", (1, 60)))
    listed = Policy(least_cohort=5, models=(f"squares@{digest}",))
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        spec = kit.study_spec(world, model=Choice("squares", {}, digest, tensors), min_hospitals=3)
        with pytest.raises(PolicyRefused, match="not built in and not listed"):
            kit.enrol_all(world, replace(spec, name="unlisted"))
        monkeypatch.setattr(kit, "Policy", lambda **_: listed)
        kit.enrol_all(world, spec)
        kit.open_tiers(world)
        kit.ask_all(world)
        assert not wheel.marker.exists()  # nothing ran before a hospital trains
        kit.run_round(world)
        assert wheel.marker.exists()
        told = _tree(world.center, world.read(), [])["model"], _study(world.read()).model
        assert set(told) == {f"squares@{digest}"}

        _is_stopped_by_other_code(world, site / wheel.package / "inner.py")
        kit.freeze_and_submit(world, RoundNumber(2))
        shutil.rmtree(site)
        monkeypatch.setattr(running, "_LOADED", {})
        with pytest.raises(FamilyError, match="no distribution offers it"):
            family_of(spec.model)
        finalize(world.center, world.study, RoundNumber(2))
        kit.assert_sound(world)
        for use in (open_bedside, personalise):
            with pytest.raises(PolicyRefused, match="no distribution offers it"):
                use(world.node("north"), world.study, tmp_path / "personal")
        world.forget()


def _is_stopped_by_other_code(world: kit.World, file: Path) -> None:
    north, number = world.node("north"), open_round(world.center, world.study)
    freeze(north, world.study, number)
    source = file.read_text()
    file.write_text(f"{source}\n# another\n")
    with pytest.raises(PolicyRefused, match="has the digest") as caught:
        train(north, world.study, number)
    assert caught.value.rules == ("models",)
    file.write_text(source)
