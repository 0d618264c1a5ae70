"""What people have comes out as it should: as examples, with a question, or refused with the reason."""

import pytest

from backend.datasets.read.load import ReadOptions
from tests.backend.datasets import sources
from tests.backend.datasets.sources import SourceFile

ALL = list(sources.sources())


@pytest.mark.parametrize("source", ALL, ids=lambda source: f"{source.group}/{source.file}")
def test_a_source_comes_out_as_the_table_says(source: SourceFile) -> None:
    found = sources.read(source.path)
    assert found.outcome == source.outcome, found
    assert found.question == source.question, found
    if source.outcome == "refused":
        assert source.says
        assert source.says in found.error
        return
    if source.options:
        found = sources.read(source.path, ReadOptions(**source.options))
    assert (found.rows, found.first, found.last) == (source.rows, source.first, source.last)


def test_the_corpus_and_its_tables_are_whole() -> None:
    for group in sources.GROUPS:
        listed = sorted(source.file for source in ALL if source.group == group)
        assert listed == sorted(path.name for path in (sources.FOLDER / group).iterdir())
    assert sources.DOCUMENT.read_text("utf-8") == sources.document(ALL)
