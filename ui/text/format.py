"""Numbers, records, and ways to read a file, as a person reads them. Pure functions, no
HTML, no gradio.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from backend.advice.loss import format_loss
from backend.models.catalogue import Entry
from backend.records.exports import TaskScore
from backend.records.units import (
    MIB,
    format_decimal,
    format_rough,
    format_size,
    format_sizes,
)
from jobs.records import Job, Progress
from ui.records.runs import RunInfo

_MOST_PAIRS = (
    2_000  # of a word and the same word in another text; prose of 200 words has 700
)

size, sizes = format_size, format_sizes  # of memory or disk, in MiB
rough = format_rough

# Where the hub's access token is.
PLACES = {
    "environment": (
        "The access token comes from the environment variable HF_TOKEN and can't be "
        "deleted here."
    ),
    "memory": (
        "Your access token is kept until Apprentice closes, because this computer's "
        "keyring can't be used."
    ),
    "keyring": (
        "Your access token is saved in this computer's keyring, where passwords are "
        "kept."
    ),
    "login": (
        "The access token was saved on this computer by hf auth login; hf auth logout "
        "deletes it."
    ),
    "": "There is no access token.",
}
# Of a job: a word, and its tone as for `components.badge`.
STATES = {
    "queued": ("Waiting", "calm"),
    "starting": ("Starting", "good"),
    "running": ("Running", "good"),
    "stopping": ("Stopping", "warn"),
    "stopped": ("Stopped", "warn"),
    "completed": ("Done", "good"),
    "failed": ("Failed", "bad"),
    "interrupted": ("Interrupted", "warn"),
}
# How a model fits this computer, best first, and the tone of that.
FITS = {
    "yes": ("Fits", "good"),
    "tight": ("Just fits", "warn"),
    "no": ("Too big", "bad"),
    "unknown": ("May fit", "calm"),
}
# What is trained, and the field's term.
METHODS = {
    "lora": ("a small addition to the model", "LoRA"),
    "qlora": ("a small addition to the model, compressed to 4 bits", "QLoRA"),
    "full": ("the whole model", "full fine-tuning"),
}
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "cp1257": "Windows-1257 (Baltic)",
    "iso8859-15": "ISO 8859-15 (Western Europe)",
    "koi8-r": "KOI8-R (Cyrillic)",
    "mac-roman": "Mac Roman",
    "cp437": "DOS 437",
    "cp850": "DOS 850",
    "shift-jis": "Shift JIS (Japanese)",
    "euc-jp": "EUC-JP (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
    "big5": "Big5 (Chinese)",
    "euc-kr": "EUC-KR (Korean)",
}
SEPARATORS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
}
FIELDS = {
    "messages": "Conversation",
    "question": "Question",
    "answer": "Answer",
    "context": "Text it is about",
    "system": "Instructions",
    "tools": "Tools",
    "instruction": "Task",
    "input": "Text it is about",
    "output": "Answer",
    "history": "Earlier turns",
    "prompt": "Question",
    "completion": "Answer",
    "chosen": "Better answer",
    "rejected": "Worse answer",
    "label": "Good or bad",
    "text": "Text",
}


def bytes_of(count: int) -> str:
    """Bytes of a file, however small: 96 -> "96 bytes", 2048 -> "2.0 KB"."""
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    return f"{count / 1024:.1f} KB" if count < 100 * 1024 else size(count / MIB)


def duration(seconds: float) -> str:
    """Seconds in at most two units: 80 -> "1 min 20 s", 7500 -> "2 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return (
            f"{minutes} min {rest} s"
            if rest and minutes < 10
            else f"{round(whole / 60)} min"
        )
    hours, rest = divmod(round(whole / 60), 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} days"


def took(job: Job) -> str:
    """How long a job that has ended took, without the breaks between its attempts, as
    far as that is known.
    """
    latest = (job.ended or 0) - (job.started or 0)
    if job.attempt == 1:
        return duration(latest)
    if job.earlier is None:
        return f"{duration(latest)} after it was last continued"
    return f"{duration(job.earlier + latest)} in all"


def span(low: float, high: float) -> str:
    """A range of seconds: (170, 230) -> "3 to 4 min", (58, 62) -> "about 1 min"."""
    first, last = rough(low), rough(high)
    if first == last:
        return f"about {first}"
    number, _, unit = first.partition(" ")
    return f"{number} to {last}" if last.endswith(f" {unit}") else f"{first} to {last}"


def number(value: float) -> str:
    """A whole number with separators: 12400 -> "12,400"."""
    return f"{value:,.0f}"


def all_of(count: int) -> str:
    """2 -> "both", 12 -> "all 12"."""
    return "both" if count == 2 else f"all {number(count)}"


def share(part: float, whole: float) -> str:
    """A part of a whole: (0.4, 1) -> "40%", (0.012, 1) -> "1.2%", (1e-6, 1) -> "under
    0.1%".
    """
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "under 0.1%"
    return f"{percent:.0f}%" if percent >= 9.95 or not percent else f"{percent:.1f}%"


