"""Numbers, verdicts and parts of the memory in words."""

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
from ui.text.memory_parts import PARTS
from ui.web.try_it import verdict_card


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (1, "1 byte"), (96, "96 bytes"), (2048, "2.0 KB"), (150_000, "0.1 MB"), (90_000_000, "86 MB")],
)
def test_the_size_of_a_file(count: int, shown: str) -> None:
    assert fmt.bytes_of(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"), (40, "40 s"), (60, "1 min"), (80, "1 min 20 s"), (725, "12 min"), (7500, "2 h 5 min"),
        (7200, "2 h"),
    ],
)  # fmt: skip
def test_duration(seconds: float, shown: str) -> None:
    assert fmt.duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "one_of_several", "shown"), [(1, False, ""), (1, True, ", version 1"), (2, False, ", version 2")]
)
def test_a_version_follows_the_name_where_there_may_be_others(number: int, one_of_several: bool, shown: str) -> None:
    assert fmt.version(number, one_of_several) == shown


def test_all_attempts_of_a_training_count_unless_one_died_unseen() -> None:
    def took(before: State) -> str:
        status = Status(state=before, started=1000.0, ended=1090.0).next_attempt(0.0)
        resumed = job("run-a", State.COMPLETED, attempt=2, started=5000.0, ended=5030.0, earlier=status.earlier)
        return fmt.took(resumed)

    assert "2 min" in took(State.STOPPED)
    assert "30 s" in took(State.INTERRUPTED)
    assert fmt.took(job("run-a", State.COMPLETED, started=0.0, ended=30.0)) == "30 s"


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(170, 230, "3 to 4 min"), (58, 62, "about 1 min"), (40, 130, "40 s to 2 min"), (3600, 9000, "1 to 2.5 h")],
)
def test_span(low: float, high: float, shown: str) -> None:
    assert fmt.span(low, high) == shown


def test_only_a_finished_bar_is_full() -> None:
    assert fmt.percent(999, 1000) == 99
    assert fmt.percent(1000, 1000) == 100
    assert fmt.percent(5, 0) == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "not measured yet"), (float("nan"), "not a number"), (1.6549, "1.65"), (0.0213, "0.021")],
)
def test_loss(value: float | None, shown: str) -> None:
    assert fmt.loss(value) == shown


def test_counts_agree_with_their_noun() -> None:
    assert fmt.count(1, "example") == "1 example"
    assert fmt.count(2400, "example") == "2,400 examples"
    assert fmt.listed(["a", "b", "c"]) == "a, b and c"


def test_shorten_keeps_one_line_within_its_limit() -> None:
    assert fmt.shorten("a\n b " * 40, 20) == "a b a b a b a b a b…"
    assert fmt.shorten("short", 20) == "short"


def test_memory_parts_are_summed_by_group_and_none_is_lost() -> None:
    parts = {"weights": 256.0, "quantization scales": 4.0, "optimizer": 20.0, "something new": 3.0, "programs": 0.0}
    shown = fmt.memory_parts(parts)
    assert shown == [("the model", 260.0), ("what is trained", 20.0), ("something new", 3.0)]


@pytest.mark.parametrize(("value", "text"), [(5e-05, "0.00005"), (0.0005, "0.0005"), (1e-3, "0.001"), (1.0, "1")])
def test_small_numbers_are_written_out(value: float, text: str) -> None:
    assert fmt.setting(value) == text


@pytest.mark.parametrize(
    ("part", "shown"), [(0, "0%"), (2.3e-7, "under 0.1%"), (5e-6, "1.0%"), (4.99e-5, "10%"), (5e-4, "100%")]
)
def test_a_share_is_in_percent(part: float, shown: str) -> None:
    assert fmt.share(part, 5e-4) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(2.5e-05, "0.000025"), (2e-4 * 1.5, "0.0003"), (True, "yes"), (("a", "b"), "a, b"), (3, "3")]
)
def test_settings_are_written_for_people(value: object, shown: str) -> None:
    assert fmt.setting(value) == shown


SMALL = catalogue.default().architecture
CARD = Gpu(name="RTX 3090", memory_total_mib=24576, memory_free_mib=24000, compute_capability=(8, 6))


