"""The report as a person has it: in a real Chromium, in light and dark, narrow, printed, by key."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.report.page import render
from tests.api.report_sample import hostile, sample, task_sample
from tests.api.test_report import ATTACK
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.engine("chromium"),
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
]


def opened(page: str, folder: Path) -> dict[str, Any]:
    """What Chromium makes of a page; with CONSILIUM_PICTURES its pictures are kept there."""
    path = folder / "report.html"
    path.write_text(page, "utf-8")
    script = ROOT / "tests" / "browser" / "report.mjs"
    command = [str(ROOT / ".venv" / "bin" / "node"), str(script), str(path)]
    if pictures := os.environ.get("CONSILIUM_PICTURES"):
        command.append(pictures)
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    told["address"] = path.as_uri()
    return told


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return opened(render(sample()), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return opened(render(hostile(ATTACK * 3)), tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def of_classes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return opened(render(task_sample()), tmp_path_factory.mktemp("classes"))


def test_a_report_of_classes_is_as_sound(of_classes: dict[str, Any]) -> None:
    assert of_classes["console"] == []
    assert not any(of_classes["beyond"].values())
    assert [x for x in of_classes["axe"]["light"] if x["impact"] in ("serious", "critical")] == []
    found = of_classes["structure"]
    keys = ("repeated", "unnamed", "dangling", "scopeless", "captionless", "scripts")
    assert {key: found[key] for key in keys if found[key]} == {}


def test_nothing_but_the_file_itself_is_requested(told: dict[str, Any]) -> None:
    assert set(told["requests"]) == {told["address"]}
    assert told["console"] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(told: dict[str, Any], scheme: str) -> None:
    assert [x for x in told["axe"][scheme] if x["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("window", ["320", "1280 light", "1280 dark", "print"])
def test_nothing_reaches_beyond_the_window(told: dict[str, Any], window: str) -> None:
    assert told["beyond"][window] == []


def test_the_keyboard_reaches_and_scrolls_every_table(told: dict[str, Any]) -> None:
    keyboard = told["keyboard"]
    assert keyboard["all"] == keyboard["wanted"] == keyboard["reached"] > 15
    assert keyboard["scrolled"] > 3
    assert keyboard["stuck"] == []


def test_it_prints_on_paper_with_what_is_folded(told: dict[str, Any]) -> None:
    assert told["pages"] > 3
    assert told["folded"] == 0
    assert told["paper"] == "rgb(255, 255, 255)"


def test_the_page_is_built_as_a_screen_reader_wants(told: dict[str, Any]) -> None:
    found = told["structure"]
    assert found["lang"] == "en"
    assert "A study of generated patients" in found["title"]
    assert found["headings"][0] == 1
    assert set(found["headings"][1:]) == {2}
    assert found["pictures"] > 10
    keys = ("repeated", "unnamed", "dangling", "scopeless", "captionless", "scripts")
    assert {key: found[key] for key in keys if found[key]} == {}


def test_an_attack_in_every_name_runs_nothing_and_breaks_nothing(attacked: dict[str, Any]) -> None:
    assert set(attacked["requests"]) == {attacked["address"]}
    assert attacked["console"] == []
    assert attacked["structure"]["scripts"] == 0
    assert "<script>alert(1)</script>" in attacked["structure"]["text"]
    assert attacked["beyond"]["320"] == []
    serious = [x for x in attacked["axe"]["light"] if x["impact"] in ("serious", "critical")]
    assert serious == []
