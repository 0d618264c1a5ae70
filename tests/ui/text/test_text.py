"""Numbers, verdicts and parts of the memory in words."""

import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest

from backend.estimate import Plan
from backend.estimate.memory import memory
from backend.models import catalogue
from backend.records.evaluation import EvaluationReport
from backend.records.machine import Gpu, Hardware
from jobs.records import State
from jobs.status import Status
from tests.ui import fake_records
from tests.ui.fake_records import against_parent, job, report_json
from ui.text import format as fmt
from ui.text import verdicts
from ui.text.memory import PARTS, memory_parts
from ui.web.try_it import verdict_card

IN_WORDS: dict[Callable[..., str], dict[Any, str]] = {
    fmt.bytes_of: {
        0: "0 bytes", 1: "1 byte", 96: "96 bytes", 2048: "2.0 KB", 150_000: "0.1 MB", 90_000_000: "86 MB",
    },
    fmt.duration: {
        -3: "0 s", 40: "40 s", 60: "1 min", 80: "1 min 20 s", 725: "12 min", 7500: "2 h 5 min", 7200: "2 h",
    },
    fmt.loss: {None: "not measured yet", math.nan: "not a number", 1.6549: "1.65", 0.0213: "0.021"},
    fmt.setting: {
        5e-05: "0.00005", 0.0005: "0.0005", 1e-3: "0.001", 1.0: "1", 2.5e-05: "0.000025", 2e-4 * 1.5: "0.0003",
        ("a", "b"): "a, b", 3: "3",
    },
    partial(fmt.share, whole=5e-4): {0: "0%", 2.3e-7: "under 0.1%", 5e-6: "1.0%", 4.99e-5: "10%", 5e-4: "100%"},
}  # fmt: skip


@pytest.mark.parametrize("words", IN_WORDS)
def test_numbers_are_written_for_people(words: Callable[..., str]) -> None:
    assert {value: words(value) for value in IN_WORDS[words]} == IN_WORDS[words]


@pytest.mark.parametrize(
    ("number", "one_of_several", "shown"),
    [(1, False, ""), (1, True, ", version 1"), (2, False, ", version 2")],
)
def test_a_version_follows_the_name_where_there_may_be_others(
    number: int, one_of_several: bool, shown: str
) -> None:
    assert fmt.version(number, one_of_several) == shown


def test_all_attempts_of_a_training_count_unless_one_died_unseen() -> None:
    def took(before: State) -> str:
        status = Status(state=before, started=1000.0, ended=1090.0).next_attempt(0.0)
        resumed = job(
            "run-a",
            State.COMPLETED,
            attempt=2,
            started=5000.0,
            ended=5030.0,
            earlier=status.earlier,
        )
        return fmt.took(resumed)

    assert "2 min" in took(State.STOPPED)
    assert "30 s" in took(State.INTERRUPTED)
    assert fmt.took(job("run-a", State.COMPLETED, started=0.0, ended=30.0)) == "30 s"


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (170, 230, "3 to 4 min"),
        (58, 62, "about 1 min"),
        (40, 130, "40 s to 2 min"),
        (3600, 9000, "1 to 2.5 h"),
    ],
)
def test_span(low: float, high: float, shown: str) -> None:
    assert fmt.span(low, high) == shown


def test_counts_lists_and_memory_in_words() -> None:
    assert [fmt.percent(999, 1000), fmt.percent(1000, 1000), fmt.percent(5, 0)] == [
        99,
        100,
        0,
    ]
    assert [fmt.count(1, "example"), fmt.count(2400, "example")] == [
        "1 example",
        "2,400 examples",
    ]
    assert (fmt.listed(["a", "b", "c"]), fmt.setting(True)) == ("a, b and c", "yes")
    assert (fmt.shorten("a\n b " * 40, 20), fmt.shorten("short", 20)) == (
        "a b a b a b a b a b…",
        "short",
    )
    parts = {
        "weights": 256.0,
        "quantization scales": 4.0,
        "optimizer": 20.0,
        "something new": 3.0,
        "programs": 0.0,
    }
    shown = memory_parts(parts)
    assert shown == [
        ("the model", 260.0),
        ("what is trained", 20.0),
        ("something new", 3.0),
    ]


SMALL = catalogue.default().architecture
CARD = Gpu(
    name="RTX 3090",
    memory_total_mib=24576,
    memory_free_mib=24000,
    compute_capability=(8, 6),
)


def test_every_part_of_the_memory_has_its_words_and_its_source() -> None:
    machines = (Hardware(), Hardware(unified_memory=True), Hardware(gpus=(CARD,)))
    parts: set[str] = set()
    for method, precision, machine in product(
        ("lora", "qlora", "full"), ("bf16", "fp32"), machines
    ):
        plan = Plan(method=method, precision=precision, fp32_norms=method == "qlora")
        parts |= memory(SMALL, plan, machine).parts.keys()
    assert parts == set(PARTS)
    assert all(name and source for name, source in PARTS.values())


