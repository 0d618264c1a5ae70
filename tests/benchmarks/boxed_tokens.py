"""Counting the tokens of 100,000 chat rows, 512 at a time as the check of examples
does, encoding them, as a training run does, and previewing one, with the tokenizer in a
box against the same one in this process.

Both use the bundled model's files, with a comment added to the template so that it
counts as foreign. Processor seconds of all processes count, because other programs
disturb them least; the clock's are printed too. The two take turns, so that other
programs disturb both alike.

    python -m tests.benchmarks.boxed_tokens [ROWS] [--smoke]
"""

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from tokenizers import Tokenizer

from backend.models import bundled
from backend.records.rows import Row
from backend.settings import Workspace
from backend.tokens.plain_tokenizer import PlainTokenizer
from backend.tokens.tokenizer import ChatTokenizer
from tests.benchmarks.chat_corpus import Words, row
from tests.benchmarks.measuring import command_line, print_result

PREVIEWS = 500  # one after the other
COUNTED, ENCODED = 512, 5120  # rows at a time


def main(rows: int, runs: int) -> None:
    model = bundled.ensure(Workspace.open())
    words = Words(random.Random(0))
    made = [Row(number, number, row(words)) for number in range(rows)]
    counted, encoded = (
        [made[at : at + turn] for at in range(0, rows, turn)] * runs
        for turn in (COUNTED, ENCODED)
    )
    previewed = [made[:PREVIEWS]] * 2 * runs
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(model / file, folder)
        template = (model / "chat_template.jinja").read_text("utf-8") + "{# foreign #}"
        (folder / "chat_template.jinja").write_text(template, "utf-8")
        boxed = ChatTokenizer.load(folder)
        plain = PlainTokenizer(
            Tokenizer.from_file(str(folder / "tokenizer.json")),
            template,
            dict(boxed.special_tokens),
        )
        for way in (boxed, plain):
            way.count_rows(made[:ENCODED])
        found = {
            "count": _taken(
                lambda way, some: way.count_rows(some), boxed, plain, counted
            ),
            "encode": _taken(
                lambda way, some: way.encode_rows(some), boxed, plain, encoded
            ),
            "preview": _taken(
                lambda way, some: [way.pieces(one.messages) for one in some],
                boxed,
                plain,
                previewed,
            ),
        }
    ratios = {}
    for name, ((clock, used), (clock_here, used_here)) in found.items():
        print(
            f"{name}: {used:.2f} s of processors in a box, {used_here:.2f} here; {clock:.2f} and {clock_here:.2f} s"
        )
        ratios |= {
            f"{name}_ratio": used / used_here,
            f"{name}_clock_ratio": clock / clock_here,
        }
    (clock, used), (_, here) = found["count"]
    preview_ms = 1000 * found["preview"][0][0] / sum(map(len, previewed))
    rounded = {
        name: round(value, 3)
        for name, value in {**ratios, "preview_ms": preview_ms}.items()
    }
    print_result(
        "boxed_tokens",
        "processor seconds",
        round(used, 2),
        round(here, 2),
        rounded.pop("count_ratio"),
        **rounded,
    )


def _taken(
    work: Callable[[PlainTokenizer, list[Row]], object],
    boxed: PlainTokenizer,
    plain: PlainTokenizer,
    turns: list[list[Row]],
) -> list[tuple[float, float]]:
    """Of each way, seconds by the clock and of processors in this process and its
    children. Either begins in turn.
    """
    me = psutil.Process()
    processes = [me, *me.children()]
    taken = {boxed: (0.0, 0.0), plain: (0.0, 0.0)}
    for number, rows in enumerate(turns):
        for way in ((boxed, plain), (plain, boxed))[number % 2]:
            before = (
                time.perf_counter(),
                sum(sum(process.cpu_times()[:2]) for process in processes),
            )
            work(way, rows)
            clock, used = (
                time.perf_counter(),
                sum(sum(process.cpu_times()[:2]) for process in processes),
            )
            taken[way] = (
                taken[way][0] + clock - before[0],
                taken[way][1] + used - before[1],
            )
    return list(taken.values())


if __name__ == "__main__":
    command_line(main, rows=100_000, runs=1)
