"""The computer and the models as HTML on Start."""

import os
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.advice.recommend import recommend
from backend.advice.settings import Data
from backend.hardware import Probe, container, gpu_choice, probe
from backend.hardware.benchmark import rates_from
from backend.models import catalogue
from backend.records.machine import Gpu, Hardware, MachineProblem, available
from tests.backend.advice.test_recommend import MACHINES, machine
from tests.backend.hardware.simulated import NVMLErrorLibraryNotFound, ampere, nvml
from ui.services.machine.advice import UnknownLanguage
from ui.text import format as fmt
from ui.web.start import views as start_views

BUNDLED = catalogue.default()


@pytest.mark.parametrize("name", sorted(path.stem for path in MACHINES.glob("*.json")))
def test_every_machine_gets_its_cards(name: str) -> None:
    hardware = machine(name)
    html = start_views.machine_card(Probe.of(hardware), simulated=True)
    assert "Simulated" in html
    assert all(gpu.name in html for gpu in hardware.gpus)
    found = recommend(hardware, compare=False)
    card = start_views.model_card(found, True, None)
    assert found.model.name in card
    assert found.model.licence.partition(" (")[0] in card
    assert re.search(r"[\d.,]+ [GM]B can be used", card)
    assert ("Too big" in card) == (found.fit == "no") != (">Recommended<" in card)


def test_memory_is_a_range_or_what_the_readme_promises() -> None:
    card = start_views.model_card(
        recommend(machine("cpu16"), compare=False), True, 260.0
    )
    assert re.search(r"<strong>[\d.]+ to [\d.]+ GB</strong>", card)
    assert "512 tokens" in card
    assert "380 words" in card
    known = recommend(
        machine("cpu16"),
        Data(rows=200, longest=100, tokens=15_000, learned_share=0.4),
        compare=False,
    )
    card = start_views.model_card(known, True, 260.0)
    assert "380 words" not in card
    assert f"{fmt.size(known.memory.total_mib)}</strong>" in card
    small = Hardware(memory_total_mib=4096, memory_available_mib=3000)
    found = recommend(small, compare=False)
    assert (found.model.id, found.fit) == (BUNDLED.id, "yes")
    found = recommend(machine("cpu16"), compare=False)
    assert "260 MB" in start_views.model_card(found, True, 260.0)
    assert "93 MB" in start_views.model_card(found, True, 260.0)
    assert "257 MB" in start_views.model_card(found, True, None)


def test_a_second_gpu_and_problems_are_shown() -> None:
    two = machine("two_cards")
    html = start_views.machine_card(Probe.of(two))
    assert html.count("on the GPU") == 2
    assert all(fmt.size(gpu.memory_total_mib) in html for gpu in two.gpus)
    wrong = MachineProblem(
        what="There is a GPU, but torch can't use it.", next="Run: pip install torch"
    )
    hardware = Hardware(
        gpus=(Gpu(name="RTX", memory_total_mib=8192, memory_free_mib=8000),)
    )
    html = start_views.machine_card(Probe(hardware=hardware, problems=(wrong,)))
    assert "Run: pip install torch" in html


def test_the_two_figures_of_free_memory_are_explained() -> None:
    hardware = machine("cpu24")
    card = start_views.machine_card(Probe.of(hardware))
    usable = fmt.size(available(hardware))
    assert usable != fmt.size(hardware.memory_available_mib)
    assert f"training can use {usable}" in card
    assert f"{usable} can be used" in start_views.model_card(
        recommend(hardware, compare=False), True, None
    )
    assert "training can use" not in start_views.machine_card(
        Probe.of(machine("rtx4090"))
    )
    shared = machine("macbook16")
    assert "training can use" not in start_views.machine_card(Probe.of(shared))
    more = shared.model_copy(update={"memory_available_mib": 14_000})
    assert "training can use 12.0 GB" in start_views.machine_card(Probe.of(more))