def setting(value: Any) -> str:
    """The value of a setting: 5e-05 -> "0.00005", True -> "yes"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, (int, float)) and abs(value) >= 1e15:
        return f"{value:g}"
    return (
        "unlimited"
        if value == -1
        else format_decimal(value)
        if isinstance(value, float)
        else str(value)
    )


def count(amount: int, singular: str, plural: str = "") -> str:
    """A number with its noun: (1, "example") -> "1 example", (240, "example") -> "240
    examples".
    """
    return f"{amount:,} {singular if amount == 1 else plural or singular + 's'}"


def times(amount: int) -> str:
    """How often: "never", "once", "8 times"."""
    return {0: "never", 1: "once"}.get(amount, f"{amount:,} times")


def loss(value: float | None) -> str:
    """A loss to two significant places; "not measured yet" for None, "not a number" for
    NaN and infinity.
    """
    if value is None:
        return "not measured yet"
    if not math.isfinite(value):
        return "not a number"
    return format_loss(value)


def percent(done: float, total: float) -> int:
    """Whole percent: 0 when `total` is 0, at most 99 until all is done."""
    if total <= 0:
        return 0
    return 100 if done >= total else min(99, int(100 * done / total))


def progress(
    now: Progress | None, amount: Callable[[float], str] = number
) -> tuple[str, int | None, str]:
    """How far a job is: its phase, its percentage if known, and all in words. amount:
    formats what is counted.
    """
    phase = now.phase if now else "Waiting for its turn"
    percentage, sentences = None, f"{phase}."
    if now and now.total > 0:
        percentage, sentences = (
            percent(now.done, now.total),
            f"{sentences} {amount(now.done)} of {amount(now.total)}.",
        )
    if now and now.seconds_left:
        sentences += f" About {duration(now.seconds_left)} left."
    return phase, percentage, sentences


def when(time: float, now: float) -> str:
    """A time in epoch seconds, seen from `now`: "just now", "12 min ago", "today
    14:05", "24 Nov 14:05".
    """
    ago = now - time
    moment, today = datetime.fromtimestamp(time), datetime.fromtimestamp(now)
    if ago < 60:
        return "just now"
    if ago < 3600:
        return f"{int(ago // 60)} min ago"
    clock = f"{moment:%H:%M}"
    if moment.date() == today.date():
        return f"today {clock}"
    return (
        f"{moment.day} {moment:%b} {clock}"
        if moment.year == today.year
        else f"{moment.day} {moment:%b %Y}"
    )


def moment(time: float) -> str:
    """A time in epoch seconds, for texts that last: "24 Nov 2026 14:05"."""
    date = datetime.fromtimestamp(time)
    return f"{date.day} {date:%b %Y %H:%M}"


def version(number: int, one_of_several: bool = False) -> str:
    """The suffix of a model's name: ", version 2"; "" for a first version, except as
    `one_of_several`.
    """
    return f", version {number}" if number > 1 or one_of_several else ""


def origin(run: RunInfo) -> str:
    """The base model and examples of a run: "based on SmolLM2 135M · 216 examples from
    orders.jsonl".
    """
    if not run.model_name:
        return "damaged: its settings can't be read"
    return f"based on {run.model_name} · {count(run.examples, 'example')} from {shorten(run.data_name, 60)}"


def shorten(text: str, limit: int = 80) -> str:
    """The first `limit` characters on one line, with an ellipsis where text was cut
    off.
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def listed(items: list[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return (
        items[0]
        if len(items) == 1
        else ", ".join(items[:-1]) + " and " + items[-1]
        if items
        else ""
    )


def awake(stays: bool) -> str:
    """Whether the computer stays awake while a model trains."""
    if stays:
        return "Your computer stays awake while it trains; leave a laptop's lid open."
    return "Your computer can't be kept awake from here: if it goes to sleep, training pauses until it wakes up."


def short_number(value: float) -> str:
    """A large count: 134515008 -> "135 million", 3.8e9 -> "3.8 billion"."""
    if value >= 1e9:
        return f"{value / 1e9:.1f} billion".replace(".0 ", " ")
    if value >= 1e6:
        return f"{value / 1e6:.0f} million"
    return number(value)


def task_score(task: TaskScore | None) -> str:
    """How a file did on held-out examples: "14 of 16 held-out examples right"; "" where
    it was not tried.
    """
    if not task:
        return ""
    if task.measure == "chrf":
        return f"similarity {task.score:.2f} to the expected answers of {task.items} held-out examples"
    return f"{round(task.score * task.items)} of {task.items} held-out examples right"


def looked_up(model: Entry) -> str:
    """What is known of a model that was looked up, and what its dry run will find out,
    in sentences.
    """
    learns = "Its tokenizer and chat template work here"
    if not model.chat_template:
        learns = "Its tokenizer works here; without a chat template it can learn plain texts only"
    finds = (
        "how much memory it takes"
        if model.architecture.is_modeled
        else "whether its kind fits at all"
    )
    about = f"{short_number(model.parameters)} parameters, {size(model.download_mib)} to download"
    return f"{about}, license: {model.licence}. {learns}. The dry run before training will find out {finds}."


def compared(words: Sequence[str], others: Sequence[str]) -> SequenceMatcher[str]:
    """Which words of two texts are the same. None are where both repeat a few: it would
    take long, and show nothing.
    """
    pairs = sum(map(Counter(words).__getitem__, others))
    return SequenceMatcher(
        None, words, others if pairs <= _MOST_PAIRS else (), autojunk=False
    )