def test_every_part_of_the_memory_has_its_words_and_its_source() -> None:
    plans = [
        (Plan(method=method, precision=precision, fp32_norms=method == "qlora"), hardware)
        for method in ("lora", "qlora", "full")
        for precision in ("bf16", "fp32")
        for hardware in (Hardware(), Hardware(unified_memory=True), Hardware(gpus=(CARD,)))
    ]
    parts = {name for plan, hardware in plans for name in memory(SMALL, plan, hardware).parts}  # type: ignore[arg-type]
    assert parts == set(PARTS)
    assert all(part.name and part.source for part in PARTS.values())


def report(verdict: str, against: str = "not_measured", measure: str = "json", **changes: Any) -> EvaluationReport:
    systems = {"base": {"score": 0.0, "interval": [0.0, 0.14]}, "tuned": {"score": 21 / 24, "interval": [0.69, 0.96]}}
    numbers = {"main_measure": measure, "items": 24, "clusters": 24, "least_provable_gain": 0.25}
    verdicts = {"verdict": verdict, "against_prompt": against}
    return fake_records.report(**{**numbers, **verdicts, "systems": systems, **changes})


def test_right_answers_are_counted() -> None:
    assert "21 of 24 right" in verdicts.sentence(report("better"))
    assert "0 of 24 right" in verdicts.sentence(report("better"))
    assert "69% to 96%" in verdicts.system_line("tuned", report("better"))


def test_likeness_is_a_number_and_no_count() -> None:
    graded = report("better", measure="chrf")
    assert "Similarity 0.88" in verdicts.sentence(graded)
    assert "0.69 to 0.96" in verdicts.system_line("tuned", graded)


def test_wording_that_is_alike_is_not_called_good() -> None:
    """It may say something false, so there is no green light and the person is told to read."""
    graded = report("better", measure="chrf")
    assert "wording" in verdicts.detail(graded)
    assert verdicts.title(graded) != verdicts.title(report("better"))
    assert (verdict_card.tone(graded, "better"), verdict_card.tone(report("better"), "better")) == ("calm", "good")
    version = verdict_card.against_parent(report("better", measure="chrf", **against_parent("better")))
    assert 'class="alert calm"' in version
    assert "Worded more like your answers than version 1" in version
    right = verdict_card.against_parent(report("better", **against_parent("better")))
    assert 'class="alert good"' in right
    assert "Better than version 1" in right


def test_what_so_few_examples_can_prove_is_said_where_nothing_is_shown() -> None:
    assert "25%" in verdicts.sentence(report("no_difference_shown"))
    assert "too few" in verdicts.sentence(report("no_difference_shown", clusters=5, least_provable_gain=None))
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
    unmeasured = {**general, "drift": None, "leaked": None}
    assert "nats" not in verdicts.sentence(report("better", general=unmeasured))
    changes = ({}, {"kept": 14, "dropped": True}, {"leaked": 30}, {"base_right": 0, "kept": 0})
    assert len({verdicts.general_title(report("better", general={**general, **one})) for one in changes}) == 4


def test_both_halves_stand_side_by_side_with_an_example_each() -> None:
    shown = verdict_card.verdict(report("better"))
    halves = shown.partition('class="halves"')[2].partition("<strong>Next")[0]
    assert halves.count('class="alert good"') == 2
    assert halves.count("For example, ") == 2
    assert "fewer epochs" not in shown
    assert "answered as if it were your task" in shown
    off = verdict_card.verdict(report("better", general={**report_json()["general"], "leaked": 30}))
    assert 'class="alert warn"' in off


def test_every_verdict_and_measure_has_words() -> None:
    assert len({verdicts.title(report(one)) for one in ("better", "no_difference_shown", "worse")}) == 3
    assert set(verdicts.MEASURES) == {"preference", "tool_call", "json", "label", "exact", "chrf"}


@pytest.mark.parametrize(
    ("measure", "words"), [("json", "6 of 7 right, version 1 4 of 7"), ("chrf", "Similarity 0.86, ")]
)
def test_the_comparison_of_two_versions_is_a_sentence(measure: str, words: str) -> None:
    found = verdicts.against_parent(report("better", measure=measure, **against_parent("better")))
    assert found[1].startswith(words)
