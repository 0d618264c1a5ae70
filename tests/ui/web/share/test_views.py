"""Share's HTML: the sizes of GGUF files, what each lost, and where a file can be used."""

from __future__ import annotations

from pathlib import Path

from jobs.records import State
from ui.records.share import ExportFile, ExportStatus, GgufSize, ProgramGuide
from ui.web.share import views

SIZES = (
    GgufSize("F16", 259.0, 0.0, 1.0, 300, 0.0, False),
    GgufSize("Q8_0", 138.0, 0.0004, 0.997, 300, 0.0, True),
    GgufSize("Q4_K_M", 100.0, 0.0412, 0.94, 300, 0.78, False),
)
GUIDE = ProgramGuide("Ollama", "Runs.", ("One.", "Two.", "Three."), "ollama run a", "https://docs.ollama.com")
FILE = ExportFile("a-Q8_0.gguf", Path("/x/a-Q8_0.gguf"), 138.0, "0f" * 32)


def status(**more: object) -> ExportStatus:
    made = {"id": "e", "to": "gguf:F16,gguf:Q8_0", "state": State.COMPLETED, "active": False}
    return ExportStatus(**{**made, "progress": None, "failure": None, "files": (FILE,), **more})  # type: ignore[arg-type]


def test_each_size_says_what_it_lost_and_one_is_recommended() -> None:
    shown = views.exports([status(sizes=SIZES)])
    assert shown.count("(recommended)") == 1
    for words in ("138 MB", "99.7% of 300 positions", "0.0412", "78% of the weights"):
        assert words in shown


def test_programs_and_the_instruction_are_shown() -> None:
    shown = views.exports([status(guides=(GUIDE,))], "Be <warm>.")
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
    checks = ((True, "It loads."), (False, "It never ends its answers."))
    failed = views.exports([status(checks=checks, sizes=SIZES, guides=(GUIDE,))])
    warning, _, hidden = failed.partition("<details")
    assert 'role="alert"' in warning
    assert "It never ends its answers." in warning
    assert "a-Q8_0.gguf" not in warning
    assert "a-Q8_0.gguf" in hidden, "one press away"
    assert "<details" not in views.exports([status(checks=checks[:1])]).partition("a-Q8_0.gguf")[0]
