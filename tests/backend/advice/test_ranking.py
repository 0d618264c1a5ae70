"""The order of models by published results, within what fits and what the guide allows."""

import math
from typing import Any

import pytest

from backend.advice import ranking
from backend.advice.reasons import ordinal, published_results
from backend.advice.recommend import Recommendation, recommend
from backend.advice.settings import Data, choose_settings
from backend.advice.training_time import shorter, shorter_epochs
from backend.estimate import Rates
from backend.models import catalogue
from backend.records.specs import TrainSettings
from tests.backend.advice.test_recommend import MACHINES, machine
from tests.backend.hardware.machines import LAPTOP_SPEED, MAC_SPEED

BUNDLED = catalogue.default()
QWEN_4B = "Qwen/Qwen3-4B-Instruct-2507"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("laptop4060", QWEN_4B), ("rtx3060", QWEN_4B), ("t4", QWEN_4B),
        ("rtx3090", "Qwen/Qwen3-8B"), ("rtx4090", "Qwen/Qwen3-8B"), ("h100", "Qwen/Qwen3-8B"),
        ("macbook16", "Qwen/Qwen3-1.7B"), ("held_card", "Qwen/Qwen3-1.7B"), ("cpu8", BUNDLED.id),
        ("cpu16", BUNDLED.id), ("cpu24", BUNDLED.id),
    ],
)  # fmt: skip
def test_each_machine_gets_the_model_with_the_best_evidence(
    name: str, model: str
) -> None:
    found = recommend(machine(name), compare=False)
    assert found.model.id == model
    assert published_results(found.model) in found.reasons


@pytest.mark.parametrize("name", [path.stem for path in MACHINES.glob("*.json")])
@pytest.mark.parametrize("task", ["voice", "extract", "write"])
def test_a_model_that_its_makers_have_replaced_is_not_recommended(
    name: str, task: str
) -> None:
    assert not recommend(
        machine(name), Data(task=task), compare=False
    ).model.replaced_by  # type: ignore[arg-type]


def test_a_model_without_results_counts_as_one_of_half_its_size() -> None:
    phi, qwen = catalogue.find("Phi-3-mini-4k-instruct"), catalogue.find("Qwen3-1.7B")
    assert not phi.evidence
    assert ranking.expected_rank(phi) == ranking.expected_rank(qwen) == 4.67
    assert ranking.expected_rank(catalogue.find("Qwen3.5-9B")) == 3.33
    assert ranking.expected_rank(catalogue.find("SmolLM2-360M-Instruct")) == 8
    assert (
        ranking.expected_rank(BUNDLED.model_copy(update={"evidence": ()})) == math.inf
    )


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Qwen3-1.7B", "Phi-3-mini-4k-instruct"),  # twice the size, nothing published
        ("Qwen3-0.6B", "LFM2.5-1.2B-Instruct"),  # larger, and published to be worse
        ("Qwen3-8B", "Qwen3.5-9B"),
        (
            "Phi-4-mini-instruct",
            "Qwen3-0.6B",
        ),  # six times the size: published results do not decide
        ("granite-4.1-8b", "Qwen3-1.7B"),
        ("granite-4.1-3b", "Phi-3.5-mini-instruct"),  # replaced by Phi-4 mini
        ("granite-4.1-8b", "Llama-3.1-8B-Instruct"),  # needs an access request
    ],
)
def test_the_order_of_two_models(better: str, worse: str) -> None:
    first, second = (
        ranking.sort_key(catalogue.find(name), machine("h100"), Data(), None)
        for name in (better, worse)
    )
    assert first > second


def test_what_comes_before_results() -> None:
    installed = {
        BUNDLED.id,
        "ibm-granite/granite-4.1-3b",
        "meta-llama/Llama-3.2-3B-Instruct",
    }
    found = recommend(machine("t4"), available=installed, compare=False)
    assert found.model.id == "meta-llama/Llama-3.2-3B-Instruct"
    dutch = ranking.sort_key(
        catalogue.find("granite-4.1-3b"), machine("h100"), Data(language="nl"), None
    )
    assert dutch > ranking.sort_key(
        catalogue.find("Olmo-3-7B-Instruct"), machine("h100"), Data(language="nl"), None
    )
    assert (
        "extract"
        in recommend(
            machine("rtx4090"), Data(task="extract"), compare=False
        ).model.good_for
    )


SPEED = Rates(
    rate16=5.5e10,
    rate32=5.5e10,
    bandwidth=8e9,
    launch=2e-2,
    spread=1.25,
    basis="measured",
)
EXAMPLES = Data(rows=60, longest=90, tokens=5400, learned_share=0.4)


