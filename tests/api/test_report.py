"""The report as a file: what its text says, and what nobody can put into it."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from api.cli.main import main
from api.errors import ReportError
from api.report import conduct, findings, tasks, tracing
from api.report.blocks import Items, Section, Table, Text
from api.report.data import Failure, ReportData
from api.report.file import read_data, write_data
from api.report.missing import missing
from api.report.numbers import coarse, figure, plus, round_tokens, signed, size, tokens, with_p
from api.report.page import render
from api.report.summary import summary
from federated.evaluation.paired import Difference
from federated.evaluation.result import CENTRALISED, POOLED, Comparison
from federated.metrics import Estimate
from tests.api.report_sample import HOSPITALS, hostile, sample, task_sample

ATTACK = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"--> $\\frac{x}$ {{ 7*7 }} \x1b'


class Page(HTMLParser):
    """Tags with their attributes, and all text outside style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside != "style":
            self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, found in self.tags if (value := found.get(name))]


@pytest.fixture(scope="module")
def data() -> ReportData:
    return sample()


@pytest.fixture(scope="module")
def page(data: ReportData) -> str:
    return render(data)


BESIDE = ("pooled", "beside")
FALSE = "its cohort was proven false"
ALL_IN = "Every hospital's update is in every round's model, and none came late."


def compared(
    data: ReportData,
    auc: Difference,
    brier: Difference | None = None,
    accuracy: Difference | None = None,
) -> ReportData:
    """The same data, every comparison with these differences, and nobody withheld."""
    found = data.evaluation
    pairs = [(f"local:{name}", where) for name in HOSPITALS for where in (name, POOLED)]
    items = [
        Comparison(rival, where, auc, brier or auc, accuracy)
        for rival, where in [*pairs, (CENTRALISED, POOLED)]
    ]
    return replace(data, evaluation=replace(found, comparisons=tuple(items)))


def plain(section: Section) -> str:
    """The text of a section's blocks, without its plots."""
    told = []
    for block in section.blocks:
        if isinstance(block, Text):
            told.append(block.text)
        elif isinstance(block, Items):
            told += [item.text for item in block.items]
        elif isinstance(block, Table):
            told += [cell.text for line in block.rows for cell in line]
    return "\n".join(told)


def words(page: str) -> str:
    return " ".join(Page(page).text.split())


def test_the_same_data_give_the_same_bytes(data: ReportData, page: str) -> None:
    assert render(data) == page


def test_the_page_names_nothing_outside_itself(page: str) -> None:
    found = Page(page)
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "iframe", "object", "embed", "form", "img", "base"}
    links = found.values("href") + found.values("src") + found.values("action")
    assert all(link.startswith(("#", "data:,")) for link in links)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert not re.search(r"https?://", page)


