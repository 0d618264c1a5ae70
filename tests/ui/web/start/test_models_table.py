"""The table of all models on Start."""

import re
from functools import cache
from html import unescape
from typing import Any

from backend.advice.recommend import Option, recommend
from backend.advice.settings import Data
from backend.datasets.checks.language import LANGUAGE_NAMES
from backend.hardware import load_hardware
from backend.models import catalogue
from backend.settings import PROJECT_ROOT
from jobs.records import Job, Progress, State
from tests.ui.fake_records import job
from ui.web.start import models_table

MACHINES = PROJECT_ROOT / "tests" / "backend" / "machines"
EXAMPLES = {"rows": 200, "longest": 212, "tokens": 31_000}


def cells(options: tuple[Option, ...], column: str) -> dict[str, tuple[float, str]]:
    """Model name to the sort key and the text of its cell in a column."""
    table = models_table.others_table(options, "", set(), {})
    found = {}
    for row in re.findall(r"<tr .*?</tr>", table, re.DOTALL):
        name = re.search(r"<strong>(.*?)</strong>", row)[1]  # type: ignore[index]
        cell = re.search(
            rf'<td data-name="{column}"><data value="(.*?)"></data>(.*?)</td>',
            row,
            re.DOTALL,
        )
        found[name] = (float(cell[1]), re.sub("<.*?>", " ", cell[2]))
    return found


@cache  # comparing all models takes seconds
def compared(machine: str, **facts: Any) -> tuple[Option, ...]:
    found = recommend(load_hardware(MACHINES / f"{machine}.json"), Data(**facts))
    return (found, *found.others)


def test_the_expected_quality_is_the_published_place_and_unknown_models_come_last() -> (
    None
):
    quality = cells(compared("rtx4090"), "Expected quality")
    best = sorted(quality, key=lambda name: quality[name][0])
    assert (best[:2], {*best[2:4]}) == (
        ["Qwen3 8B", "Qwen3 4B"],
        {"Llama 3.1 8B", "Llama 3.2 3B"},
    )
    assert best[4:6] == ["Qwen3 1.7B", "Qwen3 0.6B"]
    assert all(
        part in quality["Qwen3 8B"][1] for part in ("1st of 15", "2.3", "1.8 to 2.9")
    )
    assert "7 of 15" in quality["SmolLM2 135M"][1]
    unknown = [
        name for name, (_, words) in quality.items() if "Nothing published" in words
    ]
    assert set(best[-len(unknown) :]) == set(unknown)
    assert set(unknown) == {
        entry.name for entry in catalogue.entries() if not entry.evidence
    }


def test_the_time_is_shown_once_there_are_examples() -> None:
    assert 'data-name="Time"' not in models_table.others_table(
        compared("rtx4090"), "", set(), {}
    )
    laptop = compared("laptop4060", **EXAMPLES)
    time = cells(laptop, "Time")
    assert re.search(r"\d (s|min)", time["Qwen3 1.7B"][1])
    assert time["Qwen3 0.6B"][0] < time["Qwen3 1.7B"][0] < time["Llama 3.2 3B"][0]
    assert time["Qwen3.5 2B"][1].strip() == "–"
    assert time["Qwen3.5 2B"][0] > time["Llama 3.2 3B"][0]
    fits = {option.model.name: option.fit for option in laptop}
    assert all(
        time[name][1].strip() == "–" for name, fit in fits.items() if fit == "no"
    )
    assert "no" in fits.values()


def test_the_table_names_sources_once_and_can_be_sorted() -> None:
    found = recommend(load_hardware(MACHINES / "t4.json"), available=(), compare=False)
    assert not found.startable
    assert found.reasons[0] in unescape(
        models_table.others_table((found,), "", set(), {})
    )
    table = models_table.others_table(compared("rtx4090"), "", set(), {})
    newest, older = catalogue.find("Qwen3-8B").evidence
    assert (
        table.count(f'href="{newest.url}"') == table.count(f'href="{older.url}"') == 1
    )
    assert "March 2026" in table
    table = models_table.others_table(compared("laptop4060", **EXAMPLES), "", set(), {})
    order = re.search(r'<select class="order"[^>]*>(.*?)</select>', table)[1]  # type: ignore[index]
    offered = set(re.findall(r'value="([^"]+)"', order))
    assert offered == set(re.findall(r'class="sort">([^<]+)<', table))
    assert offered >= {
        "Expected quality",
        "Time",
        "Languages",
        "Needs",
        "Size",
        "License",
        "Fit",
        "Model",
    }


def test_languages_have_names_and_many_come_first() -> None:
    languages = cells(compared("cpu16"), "Languages")
    assert (
        languages["Phi-4 mini"]
        < languages["Llama 3.2 1B"]
        < languages["TinyLlama 1.1B"]
    )
    assert "English" in languages["TinyLlama 1.1B"][1]
    assert {code for entry in catalogue.entries() for code in entry.languages} <= set(
        LANGUAGE_NAMES
    )


def test_each_line_carries_the_words_that_find_it() -> None:
    options = compared("laptop4060", **EXAMPLES)
    table = models_table.others_table(
        options, options[0].model.id, {options[0].model.id}, {}
    )
    gemma = re.search(r'<tr data-words="([^"]*)"><td[^>]*><strong>Gemma 2 9B', table)
    found = "Gemma 2 9B Gemma 2 Gemma terms of use (conditions apply) Too big commercial use access request needed"
    assert gemma[1].startswith(found)
    assert "English" in gemma[1]
    assert table.count("on this computer&#34;") + table.count('on this computer"') == 1


def test_until_the_table_is_ready_it_says_so() -> None:
    assert models_table.others_table(None, "", set(), {}) == models_table.COMPARING


LLAMA = catalogue.find("meta-llama/Llama-3.2-1B-Instruct")


def download(state: State, **more: Any) -> Job:
    return job("download-1", state, **more)


def test_downloads_show_progress_and_can_be_deleted() -> None:
    going = download(
        State.RUNNING,
        progress=Progress(phase="Downloading Llama", done=500, total=2048),
    )
    options = compared("laptop4060", **EXAMPLES)
    table = models_table.others_table(options, "", set(), {LLAMA.id: going})
    assert "24%" in table
    assert f'data-do="cancel" data-value="{LLAMA.id}"' in table
    table = models_table.others_table(
        options, "", {LLAMA.id}, {LLAMA.id: download(State.COMPLETED)}
    )
    assert f'data-do="discard" data-value="{LLAMA.id}"' in table
