"""policy.toml: whatever is doubtful about it is an error, and an error allows nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federated.errors import PolicyRefused
from federated.hospital import Policy, read_policy
from federated.hospital.policy import defaults_toml
from federated.hospital.policy.file import LARGEST
from federated.hospital.policy.standing import policies_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def _refused(path: Path, text: str | bytes) -> PolicyRefused:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return _read_refused(path)


def _read_refused(path: Path) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as caught:
        read_policy(path)
    assert str(path) in str(caught.value)
    return caught.value


def test_a_file_of_rules_is_read_and_the_others_are_the_defaults(path: Path) -> None:
    path.write_text(
        'purposes = ["HMB", "NCU"]\nmodes = ["open"]\nleast_cohort = 50\nepsilon_per_year = 3\n'
        f'centers = ["0x{"AB" * 20}"]\ndenied_centers = []\n'
    )
    assert read_policy(path) == Policy(
        purposes=("HMB", "NCU"),
        modes=("open",),
        least_cohort=50,
        epsilon_per_year=3.0,
        centers=("0x" + "ab" * 20,),  # type: ignore[arg-type]
    )


def test_the_file_that_init_writes_says_the_defaults(path: Path) -> None:
    path.write_text(defaults_toml())
    assert read_policy(path) == Policy()
    assert max(map(len, defaults_toml().splitlines())) <= 100


def test_each_rule_of_the_written_file_can_be_uncommented(path: Path) -> None:
    address = "0x" + "ab" * 20
    text = defaults_toml().replace("0x…", address)
    rules = [line for line in text.splitlines() if " = " in line.split(":")[0]]
    path.write_text("\n".join(line.removeprefix("# ") for line in rules))
    found = read_policy(path)
    assert all(getattr(found, name) is not None for name in Policy.__dataclass_fields__)
    assert len(rules) == len(Policy.__dataclass_fields__)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("least_cohorts", "least_cohort"),
        ("purpose", "purposes"),
        ("max_rounds", "most_rounds"),
        ("epsilon_per_yr", "epsilon_per_year"),
        ("denied_feature", "denied_features"),
    ],
)
def test_an_unknown_rule_names_the_nearest_known_one(path: Path, key: str, nearest: str) -> None:
    found = _refused(path, f"{key} = 1\n")
    assert found.rule == key
    assert str(found).endswith(f"unknown rule; the nearest known is {nearest}")


def test_an_unknown_rule_writes_no_control_character_to_a_terminal(path: Path) -> None:
    assert str(_refused(path, '"\\u001b[2Jx" = 1\n')).isprintable()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("least_cohort = nan", "least_cohort"),
        ("least_cohort = 20.0", "least_cohort"),
        ("least_cohort = true", "least_cohort"),
        ('least_cohort = "20"', "least_cohort"),
        ("least_cohort = -1", "least_cohort"),
        ("most_rounds = 1_000_000_000_000_000_000_000", "most_rounds"),
        ("most_rounds = [1]", "most_rounds"),
        ("epsilon_per_study = nan", "epsilon_per_study"),
        ("epsilon_per_study = inf", "epsilon_per_study"),
        ("epsilon_per_study = -0.5", "epsilon_per_study"),
        ("epsilon_per_study = 1e300", "epsilon_per_study"),
        ('epsilon_per_year = "1.0"', "epsilon_per_year"),
        ("epsilon_per_year = false", "epsilon_per_year"),
        ('modes = "open"', "modes"),
        ('modes = ["Open"]', "modes"),
        ("modes = [1]", "modes[0]"),
        ("models = [1979-05-27]", "models[0]"),
        ("models = { logistic = true }", "models"),
        ('after_void = ["ignore"]', "after_void"),
        ('purposes = ["research"]', "purposes"),
        ('purposes = ["NCU"]', "purposes"),
        ('denied_features = ["-"]', "denied_features"),
        ('dictionaries = [""]', "dictionaries"),
        ('centers = ["0xabc"]', "centers[0]"),
        ('centers = ["north"]', "centers[0]"),
        ("[least_cohort]\npeople = 3", "least_cohort"),
    ],
)
def test_a_wrong_type_or_value_names_its_rule(path: Path, text: str, rule: str) -> None:
    assert _refused(path, text + "\n").rule == rule


def test_an_empty_list_of_what_is_allowed_is_no_way_to_allow_anything(path: Path) -> None:
    for key, item in Policy.__dataclass_fields__.items():
        if item.default != ():
            continue
        if key.startswith("denied_"):
            path.write_text(f"{key} = []\n")
            assert read_policy(path) == Policy()
        else:
            assert "an empty list" in str(_refused(path, f"{key} = []\n"))


@pytest.mark.parametrize(
    "text",
    [
        "least_cohort 20",
        "least_cohort = 20\nleast_cohort = 1\n",
        "least_cohort = " + "9" * 5000,
        "models = " + "[" * 5000,
        b"models = ['\xff']",
        b"\x00",
    ],
)
def test_what_is_no_toml_is_refused_in_one_short_message(path: Path, text: str | bytes) -> None:
    found = _refused(path, text)
    assert found.rule == "(file)"
    assert len(str(found)) < 400


def test_a_link_is_refused_wherever_it_leads(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "theirs.toml"
    path.symlink_to(target)
    assert "is a link" in str(_read_refused(path))
    with pytest.raises(PolicyRefused):
        policies_at(path)  # a link that leads nowhere is no home without a policy
    target.write_text("")
    assert "is a link" in str(_read_refused(path))


def test_a_file_that_everybody_may_write_is_refused(path: Path) -> None:
    path.write_text("least_cohort = 20\n")
    path.chmod(0o666)
    assert "chmod o-w" in str(_read_refused(path))
    path.chmod(0o664)
    assert read_policy(path) == Policy()


def test_what_is_no_file_is_refused_without_waiting_for_it(path: Path) -> None:
    os.mkfifo(path)
    assert "is no file" in str(_read_refused(path))
    path.unlink()
    path.mkdir()
    assert "is no file" in str(_read_refused(path))


def test_a_huge_file_is_refused(path: Path) -> None:
    assert "bytes" in str(_refused(path, "#" * (LARGEST + 1)))
    path.write_text("#" * LARGEST)
    assert read_policy(path) == Policy()


def test_a_file_that_cannot_be_read_allows_nothing(path: Path, tmp_path: Path) -> None:
    assert "cannot be read" in str(_read_refused(path))
    path.write_text("")
    assert "cannot be read" in str(_read_refused(path / "policy.toml"))
    with pytest.raises(PolicyRefused):
        policies_at(path / "policy.toml")  # where one cannot look there may be one
    assert policies_at(tmp_path / "none.toml") == ()