def test_a_policy_forbids_scripts_and_requests(page: str) -> None:
    policy = next(
        str(found["content"])
        for tag, found in Page(page).tags
        if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert not any(name.startswith(("script", "connect", "font")) for name in rules)


def test_what_others_wrote_stays_text() -> None:
    page = render(hostile(ATTACK))
    found = Page(page)
    assert not {tag for tag, _ in found.tags} & {"script", "img"}
    assert all(not name.startswith("on") for _, attrs in found.tags for name in attrs)
    assert "<script>alert(1)</script>" in found.text
    assert "{{ 7*7 }}" in found.text
    assert "$\\frac{x}$" in found.text
    ids = found.values("id")
    assert len(ids) == len(set(ids))


def test_strange_names_of_hospitals_break_no_plot() -> None:
    for names in (("_", "病院" * 30, "a" * 300, "\u200b"), ("Hôpital & fils", "$x$", "-", "0")):
        page = render(hostile("Ω" * 80, *names))
        assert all(escape(name) in page for name in names)


def test_every_reference_inside_the_page_has_its_target(page: str) -> None:
    found = Page(page)
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    named = " ".join(found.values("aria-labelledby")).split()
    inner = [link[1:] for link in found.values("href") if link.startswith("#")]
    clips = re.findall(r"url\(#([^)]+)\)", page)
    assert {*named, *inner, *clips} <= set(ids)


def test_no_picture_has_a_colour_of_its_own(page: str) -> None:
    pictures = page[page.index("<svg") : page.rindex("</svg>")]
    assert not re.search(r"(?:fill|stroke):\s*(?:#|rgb|black|white)", pictures)
    assert not re.search(r'(?:fill|stroke)="(?:#|rgb)', pictures)


def test_nothing_of_a_withheld_hospital_is_shown_and_it_is_said(page: str) -> None:
    told = words(page)
    assert "Not shown: lakeside" in told
    assert "come without counts" in told
    assert "roc-4" not in page
    assert "calibration-4" not in page


def test_the_summary_answers_the_six_questions(page: str) -> None:
    told = words(page).partition("Contents")[0]
    assert "Can it be told?" in told
    assert "4 hospitals (north, harbor, valley, lakeside)" in told
    assert re.search(r"AUC 0\.\d{3} \(0\.\d{3}–[01]\.\d{3}\)", told)
    assert "not shown, for too few patients, for 1 of 4" in told
    assert "the books balance" in told
    assert "190 patients got 200 tokens, 2 of 4 hospitals 400; 400 of the budget of 1,000" in told
    assert "13 of 13 checks hold" in told


def test_books_that_do_not_balance_are_said_so(data: ReportData) -> None:
    wrong = replace(data, money=replace(data.money, refunded=data.money.refunded - 1))
    assert summary(wrong)[4].mark == "the books do not balance"
    assert summary(data)[4].mark == "the books balance"


def test_a_failed_audit_is_said_first_and_each_failure_listed(data: ReportData) -> None:
    failure = Failure("root", 2, "harbor", "the list does not give the frozen root")
    groups = (data.audit.groups[0], replace(data.audit.groups[1], passed=11, failed=1))
    audit = replace(data.audit, ok=False, groups=groups, failures=(failure,))
    failed = replace(data, audit=audit)
    assert summary(failed)[5].mark == "not ok"
    assert "12 of 13 checks hold" in summary(failed)[5].text
    assert "the list does not give the frozen root" in str(tracing.audit(failed))


def test_each_hospital_that_was_not_helped_is_told_why(data: ReportData, page: str) -> None:
    told = words(page)
    start = told.rindex("Where federated training is not shown to help")
    section = told[start : told.index("Cross-site matrix", start)]
    assert "lakeside not shown It has fewer than 5 test patients" in section
    for name in HOSPITALS[:3]:
        item = data.evaluation.comparison(f"local:{name}", name)
        assert item is not None
        assert signed(item.auc) in section


def test_a_difference_is_claimed_by_its_p_alone(data: ReportData) -> None:
    clear = Difference(0.05, 0.01, 0.09, 0.014)
    unclear = Difference(0.05, -0.01, 0.11, 0.102)
    for found, claims in ((clear, True), (unclear, False)):
        judged = compared(data, found)
        told, helps = plain(findings.section(judged)), summary(judged)[3].text
        assert with_p(found) in told
        assert ("At every hospital the federated model is better" in told) is claims
        assert ("federated training ranked patients better than that" in told) is claims
        assert ("does not show that the federated model" in told) is not claims
        assert ("better than the own model for 4 of 4" in helps) is claims
        assert ("no difference can be told for 4 of 4" in helps) is not claims


def test_probabilities_and_decisions_are_judged_by_their_own_tests(data: ReportData) -> None:
    unclear, better = Difference(0.0, -0.1, 0.1, 1.0), Difference(0.05, 0.01, 0.09, 0.014)
    worse = Difference(-0.05, -0.09, -0.01, 0.014)
    told = plain(findings.section(compared(data, unclear, brier=better, accuracy=worse)))
    assert f"Its probabilities are less accurate (Brier score {with_p(better)})" in told
    assert f"It decides rightly less often (accuracy {with_p(worse)})" in told
    told = plain(findings.section(compared(data, unclear, brier=worse, accuracy=better)))
    assert f"Its probabilities are more accurate (Brier score {with_p(worse)})" in told
    assert f"It decides rightly more often (accuracy {with_p(better)})" in told
    told = plain(findings.section(compared(data, unclear, brier=unclear, accuracy=None)))
    assert "Its probabilities" not in told
    assert "It decides" not in told


def test_tuned_models_stand_beside_the_federated_one_with_intervals(page: str) -> None:
    tables = {x: page[page.index(f'id="t-{x}"') :].partition("</table>")[0] for x in BESIDE}
    for name in HOSPITALS[:3]:
        assert f"own of {name}" in tables["beside"]
        assert f"own of {name}" in tables["pooled"]
    assert "lakeside" not in tables["beside"]  # it is withheld
    for found in tables.values():
        figures = re.findall(r"<td[^>]*>(.*?)</td>", found)
        values = [x for x in figures if re.match(r"[01]\.\d", x)]
        assert len(values) > 5
        assert all('<span class="ci">(' in x for x in values)


def test_a_hospital_that_set_few_rows_aside_is_not_given_by_the_rows_of_all(
    data: ReportData, page: str
) -> None:
    valley = data.quality[2]
    assert valley.quarantined is None
    assert valley.rows is None
    shown = [item.rows for item in data.quality if item.rows is not None]
    assert len(shown) == 3
    told = words(page)
    assert re.search(r"valley – 1–4", told)
    assert "0 to 4" not in told


def test_voided_and_excluded_updates_are_told_in_words(page: str) -> None:
    drawing = re.search(r'<desc id="provenance-1-desc">([^<]+)', page)
    assert drawing
    assert "with updates of north, 1 late, harbor; valley left out: non-finite" in drawing[1]
    assert "harbor voided" in drawing[1]
    assert "model 3, contaminated" in words(page)


def test_each_hospital_that_is_in_no_model_or_late_is_named_with_the_reason(
    data: ReportData, page: str
) -> None:
    found = page[page.index('id="t-missing"') :].partition("</table>")[0]
    lines = re.findall(r"<tr>\s*(.*?)</tr>", found.partition("<tbody>")[2], re.DOTALL)
    assert [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines] == [
        ["2", "north", "1 model late", "it counts with 1/2 of its weight"],
        ["2", "valley", "excluded: non-finite", "it holds a number beyond every bound"],
        ["2", "lakeside", "did not freeze", "it named no cohort in time"],
        ["3", "harbor", "voided", f"{FALSE} after the round: the model holds it"],
        ["4", "north", "sent, not used", "the round gave no model"],
        ["4", "harbor", "did not submit", "it froze its cohort and sent no update in time"],
        ["4", "valley", "not in the round", "it was not drawn, or had not enrolled, or had left"],
        ["4", "lakeside", "voided", f"{FALSE} before the mean"],
    ]
    first = replace(data.provenance, rounds=data.provenance.rounds[:1])
    blocks = missing(replace(data, provenance=first))
    assert [x.text for x in blocks if isinstance(x, Text)] == [ALL_IN]


def test_an_update_that_auditors_found_left_out_falsely_is_told_as_such(data: ReportData) -> None:
    rounds = tuple(
        replace(x, updates=tuple(replace(item, restored=True) for item in x.updates))
        for x in data.provenance.rounds
    )
    page = render(replace(data, provenance=replace(data.provenance, rounds=rounds)))
    assert page.count("; auditors found otherwise, and its weight counts") == 1


def test_contributions_are_shown_where_they_are_measured(data: ReportData, page: str) -> None:
    told = words(page)
    assert "contribution, nats" in told
    assert "by harbor" in told
    assert "+2.00 +1.00 to +3.00 0.25" in told
    counted = tuple(replace(share, contribution=None) for share in data.money.shares)
    plain = replace(data, money=replace(data.money, shares=counted, gains=()))
    assert "contribution, nats" not in str(conduct.money(plain))
    assert "by harbor" not in str(conduct.money(plain))


def test_every_table_says_where_its_figures_come_from(page: str) -> None:
    assert page.count("<table") == page.count('<p class="source">')


def test_data_survive_their_file(data: ReportData, tmp_path: Path) -> None:
    path = write_data(tmp_path, data)
    assert read_data(path) == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def damaged(text: str, how: str) -> str:
    tree: dict[str, Any] = json.loads(text)
    if how == "cut off":
        return text[: len(text) // 2]
    if how == "another format":
        tree["format"] = "consilium/report/0"
    elif how == "a list":
        return "[]"
    elif how == "missing":
        del tree["money"]["paid"]
    elif how == "a word for a number":
        tree["money"]["paid"] = "much"
    elif how == "no number":
        tree["evaluation"]["cells"][0]["scores"]["auc"]["value"] = float("nan")
    elif how == "deep":
        return "[" * 100_000
    return json.dumps(tree)


@pytest.mark.parametrize(
    "how",
    ["cut off", "another format", "a list", "missing", "a word for a number", "no number", "deep"],
)
def test_damaged_data_end_in_one_clear_error(
    how: str, data: ReportData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_text(damaged(json.dumps(asdict(data)), how))
    assert main(["--home", str(tmp_path), "report"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(path) in error
    assert "run `consilium demo` again" in error
    assert not (tmp_path / "report.html").exists()


def test_a_folder_without_a_report_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="does not exist: run `consilium demo`"):
        read_data(tmp_path / "report.json")


def test_the_report_is_made_again_from_its_data(
    data: ReportData, page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path, data)
    out = tmp_path / "elsewhere" / "page.html"
    assert main(["--home", str(tmp_path), "report", "--out", str(out)]) == 0
    assert out.read_text("utf-8") == page
    assert str(out) in capsys.readouterr().out
    assert main(["--home", str(tmp_path), "report"]) == 0
    assert (tmp_path / "report.html").read_text("utf-8") == page


def test_a_page_that_cannot_be_written_is_said_so(
    data: ReportData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path, data)
    assert main(["--home", str(tmp_path), "report", "--out", str(tmp_path)]) == 1
    assert "name another --out" in capsys.readouterr().err


def test_figures_have_one_form_each() -> None:
    assert figure(Estimate(0.86546, 0.82045, 0.91046)) == "0.865 (0.820–0.910)"
    assert signed(Estimate(-0.0004, -0.02, 0.5)) == "0.000 (−0.020 to +0.500)"
    assert (
        with_p(Difference(0.024, -0.006, 0.043, 0.14)) == "+0.024 (−0.006 to +0.043), p\u00a00.140"
    )
    assert with_p(Difference(0.2, 0.1, 0.3, 0.0)).endswith("p\u00a0<\u202f0.001")
    assert with_p(Difference(1.0, 1.0, 1.0, None)) == "+1.000 (+1.000 to +1.000)"
    assert plus(0.5, 2) == "+0.50"
    assert tokens(131_504_500_642_948_992_713) == "131.5045"
    assert round_tokens(1600 * 10**18) == "1,600"
    assert (coarse(None), coarse(0), coarse(1234)) == ("1–4", "0", "1,234")
    assert (size(208), size(10_240), size(104_857_600)) == ("208 B", "10.0 KiB", "100.0 MiB")


def test_a_study_of_classes_shows_its_figures_and_withholds_few_people(tmp_path: Path) -> None:
    found = task_sample()
    write_data(tmp_path, found)
    assert read_data(tmp_path / "report.json") == found
    text = Page(render(found)).text
    for words in ("AUC, one class against the rest", "Brier score", "centralised", "own of harbor"):
        assert words in text, words
    assert found.figures is not None
    tables = [x for x in tasks.section(found, found.figures).blocks if isinstance(x, Table)]
    signed, beside = ({tuple(c.text for c in line) for line in x.rows} for x in tables)
    assert ("lakeside", "–", *["not shown"] * 4) in signed
    assert ("all hospitals", "federated", *["not shown"] * 4) in beside
    assert len(beside) == 6 + 3 * len(HOSPITALS)
    assert "malignant" not in text
    assert "on test patients: north: 0." in summary(found)[2].text
    assert not any("Does it help" in item.head for item in summary(found))
