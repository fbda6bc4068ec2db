"""How settings are chosen: never by a test record, and the studies have what was chosen."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import selection
from bench.candidates import CANDIDATES, Candidate
from federated.spec import StudySpec
from federated.studies import heart_spec, pneumonia_spec
from records import pneumonia
from records.errors import RecordsError
from records.sources import HEART
from tests.data_sets import need


def archive(*splits: str) -> bytes:
    """An archive of PneumoniaMNIST's form with 600 random images in each of these splits."""
    source, file = np.random.default_rng(1), io.BytesIO()
    arrays: dict[str, Any] = {}
    for name in splits:
        arrays[f"{name}_images"] = source.integers(0, 256, (600, 28, 28), dtype=np.uint8)
        arrays[f"{name}_labels"] = (np.arange(600) % 2)[:, None]
    np.savez(file, **arrays)
    return file.getvalue()


def test_a_choice_needs_no_official_test_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pneumonia, "read_source", lambda _source: archive("train", "val"))
    sites = selection.learning_sites(pneumonia_spec(seed=11), tmp_path / "learning")
    assert sum(len(part[0]) for s in sites.values() for part in (s.train, s.validation)) == 1200
    with pytest.raises(RecordsError, match="not the archive"):
        pneumonia.deal(tmp_path / "all", 11)


def test_a_choice_sees_no_test_record_of_the_hearts(tmp_path: Path) -> None:
    need(*HEART.values())
    sites = selection.learning_sites(heart_spec(seed=11), tmp_path)
    seen = sum(len(part[0]) for s in sites.values() for part in (s.train, s.validation))
    assert 0.64 * 918 < seen < 0.68 * 918


def test_a_candidate_is_judged_by_validation_records(tmp_path: Path) -> None:
    need(*HEART.values())

    def hurried(spec: StudySpec) -> StudySpec:
        return replace(spec, rounds=1)

    sites = {11: selection.learning_sites(heart_spec(seed=11), tmp_path)}
    judged = selection.judge(Candidate("hurried", "to be quick", hurried), "heart", sites)
    assert judged.criterion == judged.loss
    assert 0.2 < judged.loss < 0.7
    assert 0.6 < judged.auc < 1
    assert judged.stressed is None


def test_the_x_ray_study_has_the_settings_that_were_chosen() -> None:
    chosen = "deep, varied, 10 × 2, standardised"
    candidate = next(item for item in CANDIDATES["pneumonia"] if item.name == chosen)
    assert candidate.change(pneumonia_spec(seed=2)) == pneumonia_spec(seed=2)


def test_the_heart_study_is_among_its_candidates() -> None:
    assert any(item.change(heart_spec()) == heart_spec() for item in CANDIDATES["heart"])


def test_no_figure_is_chosen_on_seeds_that_results_are_reported_for() -> None:
    assert not {1, 2, 3} & set(selection.SEEDS)
