"""A checked dataset as the page and the advice see it."""

from typing import Any
from weakref import WeakKeyDictionary

from backend.datasets.checks.fix import Change
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import Split
from backend.evaluation.items import items_from
from backend.evaluation.measures import choose_measure
from backend.records.specs import Trainer
from ui.records.data import DatasetState
from ui.services.data.samples import sample_questions, sides
from ui.text import verdicts

_ENOUGH = 500  # training answers to know their form by


_states: WeakKeyDictionary[CheckedDataset, DatasetState] = WeakKeyDictionary()


def dataset_state(checked: CheckedDataset) -> DatasetState:
    """A checked dataset as the page shows it; computed once, because a tab asks several times."""
    if (state := _states.get(checked)) is None:
        state = _states[checked] = _dataset_state(checked)
    return state


def _dataset_state(checked: CheckedDataset) -> DatasetState:
    changes: dict[str, list[Change]] = {}
    for change in checked.fixed.changes:
        changes.setdefault(change.kind, []).append(change)
    unread = {problem.row for problem in checked.unread if not checked.info.is_accepted(problem)}
    unusable, rows = len(unread), checked.dataset.rows
    now = {row.row: row for row in rows}
    return DatasetState(
        name=checked.name,
        original=checked.original,
        report=checked.report,
        problems=checked.problems,
        rows=len(rows),
        info=checked.info,
        split_summary=" ".join(filter(None, (checked.summary, provable(checked, checked.split)))),
        blocked=checked.blocked,
        too_few=checked.too_few,
        errors=len(unread | checked.fixed_report.error_rows()),
        duplicates=checked.fixed_report.duplicates,
        unreadable=frozenset(problem.kind for problem in checked.unread),
        validation_name=checked.validation.report.source.name if checked.validation else "",
        fix_previews=checked.fix_previews,
        changes=changes,
        changed=checked.fixed.changed,
        dropped={c.row: c for c in checked.fixed.changes if c.row not in now and c.row not in unread},
        examples=tuple(rows[at] for at in sorted({0, len(rows) // 2, len(rows) - 1})) if rows else (),
        now=now,
        unusable=unusable,
        tokens=checked.fixed_report.tokens,
    )


def data_facts(checked: CheckedDataset | None, trainer: Trainer = "sft") -> dict[str, Any]:
    """The facts about the data that a recommendation takes into account, as keyword arguments."""
    if checked is None or checked.fixed_report.tokens is None:
        return {"rows": len(checked.dataset.rows) if checked else None}
    tokens = checked.fixed_report.tokens
    total, learned = epoch_tokens(tokens, trainer)
    return {
        "rows": len(checked.dataset.rows),
        "longest": tokens.longest,
        "tokens": total,
        "learned_share": learned / total if total else None,
        "documents": tokens.documents > 0,
        "language": checked.language,
        "train_rows": checked.pieces(checked.split.train) if tokens.documents else None,
    }


def epoch_tokens(tokens: TokenTotals, trainer: Trainer) -> tuple[int, int]:
    """All tokens and the learned tokens of one epoch. DPO reads both answers."""
    if trainer == "sft":
        return tokens.total, tokens.learned
    return tokens.total + tokens.rejected, tokens.learned + tokens.rejected_learned


def has_pairs(checked: CheckedDataset) -> bool:
    """Whether every example has a good and a bad answer."""
    return bool(checked.rows) and all(row.rejected for row in checked.rows)


def provable(checked: CheckedDataset, split: Split) -> str:
    """The smallest gain that the held-out rows can prove, in words; "" where answers are not right or wrong."""
    _, (judging, _) = sides(checked, split)
    items, rows = items_from(judging), checked.rows
    learned = [rows[i].messages[-1] for i in split.train[:_ENOUGH] if rows[i].messages]
    if not items or choose_measure([*learned, *(item.expected for item in items)]).graded:
        return ""
    added = len(sample_questions(checked))
    sample = f"The sample's {added} extra questions judge the result too." if added else ""
    return " ".join(filter(None, (sample, verdicts.provable(len({item.cluster for item in items})))))
