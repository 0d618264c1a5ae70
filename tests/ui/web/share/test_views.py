"""Share's HTML: the sizes of GGUF files, what each lost, where a file can be used, and how to do without a Space."""

from pathlib import Path
from typing import Any

import pytest

from backend.records.exports import Check, ExportFile, ExportResult, GgufFile, Program
from backend.records.units import MIB
from jobs.records import State
from ui.records.share import ExportStatus
from ui.web.share import views

SIZES = (
    GgufFile(kind="F16", bytes=259 * MIB, kl=0.0, same_choice=1.0, places=300),
    GgufFile(kind="Q8_0", bytes=138 * MIB, kl=0.0004, same_choice=0.997, places=300, recommended=True),
    GgufFile(kind="Q4_K_M", bytes=100 * MIB, kl=0.0412, same_choice=0.94, places=300, too_narrow=0.78),
)
GUIDE = Program(
    name="Ollama", what="Runs.", steps=("One.", "Two.", "Three."), code="ollama run a",
    source="https://docs.ollama.com",
)  # fmt: skip
FILE = ExportFile(name="a-Q8_0.gguf", bytes=138 * MIB, sha256="0f" * 32)


def status(**found: Any) -> ExportStatus:
    result = ExportResult(files=(FILE,), **found)
    return ExportStatus("e", "gguf:F16,gguf:Q8_0", State.COMPLETED, False, None, None, Path("/x"), result)


def test_each_size_says_what_it_lost_and_one_is_recommended() -> None:
    shown = views.exports([status(sizes=SIZES)])
    assert shown.count("(recommended)") == 1
    for words in ("138 MB", "99.7% of 300 positions", "0.0412", "78% of the weights"):
        assert words in shown


def test_programs_and_the_instruction_are_shown() -> None:
    shown = views.exports([status(programs=(GUIDE,))], "Be <warm>.")
    assert all(words in shown for words in ("Ollama", "<li>Two.</li>", "ollama run a", "Be &lt;warm&gt;."))
    assert "Where to use it" not in views.exports([status()])


def test_the_types_say_which_weights_do_not_fit() -> None:
    offered = {key: words for words, key in views.gguf_types({"gguf:Q6_K": (132.0, 132.0)}, {"Q6_K": 0.78})}
    assert "132" in offered["gguf:Q6_K"]
    assert "78%" in offered["gguf:Q6_K"]
    assert "%" not in offered["gguf:Q8_0"]
    assert set(offered) == {f"gguf:{kind}" for kind in ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")}


def test_without_llama_cpp_it_says_how_to_get_the_other_types() -> None:
    assert "compiler" in views.types_note(False)
    assert "compiler" not in views.types_note(True)


def test_a_failed_check_hides_the_download_behind_a_warning() -> None:
    checks = (Check(ok=True, sentence="It loads."), Check(ok=False, sentence="It never ends its answers."))
    failed = views.exports([status(checks=checks, sizes=SIZES, programs=(GUIDE,))])
    warning, _, hidden = failed.partition("<details")
    assert 'role="alert"' in warning
    assert "It never ends its answers." in warning
    assert "a-Q8_0.gguf" not in warning
    assert "a-Q8_0.gguf" in hidden, "one press away"
    assert "<details" not in views.exports([status(checks=checks[:1])]).partition("a-Q8_0.gguf")[0]


def test_a_space_says_how_to_go_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/demo")
    card = views.at_home()
    assert "https://huggingface.co/spaces/owner/demo?duplicate=true" in card
    assert "git clone https://huggingface.co/spaces/owner/demo" in card


def test_at_home_there_is_no_such_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert not views.at_home()
