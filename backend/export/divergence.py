"""How much a smaller GGUF file lost: its next words compared with the 16-bit file's, in a process without torch.

Along the expected answers of a few examples, at each position: the Kullback-Leibler divergence of the file's
probabilities from the 16-bit ones, sum over words of p * (log p - log q), in nats, and whether both choose the same
word. `python -m backend.export.divergence REQUEST` is the child; it writes its results beside the request.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backend import child_process
from backend.errors import ExportFailed


class Divergence(NamedTuple):
    """What a file lost: the mean divergence (nats), and the share of `places` with the same word; None: not
    measured."""

    kl: float | None = None
    same_choice: float | None = None
    places: int = 0


POSITIONS = 64  # of each example at most, spread over its answers


def disk_needed(rows: int, vocabulary: int) -> int:
    """Bytes for the 16-bit file's numbers during the comparison."""
    return rows * POSITIONS * vocabulary * 4


def measure(
    reference: Path,
    files: Mapping[str, Path],
    rows: Sequence[Mapping[str, Sequence[int]]],
    work: Path,
    poll: Callable[[], None],
) -> dict[str, Divergence]:
    """Compare `files` (by type) with the 16-bit file `reference` on `rows` ({input_ids, labels}). work: a folder for
    what is needed meanwhile. poll: called while it runs; what it raises ends the measurement. Raises ExportFailed."""
    names = {kind: str(path) for kind, path in files.items()}
    asked = {"reference": str(reference), "files": names, "rows": list(rows)}
    measured, why = child_process.run_request("backend.export.divergence", work / "divergence.json", asked, poll)
    if measured is None:
        what = "The smaller files could not be compared with the 16-bit file."
        raise ExportFailed(what, why, "Close other programs to free memory, or choose one size.")
    return {kind: Divergence(*numbers) for kind, numbers in measured.items()}


def compare(log_p: Any, log_q: Any) -> tuple[list[float], list[bool]]:
    """The divergence at each position, and whether both choose the same word; arrays (positions, words)."""
    import numpy

    p = numpy.exp(log_p)
    return (p * (log_p - log_q)).sum(-1).tolist(), (log_p.argmax(-1) == log_q.argmax(-1)).tolist()


def _measure_here(request: Path) -> None:
    import numpy

    asked = json.loads(request.read_text("utf-8"))
    rows = asked["rows"]
    for number, log_p in enumerate(_log_probabilities(asked["reference"], rows)):
        numpy.save(request.with_suffix(f".{number}.npy"), log_p)
    results = {}
    for kind, file in asked["files"].items():
        losses: list[float] = []
        same: list[bool] = []
        for number, log_q in enumerate(_log_probabilities(file, rows)):
            log_p = numpy.load(request.with_suffix(f".{number}.npy"), "r")
            more, choices = compare(log_p, log_q)
            losses += more
            same += choices
        places = max(1, len(losses))
        results[kind] = Divergence(sum(losses) / places, sum(same) / places, len(losses))
    child_process.return_value(request, results)


def _log_probabilities(file: str, rows: Sequence[Mapping[str, list[int]]]) -> Iterator[Any]:
    """For each row the log-probabilities of every word at its learned positions, float32."""
    import numpy

    from backend.chat.llama import Context, Weights

    weights = Weights(Path(file))
    context = Context(weights, max([64, *(len(row["input_ids"]) for row in rows)]))
    for row in rows:
        learned = [at - 1 for at, label in enumerate(row["labels"]) if at > 0 and label >= 0]
        if len(learned) > POSITIONS:
            learned = [learned[at * len(learned) // POSITIONS] for at in range(POSITIONS)]
        logits = numpy.concatenate([*context.logits_from(row["input_ids"])])[learned]
        logits -= logits.max(-1, keepdims=True)
        yield logits - numpy.log(numpy.exp(logits).sum(-1, keepdims=True))


if __name__ == "__main__":
    _measure_here(Path(sys.argv[1]))