def test_the_source_of_published_results_is_linked() -> None:
    qwen = start_views.model_card(
        recommend(machine("rtx4090"), compare=False), True, None
    )
    assert f'href="{catalogue.find("Qwen3-8B").evidence[0].url}"' in qwen
    assert "March 2026" in qwen
    granite = start_views.model_card(
        recommend(machine("t4"), model_id="granite-4.1-3b", compare=False), True, None
    )
    assert "href" not in granite


def drawn(tmp_path: Path) -> str:
    return start_views.machine_card(probe(tmp_path))


class TestProbe:
    """Problems of the driver and the installation on the page. `driver` replaces NVML."""

    @pytest.fixture(autouse=True)
    def plain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gpu_choice, "built_for", lambda: "13.0")
        monkeypatch.delenv(
            "CUDA_VISIBLE_DEVICES", raising=False
        )  # a training in this process may have set it

    def install(
        self, monkeypatch: pytest.MonkeyPatch, *cards: Any, **options: Any
    ) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", nvml(cards, **options))

    def test_broken_driver(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.install(monkeypatch, ampere(), broken="nvmlInit")
        html = drawn(tmp_path)
        assert "driver of the GPU" in html
        assert "Restart the computer" in html
        assert "Unknown Error" in html

    def test_no_gpu(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.install(monkeypatch, broken="nvmlInit", error=NVMLErrorLibraryNotFound)
        assert "the processor does the work" in drawn(tmp_path)
        assert "alert" not in drawn(tmp_path)

    def test_gpu_in_use_by_another_program(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.install(
            monkeypatch, replace(ampere(), free=4000, users={os.getppid(): 20000})
        )
        html = drawn(tmp_path)
        assert (
            "Other programs use 19.5 GB of the memory of NVIDIA GeForce RTX 3090"
            in html
        )
        assert psutil.Process(os.getppid()).name() in html
        assert 'data-do="probe"' in html

    def test_limits_of_a_container(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.install(monkeypatch, broken="nvmlInit", error=NVMLErrorLibraryNotFound)
        monkeypatch.setattr(
            container, "memory", lambda: container.Limit(3 << 30, 1 << 30)
        )
        monkeypatch.setattr(container, "cores", lambda: 1)
        html = drawn(tmp_path)
        assert re.search(r"2\.0 GB</strong> <span>[^<]*3\.0 GB", html)
        assert "processor core<" in html


def test_a_better_model_is_suggested() -> None:
    better = recommend(machine("rtx4090"), compare=False)
    small = recommend(machine("cpu16"), compare=False)
    html = start_views.suggestion(better, small)
    assert better.model.name in html
    assert f'data-do="model" data-value="{better.model.id}"' in html
    assert (
        next(reason for reason in better.reasons if reason not in small.reasons) in html
    )
    assert "Recommended" not in start_views.model_card(
        small, True, 260.0, html, outdone=True
    )


SPEED = rates_from("cpu", 150e9, 150e9, 12e9, 1.1e-6)


def test_on_a_processor_the_better_model_is_offered_with_both_times() -> None:
    examples = Data(rows=240, longest=96, tokens=17_000, learned_share=0.4)
    advice = partial(recommend, machine("cpu16"), examples, compare=False, rates=SPEED)
    better, here = advice(), advice(available={BUNDLED.id})
    card = start_views.suggestion(better, here)
    assert re.search(
        r"Best within about half an hour: Qwen3 0.6B, about \d+ min, 1.4 GB to download",
        card,
    )
    assert re.search(r"Now, without a download: SmolLM2 135M, about \d+ min", card)
    assert f'data-value="{better.model.id}"' in card
    slower = better.model_copy(update={"seconds": 2400.0})
    assert "Better: Qwen3 0.6B, about 40 min" in start_views.suggestion(slower, here)


def test_another_language_is_one_press_away() -> None:
    small, multilingual = BUNDLED, catalogue.find("meta-llama/Llama-3.2-1B-Instruct")
    html = start_views.language_alert(UnknownLanguage("de", small, multilingual))
    assert f"{small.name} does not speak German" in html
    assert f'data-do="model" data-value="{multilingual.id}"' in html
    assert "on Start" in start_views.language_alert(UnknownLanguage("de", small, None))
    assert start_views.language_alert(None) == ""