def times_slower(factor: float) -> Rates:
    parts = {
        name: getattr(SPEED, name) / factor
        for name in ("rate16", "rate32", "bandwidth")
    }
    return SPEED.model_copy(update={**parts, "launch": SPEED.launch * factor})


def by_time(
    rates: Rates | None, available: set[str] | None = None, **facts: Any
) -> Recommendation:
    data = EXAMPLES.model_copy(update=facts)
    return recommend(
        machine("cpu16"), data, rates=rates, available=available, compare=False
    )


def test_on_a_processor_the_best_model_that_trains_within_half_an_hour_comes_first() -> (
    None
):
    best = by_time(SPEED)
    assert best.model.id == "Qwen/Qwen3-0.6B"
    assert best.seconds is not None
    assert 60 < best.seconds < ranking.WITHIN
    assert best.seconds == best.time.seconds
    assert any("on this computer" in reason for reason in best.reasons)
    assert (by_time(times_slower(10)).model, by_time(None).model) == (BUNDLED, BUNDLED)
    assert by_time(SPEED, rows=6000, tokens=540_000).model == BUNDLED
    fast = by_time(times_slower(0.01))
    assert fast.model.parameters > 1e9
    assert fast.fit == "yes"


def test_the_time_is_that_of_the_examples_or_of_sixty_short_ones() -> None:
    best = recommend(machine("cpu16"), rates=times_slower(0.5), compare=False)
    assert (best.model.id, best.time) == ("Qwen/Qwen3-0.6B", None)
    assert any("on 60 short examples" in reason for reason in best.reasons)
    slow = by_time(times_slower(10), language="de")
    assert "de" in slow.model.languages
    assert slow.model.parameters < 0.7e9
    assert slow.seconds is not None
    assert slow.seconds > ranking.WITHIN


def test_the_model_that_is_here_stays_until_another_was_downloaded() -> None:
    here = by_time(SPEED, available={BUNDLED.id})
    assert here.model == BUNDLED
    assert here.seconds is not None
    assert here.seconds < 0.6 * (by_time(SPEED).seconds or 0)
    assert not any("times as long" in reason for reason in here.reasons)
    assert (
        by_time(SPEED, available={BUNDLED.id, "Qwen/Qwen3-0.6B"}).model.id
        == "Qwen/Qwen3-0.6B"
    )


def test_on_a_processor_qwen3_comes_before_qwen3_5_whose_layers_are_slow_there() -> (
    None
):
    for rates in (SPEED, times_slower(0.01), None):
        found = recommend(machine("cpu16"), EXAMPLES, rates=rates)
        ids = [one.model.id for one in (found, *found.others)]
        assert ids.index("Qwen/Qwen3-0.6B") < ids.index("Qwen/Qwen3.5-0.8B")
        assert ids.index("Qwen/Qwen3-1.7B") < ids.index("Qwen/Qwen3.5-2B")


def test_on_a_processor_the_better_but_slower_model_is_named() -> None:
    better = ranking.better_but_slower(BUNDLED, Data())
    assert [one.id for one in better] == ["Qwen/Qwen3-0.6B"]
    assert ranking.better_but_slower(better[0], Data()) == []
    for rates in (None, times_slower(10)):
        reasons = recommend(machine("cpu24"), rates=rates, compare=False).reasons
        named = [reason for reason in reasons if "Qwen3 0.6B" in reason]
        assert len(named) == 1
        assert "4 times" in named[0]
    small = machine("cpu8").model_copy(update={"memory_available_mib": 2500})
    assert not any(
        "Qwen3 0.6B" in reason for reason in recommend(small, compare=False).reasons
    )


@pytest.mark.parametrize("name", ["laptop4060", "rtx3060", "t4"])
def test_a_model_a_little_above_the_guides_size_needs_a_published_result(
    name: str,
) -> None:
    found = recommend(machine(name), compare=False)
    assert found.model.parameters > ranking.largest_advised(machine(name))
    assert (found.settings.method, found.fit) == ("qlora", "yes")
    assert "better published results" in found.reasons[0]
    unpublished, qwen = catalogue.find("Qwen3.5-4B"), catalogue.find(QWEN_4B)
    assert [
        ranking.is_sensible(one, machine(name), None) for one in (unpublished, qwen)
    ] == [
        False,
        True,
    ]


