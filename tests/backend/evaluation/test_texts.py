"""Plain texts: perplexity before and after, with the statistics of graded scores."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from backend.chat.engine import Enough, looping
from backend.chat.torch_engine import TorchEngine
from backend.errors import BadInput
from backend.evaluation.models import Answer, Models
from backend.evaluation.texts import TextEvaluation
from backend.records.evaluation import EvaluationReport
from tests.backend.evaluation.spoken import Spoken
from ui.text import verdicts
from ui.web.try_it import report_card, verdict_card

TEXTS = [
    f"Chapter {n}: {word} rose early and walked to the mill." * 2
    for n, word in enumerate("ABCDEFGHIJKL")
]


class Reader(Spoken):
    """A model that needs loss(pane, text) nats for every token of a text, and counts
    the tokens it scored.
    """

    def __init__(
        self, loss: Callable[[str, str], float], context_length: int = 4096
    ) -> None:
        super().__init__(lambda pane, given: "Paris")
        self._loss = loss
        self.context_length = context_length  # type: ignore[misc]
        self.scored = dict.fromkeys(("base", "tuned"), 0)

    def answer(
        self, pane: str, prompts: Sequence[list[int]], limit: int, each: Callable[[int], None],
        enough: Enough = looping,
    ) -> list[Answer]:  # fmt: skip
        if prompts and len(prompts[0]) == 1:  # the general questions
            return super().answer(pane, prompts, limit, each, enough)
        return [
            Answer(f"{self.decode(prompt)[-4:]} {pane}", True) for prompt in prompts
        ]

    def nats(self, pane: str, ids: Sequence[int], first: int) -> float:
        self.scored[pane] += len(ids) - first
        return (len(ids) - first) * self._loss(pane, self.decode(ids))


def report_of(
    loss: Callable[[str, str], float],
    texts: Sequence[str] = TEXTS,
    size: int = 1024,
    overlap: int = 64,
) -> EvaluationReport:
    report = TextEvaluation(Reader(loss), texts, size, overlap).run()
    return EvaluationReport.model_validate(
        json.loads(json.dumps(report.to_json(), allow_nan=False))
    )


def test_lower_perplexity_is_better() -> None:
    report = report_of(
        lambda pane, text: 5.0 if pane == "base" else 2.0 + ord(text[11]) / 1000
    )
    assert (report.main_measure, report.verdict, report.next_kind) == (
        "perplexity",
        "better",
        "use_it",
    )
    assert report.systems["base"].score == pytest.approx(math.e**5)
    low, high = report.systems["tuned"].interval
    assert low < report.systems["tuned"].score < high < report.systems["base"].score
    low, high = report.comparisons[0].interval
    assert 2.5 < low <= report.comparisons[0].difference <= high, (
        "in nats, positive where it is better"
    )
    worst = [one.scores["tuned"] for one in report.answers]
    assert worst == sorted(worst, reverse=True)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_model_whose_loss_is_not_finite_has_an_endless_perplexity(
    loss: float,
) -> None:
    report = report_of(lambda pane, text: 3.0 if pane == "base" else loss)
    assert report.systems["tuned"].score == math.inf
    assert math.isnan(report.comparisons[0].difference), "written as null"
    assert report.verdict != "better"


def test_verdicts_and_weights_of_texts() -> None:
    report = report_of(lambda pane, text: 3.0 + (pane == "tuned"))
    assert (report.verdict, report.next_kind) == ("worse", "worse")
    report = report_of(
        lambda pane, text: 3.0 if pane == "base" else 3.0 + (-1) ** ord(text[11]) / 10
    )
    assert report.verdict == "no_difference_shown"
    report = report_of(lambda pane, text: 3.0 - (pane == "tuned"), TEXTS[:5])
    assert (report.verdict, report.next_kind) == (
        "no_difference_shown",
        "set_more_aside",
    )
    texts = [*TEXTS, "Z" * 4000]
    report = report_of(lambda pane, text: 9.0 if "ZZ" in text else 1.0, texts)
    assert report.systems["base"].loss == pytest.approx((12 * 1 + 9) / 13)
    report = report_of(lambda pane, text: 1.0, [*TEXTS, TEXTS[0], TEXTS[0]])
    assert (report.items, report.clusters) == (14, 12)


@pytest.mark.parametrize(("size", "overlap"), [(1024, 64), (50, 10), (2, 1)])
def test_each_token_counts_once_whatever_the_windows(size: int, overlap: int) -> None:
    reader = Reader(lambda pane, text: 1.0)
    TextEvaluation(reader, TEXTS, size, overlap).run()
    assert reader.scored == dict.fromkeys(
        reader.scored, sum(len(text) - 1 for text in TEXTS)
    )


def test_windows_have_limits_and_first_tokens_do_not_count() -> None:
    reader = Reader(lambda pane, text: 2.0)
    report = TextEvaluation(reader, ["A" * 101, *TEXTS], 50, 0).run()
    windows = [-(-len(text) // 50) for text in TEXTS]
    predicted = 98 + sum(
        len(text) - count for text, count in zip(TEXTS, windows, strict=True)
    )
    assert reader.scored == dict.fromkeys(reader.scored, predicted)
    assert report.systems["base"].loss == pytest.approx(2.0)

    class Short(Reader):
        def nats(self, pane: str, ids: Sequence[int], first: int) -> float:
            assert len(ids) <= self.context_length
            return super().nats(pane, ids, first)

    report = TextEvaluation(
        Short(lambda pane, text: 1.0, 64), ["A" * 1000, *TEXTS], 1024, 512
    ).run()
    assert report.skipped == 0


def test_the_card_has_both_continuations_of_texts_long_enough() -> None:
    report = report_of(lambda pane, text: 2.0)
    one = report.answers[0]
    assert next(text for text in TEXTS if text.startswith(one.question)).startswith(
        one.question + one.expected
    )
    assert (one.texts["base"].split()[-1], one.texts["tuned"].split()[-1]) == (
        "base",
        "tuned",
    )
    assert report_of(lambda pane, text: 2.0, [*TEXTS, ""]).skipped == 1
    with pytest.raises(BadInput):
        report_of(lambda pane, text: 2.0, ["", "x"])


def test_the_page_knows_that_lower_is_better() -> None:
    report = report_of(lambda pane, text: 3.0 if pane == "base" else 2.0)
    assert "Perplexity 7.4" in verdicts.sentence(report)
    html = verdict_card.verdict(report)
    assert 'class="alert good"' in html
    assert "lower is better" in html
    assert "right" not in verdicts.score("tuned", report)
    card = report_card.answers(report)
    assert card.count("perplexity 20.1") == card.count("perplexity 7.4") == 12
    assert "checkbox" not in card
    assert "badge bad" not in card


def test_one_text_has_no_interval_but_a_report() -> None:
    assert (
        verdicts.interval("tuned", report_of(lambda pane, text: 2.0, TEXTS[:1]))
        == "unknown: there is only one"
    )


def test_nats_in_pieces_are_those_of_the_whole(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    engine = TorchEngine(tiny_model, dtype=torch.float32)
    models = Models(engine, tiny_model, None)
    ids = models.text_ids(
        "The river rises in the hills to the north and runs through three valleys. " * 4
    )
    whole = models.nats("base", ids, 1)
    monkeypatch.setattr("backend.chat.torch_engine._READ", 7)
    assert models.nats("base", ids, 1) == pytest.approx(whole, rel=1e-4)
    assert models.nats("base", ids, 20) < whole
    with torch.inference_mode():
        logits = engine.models["base"](torch.tensor([ids])).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(
        logits.float(), torch.tensor(ids[1:]), reduction="sum"
    )
    assert whole == pytest.approx(float(expected), rel=1e-4)