def report(
    verdict: str, against: str = "not_measured", measure: str = "json", **changes: Any
) -> EvaluationReport:
    systems = {
        "base": {"score": 0.0, "interval": [0.0, 0.14]},
        "tuned": {"score": 21 / 24, "interval": [0.69, 0.96]},
    }
    numbers = {
        "main_measure": measure,
        "items": 24,
        "clusters": 24,
        "least_provable_gain": 0.25,
    }
    verdicts = {"verdict": verdict, "against_prompt": against}
    return fake_records.report(**{**numbers, **verdicts, "systems": systems, **changes})


def test_right_answers_are_counted_and_likeness_is_a_number() -> None:
    right = report("better")
    assert "21 of 24 right" in verdicts.sentence(right)
    assert "0 of 24 right" in verdicts.sentence(right)
    assert (
        "likely 69% to 96% would be right. Of the base model's answers, 0% to 14%."
        in verdicts.sure(right)
    )
    assert "likely 44% to 97%" in verdicts.sure(report("better", clusters=6)), (
        "what depends on each other counts once"
    )
    assert "69% to 96%" in verdicts.system_line("tuned", report("better"))
    graded = report("better", measure="chrf")
    assert "Similarity 0.88" in verdicts.sentence(graded)
    assert (
        "likely a mean similarity of 0.69 to 0.96. The base model's, 0.00 to 0.14."
        in verdicts.sure(graded)
    )
    texts = report("better", measure="perplexity")
    assert (
        "24 texts: over many others, likely a perplexity of 0.7 to 1.0."
        in verdicts.sure(texts)
    )
    assert "0.69 to 0.96" in verdicts.system_line("tuned", graded)


def test_wording_that_is_alike_is_not_called_good() -> None:
    """It may say something false, so there is no green light and the person is told to
    read.
    """
    graded = report("better", measure="chrf")
    assert "wording" in verdicts.detail(graded)
    assert verdicts.title(graded) != verdicts.title(report("better"))
    assert (
        verdict_card.tone(graded, "better"),
        verdict_card.tone(report("better"), "better"),
    ) == ("calm", "good")
    version = verdict_card.against_parent(
        report("better", measure="chrf", **against_parent("better"))
    )
    assert 'class="alert calm"' in version
    assert "Worded more like your answers than version 1" in version
    right = verdict_card.against_parent(report("better", **against_parent("better")))
    assert 'class="alert good"' in right
    assert "Better than version 1" in right


def test_what_so_few_examples_can_prove_is_said_where_nothing_is_shown() -> None:
    assert "25%" in verdicts.sentence(report("no_difference_shown"))
    assert "too few" in verdicts.sentence(
        report("no_difference_shown", clusters=5, least_provable_gain=None)
    )
    assert "25%" not in verdicts.sentence(report("better"))


@pytest.mark.parametrize("against", ["better", "as_good", "not_shown"])
def test_the_prompt_is_mentioned_once_it_was_measured(against: str) -> None:
    assert "prompt" in verdicts.sentence(report("better", against))
    assert "prompt" not in verdicts.sentence(report("better"))


def test_both_halves_are_said_with_their_numbers() -> None:
    said = verdicts.sentence(report("better"))
    for part in (
        "It learned your task",
        "It kept the rest",
        "Of 20 general questions that the base model answers correctly, it still answers 19 (95%, 95% interval 76%",
        "Of 60 messages about other things, it answers 2 as if they were your task.",
        "less likely (0.25 nats per token)",
    ):
        assert part in said
    general = report_json()["general"]
    older = {name: general[name] for name in ("base_right", "kept", "lost", "dropped")}
    said = verdicts.sentence(report("better", general=older))
    assert "19 (95%" in said
    assert "as if they were" not in said
    assert "nats" not in said
    changes = (
        {},
        {"kept": 14, "dropped": True},
        {"leaked": 30},
        {"base_right": 0, "kept": 0},
    )
    assert (
        len(
            {
                verdicts.general_title(report("better", general={**general, **one}))
                for one in changes
            }
        )
        == 4
    )


def test_both_halves_stand_on_one_card() -> None:
    shown = verdict_card.verdict(report("better"))
    halves = shown.partition("<strong>Next")[0]
    assert halves.count('class="alert good"') == 2
    assert "19 of 20 general questions" in halves
    assert "fewer epochs" not in shown
    kept = halves.partition("It kept the rest")[2]
    assert ">still right</" in kept
    assert ">answered as if it were your task</" in kept
    assert "other messages as if that were your task" in shown, "of one, too"
    off = verdict_card.verdict(
        report("better", general={**report_json()["general"], "leaked": 30})
    )
    assert 'class="alert warn"' in off


def test_every_verdict_and_measure_has_words() -> None:
    assert (
        len(
            {
                verdicts.title(report(one))
                for one in ("better", "no_difference_shown", "worse")
            }
        )
        == 3
    )
    assert set(verdicts.MEASURES) == {
        "preference",
        "tool_call",
        "json",
        "label",
        "exact",
        "chrf",
    }


@pytest.mark.parametrize(
    ("measure", "words"),
    [("json", "6 of 7 right, version 1 4 of 7"), ("chrf", "Similarity 0.86, ")],
)
def test_the_comparison_of_two_versions_is_a_sentence(measure: str, words: str) -> None:
    found = verdicts.against_parent(
        report("better", measure=measure, **against_parent("better"))
    )
    assert found[1].startswith(words)
