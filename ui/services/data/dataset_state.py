"""A checked dataset as the page and the advice see it."""

from weakref import WeakKeyDictionary

from backend.advice.settings import Data
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import Split
from backend.evaluation.items import items_from
from backend.evaluation.measures import choose_measure
from backend.models.catalogue import Task
from backend.records.specs import Trainer
from ui.services.data.samples import sample_questions, sides
from ui.text import verdicts

_ENOUGH = 500  # training answers to know their form by

_summaries: WeakKeyDictionary[CheckedDataset, str] = WeakKeyDictionary()


def split_summary(checked: CheckedDataset) -> str:
    """Sentences on how many rows train and how many judge, and what those can prove;
    cached, as a tab asks often.
    """
    if (summary := _summaries.get(checked)) is None:
        summary = " ".join(
            filter(None, (checked.summary, provable(checked, checked.split)))
        )
        _summaries[checked] = summary
    return summary


def data_facts(
    checked: CheckedDataset | None, task: Task | None = None, trainer: Trainer = "sft"
) -> Data:
    """What a recommendation takes into account of the data and what the model is for."""
    if checked is None or checked.fixed_report.tokens is None:
        return Data(
            task=task,
            trainer=trainer,
            rows=len(checked.dataset.rows) if checked else None,
        )
    tokens = checked.fixed_report.tokens
    total, learned = epoch_tokens(tokens, trainer)
    return Data(
        task=task,
        trainer=trainer,
        rows=len(checked.dataset.rows),
        longest=tokens.longest,
        tokens=total,
        learned_share=learned / total if total else None,
        documents=tokens.documents > 0,
        language=checked.language,
        train_rows=checked.pieces(checked.split.train) if tokens.documents else None,
    )


def epoch_tokens(tokens: TokenTotals, trainer: Trainer) -> tuple[int, int]:
    """All tokens and the learned tokens of one epoch. DPO reads both answers."""
    if trainer == "sft":
        return tokens.total, tokens.learned
    return tokens.total + tokens.rejected, tokens.learned + tokens.rejected_learned


def has_pairs(checked: CheckedDataset) -> bool:
    """Whether every example has a good and a bad answer."""
    return bool(checked.rows) and all(row.rejected for row in checked.rows)


def provable(checked: CheckedDataset, split: Split) -> str:
    """The smallest gain that the held-out rows can prove, in words; "" where answers
    are not right or wrong.
    """
    _, (judging, _) = sides(checked, split)
    items, rows = items_from(judging), checked.rows
    learned = [rows[i].messages[-1] for i in split.train[:_ENOUGH] if rows[i].messages]
    if (
        not items
        or choose_measure([*learned, *(item.expected for item in items)]).graded
    ):
        return ""
    added = len(sample_questions(checked))
    sample = (
        f"The sample's {added} extra questions judge the result too." if added else ""
    )
    return " ".join(
        filter(None, (sample, verdicts.provable(len({item.cluster for item in items}))))
    )
