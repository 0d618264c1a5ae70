"""Published results of fine-tuned models: as their authors published them, with source and date."""

from __future__ import annotations

import pytest

from backend.models import catalogue, evidence
from backend.models.catalogue import Entry
from backend.models.evidence import Evidence

RESULTS = [(model_id, one) for model_id, found in evidence.published().items() for one in found]


@pytest.mark.parametrize(("model_id", "result"), RESULTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_result_has_a_source_and_belongs_to_a_listed_model(model_id: str, result: Evidence) -> None:
    assert catalogue.find(model_id).id == model_id
    assert result.source
    assert result.publisher
    assert result.url.startswith("https://")
    assert not result.date or "2025" <= result.date < "2027"
    assert result.models >= result.places
    assert (result.rank is None) == (result.interval is None)
    if result.place is not None:
        assert 1 <= result.place <= result.places
    if result.rank is not None and result.interval is not None:
        assert result.place is not None
        assert sum(result.interval) / 2 == pytest.approx(result.rank)


def test_places_follow_the_mean_ranks() -> None:
    for source in {one.source for _, one in RESULTS}:
        ranked = sorted(
            (one.rank, one.place or 0) for _, one in RESULTS if one.source == source and one.rank is not None
        )
        assert len(ranked) == 6
        assert [place for _, place in ranked] == sorted(place for _, place in ranked)


@pytest.mark.parametrize(
    ("name", "date", "place", "rank", "interval"),
    [
        ("Qwen3-8B", "2026-03", 1, 2.33, (1.76, 2.90)),
        ("Qwen3-4B-Instruct-2507", "2026-03", 2, 3.33, (1.43, 5.23)),
        ("Llama-3.2-3B-Instruct", "2026-03", 3, 4.11, (2.83, 5.39)),
        ("Qwen3-0.6B", "2026-03", 6, 5.44, (2.84, 8.04)),
        ("granite-3.3-8b-instruct", "", None, None, None),
        ("SmolLM2-135M-Instruct", "2026-03", None, None, None),
    ],
)
def test_the_newest_comparison_counts(
    name: str, date: str, place: int | None, rank: float | None, interval: tuple[float, float] | None
) -> None:
    newest = catalogue.find(name).evidence[0]
    assert (newest.date, newest.place, newest.rank, newest.interval) == (date, place, rank, interval)
    assert newest.standing == (rank or 8)


def test_a_model_in_both_comparisons_has_both_results() -> None:
    assert [one.rank for one in catalogue.find("Qwen3-4B-Instruct-2507").evidence] == [3.33, 2.25]


@pytest.mark.parametrize("family", ["Phi-3", "Phi-4", "Qwen3.5", "Falcon3", "OLMo 2", "OLMo 3", "EXAONE", "SmolLM3"])
def test_nothing_is_claimed_for_models_without_published_results(family: str) -> None:
    assert not any(entry.evidence for entry in catalogue.entries() if entry.family == family)


@pytest.mark.parametrize("entry", [one for one in catalogue.entries() if one.replaced_by], ids=lambda one: one.id)
def test_a_newer_model_is_of_the_same_makers_and_of_about_the_same_size(entry: Entry) -> None:
    newer = catalogue.find(entry.replaced_by)
    assert newer.id.partition("/")[0] == entry.id.partition("/")[0]
    assert 0.9 <= newer.parameters / entry.parameters <= 1.4
    assert not newer.replaced_by
    assert newer.evidence or not entry.evidence or entry.evidence[0].place is None
