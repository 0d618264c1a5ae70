"""Words that may not appear in names or text: the field, or a native speaker, says each
of them differently.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import PROJECT_ROOT

INSTEAD = {
    "train, training, epochs": "practice practices practiced practicing practise practises practised practising",
    "fix": "mend mends mended mending", "import, imported": "brought bringing",
    "dry run": "rehearse rehearses rehearsed rehearsing rehearsal rehearsals preflight",
    "choose settings": "tailor tailors tailored tailoring", "dataset store": "shelf shelves", "shingles": "wordpairs",
    "not examples": "stray strays", "training session": "learner learners",
    "Hugging Face Jobs, rented GPU": "renting", "clickable": "pressable",
}  # fmt: skip
BANNED = {word: instead for instead, words in INSTEAD.items() for word in words.split()}
SUFFIXES = {
    ".py",
    ".js",
    ".css",
    ".html",
    ".md",
    ".json",
    ".sh",
    ".bat",
    ".toml",
    ".txt",
    ".yml",
    ".yaml",
    ".svg",
}
DATA = {
    "static/samples/order_words.json",  # names the goods of a furniture shop
    "static/general/SmolLM2-135M-Instruct.json",  # a model's own words
}
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def banned_in(text: str) -> list[str]:
    """The banned words in a text, also as parts of names: `brought_rows`, `isShelf`,
    `MEND`.
    """
    return [part for part in map(str.lower, _PART.findall(text)) if part in BANNED]


def files() -> Iterator[Path]:
    """Every file of the project that holds code or text for people, except this one and
    DATA.
    """
    for path in PROJECT_ROOT.rglob("*"):
        parts = path.relative_to(PROJECT_ROOT).parts
        if any(
            part == "__pycache__"
            or (part.startswith(".") and part not in (".ci", ".github"))
            for part in parts
        ):
            continue
        known = path == Path(__file__) or "/".join(parts) in DATA
        if path.suffix in SUFFIXES and path.is_file() and not known:
            yield path


def test_no_file_uses_a_banned_word() -> None:
    found = []
    for path in files():
        name = path.relative_to(PROJECT_ROOT).as_posix()
        found += [
            f"{name}: the file's name: {word} ({BANNED[word]})"
            for word in banned_in(name)
        ]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            found += [
                f"{name}:{number}: {word} ({BANNED[word]})" for word in banned_in(line)
            ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The practice rows were mended.", ["practice", "mended"]),
        ("def brought_rows(shelf: Shelf) -> None:", ["brought", "shelf", "shelf"]),
        ("isPressable PreflightResult MEND", ["pressable", "preflight", "mend"]),
        ("#practice-list2 .stray{}", ["practice", "stray"]),
        ("recommend, amend, commendable, astray, brought-up", ["brought"]),
        ("train, fix, import, dry run, stored, clickable", []),
    ],
)
def test_words_are_found_as_parts_of_names_and_nowhere_else(
    text: str, words: list[str]
) -> None:
    assert banned_in(text) == words


def test_it_reads_the_code_the_page_and_the_documents() -> None:
    names = {path.relative_to(PROJECT_ROOT).as_posix() for path in files()}
    assert names >= {
        "app.py",
        "README.md",
        "static/style.css",
        "start.sh",
        "tests/conftest.py",
    }
    assert any(name.startswith("ui/") for name in names)
    assert not any(name.startswith((".venv", ".git/")) for name in names)