NAMES = (
    "cpu8", "cpu16", "cpu24", "laptop4060", "rtx3060", "t4", "rtx3090", "rtx4090", "a6000", "h100",
    "macbook16",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tokens", [60, 300])
def test_a_training_of_more_than_an_hour_is_said_first(name: str, tokens: int) -> None:
    hardware = machine(name)
    rates = MAC_SPEED if hardware.unified_memory else None
    for rows in (60, 300, 1000):
        data = Data(
            task="write",
            rows=rows,
            longest=tokens,
            tokens=rows * tokens,
            learned_share=0.5,
        )
        found = recommend(
            hardware,
            data,
            rates=rates or (None if hardware.gpus else LAPTOP_SPEED),
            compare=False,
        )
        assert found.time is not None
        if found.time.seconds <= 3600:
            continue
        assert hardware.unified_memory or found.model == BUNDLED
        assert found.reasons[0].startswith("Training it takes about")
        assert " of the " in found.reasons[1]
        way = shorter(
            found.model,
            choose_settings(found.model, hardware, data, rates or LAPTOP_SPEED),
            data,
        )
        assert way is not None
        assert way.epochs < 1
        assert way.seconds < 3600


def test_a_training_made_shorter_has_steps_enough() -> None:
    settings = TrainSettings(keep_general=0.0, learning_rate=5e-4)
    assert shorter_epochs(settings, 900, ranking.WITHIN) is None
    assert shorter_epochs(settings.changed(max_steps=5), 900, 9000) is None
    assert shorter_epochs(settings, 160, 9000) is None, "60 steps already"
    epochs, words = shorter_epochs(settings, 900, 9000) or (0, "")
    assert (epochs, words) == (0.54, "486 of the 900 examples, each read once")
    assert settings.changed(num_train_epochs=epochs).planned_steps(900) >= 60
    assert shorter_epochs(settings.changed(learning_rate=2e-4), 320, 9000) is None
    assert shorter_epochs(settings, 900, 3600) == (
        1.25,
        "1.25 passes over the examples",
    )


def test_reasons_name_the_evidence_or_its_absence() -> None:
    qwen = published_results(catalogue.find("Qwen3-4B-Instruct-2507"))
    assert all(fact in qwen for fact in ("15 models", "9 tasks", "2nd"))
    behind = published_results(BUNDLED)
    assert "15 models" in behind
    assert "best 7" in behind
    assert "no published comparison" in published_results(
        catalogue.find("Phi-4-mini-instruct")
    )
    newer = recommend(
        machine("rtx3090"), model_id="microsoft/Phi-3-mini-4k-instruct", compare=False
    )
    assert any("Phi-4 mini" in reason for reason in newer.reasons)


@pytest.mark.parametrize(
    ("place", "words"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (7, "7th"), (11, "11th"), (22, "22nd")],
)
def test_places_in_words(place: int, words: str) -> None:
    assert ordinal(place) == words


@pytest.mark.parametrize(
    "name",
    ["t4", "cpu24", "macbook16", pytest.param("laptop4060", marks=pytest.mark.slow)],
)
def test_the_time_of_other_models_is_close_to_training_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (
        "Qwen3-0.6B",
        "Qwen3-4B-Instruct-2507",
        "Llama-3.2-3B-Instruct",
        "SmolLM2-1.7B-Instruct",
    )
    compared = list(map(catalogue.find, names))
    used = [BUNDLED, recommend(machine(name), compare=False).model]
    monkeypatch.setattr(
        catalogue,
        "entries",
        lambda: tuple({one.id: one for one in (*used, *compared)}.values()),
    )
    data = Data(rows=200, longest=212, tokens=31_000, learned_share=0.4)
    speed = Rates(
        rate16=1e11,
        rate32=1e10,
        bandwidth=5e9,
        launch=1e-3,
        spread=1.25,
        basis="measured",
    )
    rates = speed if name in ("cpu24", "macbook16") else None
    found = recommend(machine(name), data, rates=rates)
    others = [one for one in found.others if one.model in compared and one.fit != "no"]
    assert others
    for other in others:
        exact = recommend(
            machine(name), data, rates=rates, model_id=other.model.id, compare=False
        )
        assert 0.6 <= other.time.seconds / exact.time.seconds <= 1.4


def test_results_have_evidence_and_no_time_without_examples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = tuple(map(catalogue.find, (BUNDLED.id, "Qwen3-1.7B", "granite-4.1-3b")))
    monkeypatch.setattr(catalogue, "entries", lambda: few)
    found = recommend(machine("t4"), Data(rows=200, longest=212, tokens=31_000))
    document = next(
        one for one in found.others if one.model.id == "Qwen/Qwen3-1.7B"
    ).to_json()
    assert document["expected_rank"] == 4.67
    assert document["time"]["seconds"] > 0
    result = document["model"]["evidence"][0]
    assert (result["date"], result["models"], result["tasks"]) == ("2026-03", 15, 9)
    assert (result["place"], result["rank"], tuple(result["interval"])) == (
        5,
        4.67,
        (2.88, 6.46),
    )
    assert found.to_json()["model"]["evidence"] == []
    found = recommend(machine("t4"))
    assert found.time is None
    assert all(other.time is None for other in found.others)
