"""The computer and the models as Start draws them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend import catalogue
from backend.hardware import Probe, load_hardware
from backend.recommend import recommend
from backend.specs import Gpu, Hardware, MachineProblem
from tests.ui.fake_services import FakeServices
from ui import present, start_views
from ui.languages import LANGUAGES

MACHINES = Path(__file__).parents[1] / "backend" / "machines"
EMBEDDED = catalogue.default()


def machine(name: str) -> Hardware:
    return load_hardware(MACHINES / f"{name}.json")


@pytest.mark.parametrize("name", sorted(path.stem for path in MACHINES.glob("*.json")))
def test_every_machine_is_told_and_gets_a_card(name: str) -> None:
    hardware = machine(name)
    told = start_views.machine_card(Probe.of(hardware), simulated=True)
    assert "Simulated" in told
    assert all(gpu.name in told for gpu in hardware.gpus)
    found = recommend(hardware, compare=False)
    card = start_views.model_card(found, True, None, None)
    assert found.model.name in card
    assert found.model.licence.partition(" (")[0] in card
    assert re.search(r"needed, computed; you have [\d.,]+ [GM]B", card)
    assert ("Too big" in card) == (found.fit == "no") != (">Recommended<" in card)


def test_before_there_are_examples_it_is_said_what_the_memory_is_for() -> None:
    card = start_views.model_card(recommend(machine("cpu16"), compare=False), True, 260.0, None)
    assert re.search(r"<dd>[\d.]+ GB to [\d.]+ GB</dd>", card)
    assert "examples of up to 512 tokens, about 380 words" in card
    known = recommend(machine("cpu16"), rows=200, longest=100, tokens=15_000, learned_share=0.4, compare=False)
    card = start_views.model_card(known, True, 260.0, None)
    assert "about 380 words" not in card
    assert f"{present.size(known.memory.total_mib)}</dd>" in card


def test_least_memory_of_the_embedded_model_is_what_the_readme_promises() -> None:
    small = Hardware(memory_total_mib=4096, memory_available_mib=3000)
    found = recommend(small, compare=False)
    assert (found.model.id, found.fit) == (EMBEDDED.id, "yes")


def test_both_sizes_of_the_model_that_comes_packed_are_told() -> None:
    found = recommend(machine("cpu16"), compare=False)
    assert "260 MB" in start_views.model_card(found, True, 260.0, None)
    assert "unpacked from 93 MB" in start_views.model_card(found, True, 260.0, None)
    assert "unpacked it takes 257 MB" in start_views.model_card(found, True, None, None)


def test_a_second_card_and_what_is_wrong_are_told() -> None:
    told = start_views.machine_card(Probe.of(machine("two_cards")))
    assert told.count("free on the card of") == 2
    wrong = MachineProblem(what="There is a graphics card, but torch can't use it.", next="Run: pip install torch")
    hardware = Hardware(gpus=(Gpu(name="RTX", memory_total_mib=8192, memory_free_mib=8000),))
    told = start_views.machine_card(Probe(hardware=hardware, problems=(wrong,)))
    assert "Run: pip install torch" in told


def test_every_language_has_a_name() -> None:
    assert {code for entry in catalogue.all() for code in entry.languages} <= set(LANGUAGES)


def test_each_line_carries_what_it_is_filtered_by() -> None:
    options = FakeServices().others()
    table = start_views.others_table(options, options[0].model.id, {options[0].model.id})
    gemma = re.search(r"<tr ([^>]*)><td[^>]*><strong>Gemma 2 9B", table)
    assert gemma is not None
    assert 'data-fit="no"' in gemma[1]
    assert 'data-use="free"' in gemma[1]  # and not "open": access must be asked for
    assert 'data-size="large"' in gemma[1]
    assert table.count('data-fit="yes here"') == 1
    offered = set(re.findall(r'data-filter="(\w+)"', table))
    assert offered == {"fit", "size", "use", "language", "task"}
    for key in offered:
        values = set(re.search(rf'data-filter="{key}">(.*?)</select>', table)[1].split('value="')[2:])  # type: ignore[index]
        carried = " ".join(re.findall(rf' data-{key}="([^"]*)"', table)).split()
        assert {value.partition('"')[0] for value in values} & set(carried), key


def test_while_models_are_compared_it_is_said() -> None:
    assert "Working out" in start_views.others_table(None, "", set())
