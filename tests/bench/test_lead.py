"""The federated model's lead: every tuned model beside it, on the same test records, with its p."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from bench.lead import OWN_MEAN, leads, sites_of
from federated.evaluation.result import CENTRALISED, own_model
from federated.studies import heart_spec
from records import heart
from records.sources import HEART
from tests.data_sets import need


def test_each_tuned_model_is_beside_the_federated_one_with_its_p(tmp_path: Path) -> None:
    need(*HEART.values())
    spec = replace(heart_spec(seed=11), rounds=1)
    sites = sites_of(spec, tmp_path)
    everyone = sum(len(part[0]) for s in sites.values() for part in (s.train, s.validation, s.test))
    assert everyone == 918
    found = {item.rival: item for item in leads(spec, sites)}
    own = [own_model(name) for name in heart.ROWS]
    assert set(found) == {CENTRALISED, OWN_MEAN, *own}
    assert found[OWN_MEAN].lead.value == pytest.approx(mean(found[x].lead.value for x in own))
    for item in found.values():
        assert item.rival_auc == pytest.approx(item.federated.value - item.lead.value)
        assert item.lead.p is not None
        assert (item.lead.p < 0.05) is (item.lead.low > 0 or item.lead.high < 0)
