"""Counting the tokens of 100,000 chat rows, as the check of examples does, encoding them, as a training run does, and
previewing one, with the tokenizer in a box against the same one in this process.

Both use the bundled model's files, with a comment added to the template so that it counts as foreign. Processor
seconds of all processes count, because other programs disturb them least; the clock's are printed too.

    python -m tests.benchmarks.boxed_tokens [ROWS] [--smoke]
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
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

PREVIEWS = 500


def main(rows: int, runs: int) -> None:
    model = bundled.ensure(Workspace.open())
    words = Words(random.Random(0))
    made = [Row(number, number, row(words)) for number in range(rows)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(model / file, folder)
        template = (model / "chat_template.jinja").read_text("utf-8") + "{# foreign #}"
        (folder / "chat_template.jinja").write_text(template, "utf-8")
        boxed = ChatTokenizer.load(folder)
        plain = PlainTokenizer(
            Tokenizer.from_file(str(folder / "tokenizer.json")), template, dict(boxed.special_tokens)
        )
        works: dict[str, Callable[[PlainTokenizer], object]] = {
            "count": lambda tokenizer: tokenizer.count_rows(made),
            "encode": lambda tokenizer: tokenizer.encode_rows(made),
            "preview": lambda tokenizer: [tokenizer.pieces(one.messages) for one in made[:PREVIEWS]],
        }
        taken = {
            name: [[_timed(partial(work, tokenizer)) for tokenizer in (boxed, plain)] for _ in range(runs)]
            for name, work in works.items()
        }
    found = {}
    for name, times in taken.items():
        (clock, used), (clock_here, used_here) = (
            map(median, zip(*way, strict=True)) for way in zip(*times, strict=True)
        )
        print(f"{name}: {used:.2f} s of processors in a box, {used_here:.2f} here; {clock:.2f} and {clock_here:.2f} s")
        found[name] = used, used_here, round(used / used_here, 3), round(clock / clock_here, 3)
    box, here, ratio, clock_ratio = found["count"]
    print_result(
        "boxed_tokens", "processor seconds", round(box, 2), round(here, 2), ratio, clock_ratio=clock_ratio,
        encode_ratio=found["encode"][2], preview_ratio=found["preview"][2], preview_clock_ratio=found["preview"][3],
        preview_ms=round(1000 * found["preview"][0] / PREVIEWS, 2),
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
