"""The report as JSON has the promised keys, and its numbers agree with each other."""

from __future__ import annotations

import json

from backend.datasets.check_dataset import check
from backend.records.lengths import LengthLimits
from backend.tokens.token_counts import TokenCounter
from tests.backend.datasets.builders import WordTokenizer, chat, clean_row, clean_rows, dataset


def test_the_promised_json_keys_are_there() -> None:
    rows = [*clean_rows(20), clean_row(5), chat(22, ("user", "Hello?"))]
    rows[20].row = rows[20].line = 21
    checked = check(dataset(rows), counter=TokenCounter(WordTokenizer()), lengths=LengthLimits(30))
    report = json.loads(json.dumps(checked.to_json()))
    assert {"format", "encoding", "rows", "usable", "problems", "duplicates", "split", "tokens"} <= set(report)
    assert (report["format"], report["encoding"], report["rows"], report["usable"]) == ("jsonl", "utf-8", 22, 21)
    for problem in report["problems"]:
        assert {"line", "row", "file", "kind", "severity", "message", "fix", "quote"} == set(problem)
        assert problem["severity"] in ("error", "warning")
    assert (report["duplicates"]["exact"], report["duplicates"]["near"]) == (1, 0)
    assert report["duplicates"]["groups"] == [[5, 21]]
    assert report["split"]["train"] + report["split"]["validation"] == report["usable"]
    tokens = report["tokens"]
    assert {"total", "learned", "longest", "truncated", "documents", "pieces"} == set(tokens)
    assert tokens["total"] == 21 * 30 < 21 * tokens["longest"]
    assert 0 < tokens["learned"] < tokens["total"]
    assert tokens["truncated"] == 21


def test_without_a_model_token_counts_are_null() -> None:
    assert {*check(dataset(clean_rows(3))).to_json()["tokens"].values()} == {None}


def test_counts_and_error_rows() -> None:
    report = check(dataset([*clean_rows(3), chat(4, ("user", "Hello?")), chat(5, ("user", "Goodbye?"))]))
    assert report.counts()["no_assistant"] == 2
    assert report.error_rows() == {4, 5}
