"""A text is divided into passages; nothing of it is lost, and none is too long to read at once."""

from __future__ import annotations

import pytest

from backend.datasets.documents.passages import SIZE, passages

SENTENCE = "We bake bread at night and sell it in the morning. "


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Short.",
        "\n\n".join(SENTENCE * 3 for _ in range(20)),
        SENTENCE * 100,
        "夜にパンを焼きます。" * 300,
        f"Title\n\n{SENTENCE * 40}\n\nThe end.",
    ],
)
def test_all_of_it_is_there_in_order(text: str) -> None:
    found = passages(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(len(passage) <= SIZE for passage in found)


def test_a_sentence_without_end_stays_whole() -> None:
    assert passages("word " * 1_000) == ["word " * 999 + "word"]
