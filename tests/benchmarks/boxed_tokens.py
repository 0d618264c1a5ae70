"""Encoding 100,000 chat rows, and previewing one, with the tokenizer in a box against the same one in this process.

Both use the bundled model's files, with a comment added to the template so that it counts as foreign. Processor
seconds of all processes count, because other programs disturb them least; the clock's are printed too.

    python -m tests.benchmarks.boxed_tokens [ROWS] [--smoke]
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil
from tokenizers import Tokenizer

from backend.models import bundled
from backend.records.rows import Row
from backend.settings import Workspace
from backend.tokens.plain_tokenizer import PlainTokenizer
from backend.tokens.tokenizer import ChatTokenizer
from tests.benchmarks.chat_corpus import Words, row
from tests.benchmarks.measuring import command_line, print_result

PREVIEWS = 100


def main(rows: int, runs: int) -> None:
    model = bundled.ensure(Workspace.open())
    words = Words(random.Random(0))
    made = [Row(number, number, row(words)) for number in range(rows)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(model / file, folder)
        template = (model / "chat_template.jinja").read_text("utf-8") + "{# foreign #}"
        (folder / "chat_template.jinja").write_text(template, "utf-8")
        boxed = ChatTokenizer.load(folder)
        plain = PlainTokenizer(
            Tokenizer.from_file(str(folder / "tokenizer.json")), template, dict(boxed.special_tokens)
        )
        taken: dict[str, list[tuple[float, float, float]]] = {"box": [], "here": []}
        for _ in range(runs):
            for way, tokenizer in (("box", boxed), ("here", plain)):
                clock, used = _timed(lambda used=tokenizer: used.encode_rows(made))  # type: ignore[misc]
                preview = _timed(lambda used=tokenizer: [used.pieces(one.messages) for one in made[:PREVIEWS]])[0]  # type: ignore[misc]
                taken[way].append((clock, used, preview / PREVIEWS))
    best = {way: [median(column) for column in zip(*times, strict=True)] for way, times in taken.items()}
    for way, (clock, used, preview) in best.items():
        print(f"{way}: {clock:.1f} s ({used:.1f} s of processors), a preview {1000 * preview:.2f} ms")
    print_result(
        "boxed_tokens", "processor seconds", round(best["box"][1], 2), round(best["here"][1], 2),
        round(best["box"][1] / best["here"][1], 3), clock_ratio=round(best["box"][0] / best["here"][0], 3),
        preview_ms=round(1000 * best["box"][2], 2), preview_here_ms=round(1000 * best["here"][2], 2),
    )  # fmt: skip


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processors in this process and its children."""
    me = psutil.Process()
    processes = [me, *me.children()]

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    clock, before = time.perf_counter(), used()
    work()
    return time.perf_counter() - clock, used() - before


if __name__ == "__main__":
    command_line(main, rows=100_000, runs=3)
