"""The computer and the models as HTML on Start."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.advice.recommend import recommend
from backend.datasets.checks.language import LANGUAGE_NAMES
from backend.hardware import Probe, container, load_hardware, probe, torch_build
from backend.models import catalogue
from backend.records.specs import Gpu, Hardware, MachineProblem
from backend.settings import PROJECT_ROOT
from jobs.records import Job, Progress, State
from tests.backend.hardware.test_hardware import AMPERE, T4, NVMLErrorLibraryNotFound, driver
from tests.ui.fake_records import job
from tests.ui.fake_services import FakeApp
from ui.text import format as fmt
from ui.web.start import views as start_views

MACHINES = PROJECT_ROOT / "tests" / "backend" / "machines"
BUNDLED = catalogue.default()


def machine(name: str) -> Hardware:
    return load_hardware(MACHINES / f"{name}.json")


@pytest.mark.parametrize("name", sorted(path.stem for path in MACHINES.glob("*.json")))
def test_every_machine_gets_its_cards(name: str) -> None:
    hardware = machine(name)
    html = start_views.machine_card(Probe.of(hardware), simulated=True)
    assert "Simulated" in html
    assert all(gpu.name in html for gpu in hardware.gpus)
    found = recommend(hardware, compare=False)
    card = start_views.model_card(found, True, None, None)
    assert found.model.name in card
    assert found.model.licence.partition(" (")[0] in card
    assert re.search(r"you have [\d.,]+ [GM]B", card)
    assert ("Too big" in card) == (found.fit == "no") != (">Recommended<" in card)


def test_without_examples_the_memory_is_a_range_for_an_assumed_length() -> None:
    card = start_views.model_card(recommend(machine("cpu16"), compare=False), True, 260.0, None)
    assert re.search(r"<dd>[\d.]+ to [\d.]+ GB</dd>", card)
    assert "512 tokens" in card
    assert "380 words" in card
    known = recommend(machine("cpu16"), rows=200, longest=100, tokens=15_000, learned_share=0.4, compare=False)
    card = start_views.model_card(known, True, 260.0, None)
    assert "380 words" not in card
    assert f"{fmt.size(known.memory.total_mib)}</dd>" in card


def test_least_memory_of_the_bundled_model_is_what_the_readme_promises() -> None:
    small = Hardware(memory_total_mib=4096, memory_available_mib=3000)
    found = recommend(small, compare=False)
    assert (found.model.id, found.fit) == (BUNDLED.id, "yes")


def test_the_bundled_model_shows_its_packed_and_unpacked_size() -> None:
    found = recommend(machine("cpu16"), compare=False)
    assert "260 MB" in start_views.model_card(found, True, 260.0, None)
    assert "93 MB" in start_views.model_card(found, True, 260.0, None)
    assert "257 MB" in start_views.model_card(found, True, None, None)


def test_a_second_graphics_card_and_problems_are_shown() -> None:
    html = start_views.machine_card(Probe.of(machine("two_cards")))
    assert html.count("on the graphics card") == 2
    wrong = MachineProblem(what="There is a graphics card, but torch can't use it.", next="Run: pip install torch")
    hardware = Hardware(gpus=(Gpu(name="RTX", memory_total_mib=8192, memory_free_mib=8000),))
    html = start_views.machine_card(Probe(hardware=hardware, problems=(wrong,)))
    assert "Run: pip install torch" in html


def drawn(tmp_path: Path) -> str:
    return start_views.machine_card(probe(tmp_path))


class TestProbe:
    """Problems of the driver and the installation on the page. `driver` replaces NVML."""

    @pytest.fixture(autouse=True)
    def plain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch_build, "built_for", lambda: "13.0")

    def install(self, monkeypatch: pytest.MonkeyPatch, *cards: Any, **options: Any) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", driver(list(cards), **options))

    def test_broken_driver(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.install(monkeypatch, AMPERE, broken="nvmlInit")
        html = drawn(tmp_path)
        assert "driver of the graphics card" in html
        assert "Restart the computer" in html
        assert "Unknown Error" in html

    def test_no_gpu(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.install(monkeypatch, broken="nvmlInit", error=NVMLErrorLibraryNotFound)
        assert "the processor does the work" in drawn(tmp_path)
        assert "alert" not in drawn(tmp_path)

    def test_two_gpus(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.install(monkeypatch, T4, AMPERE)
        html = drawn(tmp_path)
        assert "15.0 GB" in html
        assert "24.0 GB" in html
        assert "Tesla T4" in html

    def test_gpu_in_use_by_another_program(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.install(monkeypatch, {**AMPERE, "free": 4000, "users": {os.getppid(): 20000}})
        html = drawn(tmp_path)
        assert "Other programs use 19.5 GB of the memory of NVIDIA GeForce RTX 3090" in html
        assert psutil.Process(os.getppid()).name() in html
        assert 'data-do="probe"' in html

    def test_torch_without_cuda(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.install(monkeypatch, AMPERE)
        monkeypatch.setattr(torch_build, "built_for", lambda: "")
        assert "pip install --force-reinstall torch" in drawn(tmp_path)

    def test_limits_of_a_container(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.install(monkeypatch, broken="nvmlInit", error=NVMLErrorLibraryNotFound)
        monkeypatch.setattr(container, "memory", lambda: container.Limit(3 << 30, 1 << 30))
        monkeypatch.setattr(container, "cores", lambda: 1)
        html = drawn(tmp_path)
        assert re.search(r"2\.0 GB</dd><dt>[^<]*3\.0 GB", html)
        assert "processor core<" in html


def test_every_language_has_a_name() -> None:
    assert {code for entry in catalogue.entries() for code in entry.languages} <= set(LANGUAGE_NAMES)


def test_each_line_carries_what_it_is_filtered_by() -> None:
    options = FakeApp().advice.options()
    table = start_views.others_table(options, options[0].model.id, {options[0].model.id}, {})
    gemma = re.search(r"<tr ([^>]*)><td[^>]*><strong>Gemma 2 9B", table)
    assert gemma is not None
    assert 'data-fit="no"' in gemma[1]
    assert 'data-use="free"' in gemma[1]  # and not "open": access must be asked for
    assert 'data-size="large"' in gemma[1]
    assert table.count('data-fit="yes here"') == 1
    offered = set(re.findall(r'data-filter="(\w+)"', table))
    assert offered == {"fit", "size", "use", "language", "task", "words"}
    assert 'data-words="Gemma 2 9B Gemma 2 Gemma terms of use (conditions apply)"' in gemma[1]
    for key in offered - {"words"}:
        values = set(re.search(rf'data-filter="{key}"[^>]*>(.*?)</select>', table)[1].split('value="')[2:])  # type: ignore[index]
        carried = " ".join(re.findall(rf' data-{key}="([^"]*)"', table)).split()
        assert {value.partition('"')[0] for value in values} & set(carried), key


def test_a_note_stands_in_for_the_table_until_it_is_ready() -> None:
    assert start_views.others_table(None, "", set(), {}) == start_views.COMPARING


def test_training_all_weights_is_offered_where_it_fits() -> None:
    def table(name: str) -> str:
        found = recommend(machine(name))
        return start_views.others_table([found, *found.others], "", set(), {})

    assert "full fine-tuning" in table("h100")
    assert "full fine-tuning" not in table("cpu16")


LLAMA = catalogue.find("meta-llama/Llama-3.2-1B-Instruct")


def download(state: State, **more: Any) -> Job:
    return job("download-1", state, **more)


def test_a_download_shows_its_progress_in_the_table() -> None:
    going = download(State.RUNNING, progress=Progress(phase="Downloading Llama", done=500, total=2048))
    options = FakeApp().advice.options()
    table = start_views.others_table(options, "", set(), {LLAMA.id: going})
    assert "24%" in table
    assert f'data-do="cancel" data-value="{LLAMA.id}"' in table


def test_a_model_that_was_downloaded_can_be_deleted_in_the_table() -> None:
    table = start_views.others_table(
        FakeApp().advice.options(), "", {LLAMA.id}, {LLAMA.id: download(State.COMPLETED)}
    )
    assert f'data-do="discard" data-value="{LLAMA.id}"' in table


def test_a_better_model_is_suggested() -> None:
    better = recommend(machine("rtx4090"), compare=False)
    small = recommend(machine("cpu16"), compare=False)
    html = start_views.suggestion(better, small)
    assert better.model.name in html
    assert f'data-do="model" data-value="{better.model.id}"' in html
    assert next(reason for reason in better.reasons if reason not in small.reasons) in html
    assert "Recommended" not in start_views.model_card(small, True, 260.0, None, html, outdone=True)
