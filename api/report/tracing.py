"""What anyone can trace: where the final model comes from, and what the auditor found."""

from __future__ import annotations

from api.report.blocks import (
    ON_CHAIN,
    Block,
    Cell,
    Drawing,
    Section,
    Text,
    row,
    table,
)
from api.report.check_words import CHECK_WORDS
from api.report.data import ReportData, RoundFacts
from api.report.drawing import drawings
from api.report.missing import missing
from api.report.numbers import (
    NONE,
    count,
)


def provenance(data: ReportData) -> Section:
    """Where the final model comes from."""
    found = data.provenance
    pictures = drawings(found, data.study.spec_digest)
    blocks: list[Block] = [
        Text(
            "Every round starts from its parent's model and adds the mean of the updates that it "
            "includes. A box at the left is a hospital's sealed update, named by the beginning of "
            "its manifest's digest; boxes at the right are models, named by the digest of their "
            "state."
        ),
        *(
            Drawing(f"drawing-{place}", title, picture)
            for place, (title, picture) in enumerate(pictures)
        ),
        *missing(data),
        table(
            "digests",
            "What this report is about",
            ON_CHAIN,
            ("what", "sha2-256"),
            [
                row("spec of the study", Cell(data.study.spec_digest, code=True)),
                row("first model", Cell(found.first_state, code=True)),
                row(f"final model (round {found.final_round})", Cell(found.final_state, code=True)),
            ],
            words=(1,),
        ),
        table(
            "rounds",
            "Every update of every round",
            ON_CHAIN,
            ("round", "hospital", "fate", "people", "weight", "manifest of the update"),
            [line for round_ in found.rounds for line in _round_rows(round_)],
            words=(1, 2, 5),
            folded=True,
        ),
        table(
            "models",
            "Every model",
            ON_CHAIN,
            ("round", "parent", "outcome", "state", "manifest of the round"),
            [_model_row(round_) for round_ in found.rounds],
            words=(2, 3, 4),
            folded=True,
        ),
    ]
    return Section("provenance", "Provenance of the final model", tuple(blocks))


def _round_rows(round_: RoundFacts) -> list[tuple[Cell, ...]]:
    return [
        row(
            str(round_.number),
            item.hospital,
            f"{item.fate} ({item.code})" if item.code else item.fate,
            count(item.people),
            count(item.weight),
            Cell(item.manifest or NONE, code=True),
        )
        for item in round_.updates
    ]


def _model_row(round_: RoundFacts) -> tuple[Cell, ...]:
    outcome = f"{round_.phase}, contaminated" if round_.contaminated else round_.phase
    return row(
        str(round_.number),
        str(round_.parent),
        outcome,
        Cell(round_.state or NONE, code=True),
        Cell(round_.manifest or NONE, code=True),
    )


def audit(data: ReportData) -> Section:
    """What the auditor replayed."""
    found = data.audit
    total = sum(group.passed + group.failed for group in found.groups)
    failed = sum(group.failed for group in found.groups)
    level = {
        "keyed": "with the key of an auditor whom the study names: every aggregate was recomputed "
        "bit for bit",
        "keyless": "without a key: aggregates were not recomputed",
    }.get(found.level, found.level)
    blocks: list[Block] = [
        Text(
            f"{'All' if not failed else 'Not all'} checks hold: {count(total - failed)} of "
            f"{count(total)}, up to block {count(found.block)}, {level}.",
            "good" if found.ok else "bad",
        )
    ]
    if found.failures:
        rows = [
            row(
                item.name,
                NONE if item.round_number is None else str(item.round_number),
                item.hospital or NONE,
                item.detail,
            )
            for item in found.failures
        ]
        columns = ("check", "round", "hospital", "why")
        blocks.append(
            table("failures", "What does not hold", ON_CHAIN, columns, rows, words=(2, 3))
        )
    groups = [
        row(item.name, CHECK_WORDS.get(item.name, NONE), count(item.passed), count(item.failed))
        for item in found.groups
    ]
    columns = ("check", "what it says", "hold", "do not")
    blocks.append(table("checks", "Named checks", ON_CHAIN, columns, groups, words=(1,)))
    return Section("audit", "Audit", tuple(blocks))
