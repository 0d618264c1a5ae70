"""GGUF files in one or several sizes from one conversion, each checked and measured
against the 16-bit model.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean

from backend.chat.client import Chat
from backend.errors import BadInput, ChatFailed
from backend.evaluation.items import Item, judging_items, training_items
from backend.evaluation.measures import Measure, choose_measure
from backend.export import checks, merged_model, ollama, programs
from backend.export.source import Source
from backend.export.target import LOG, Target
from backend.gguf import convert as gguf
from backend.gguf import sizes
from backend.gguf.facts import Facts
from backend.gguf.requirement import has_llama_cpp, has_quantizer
from backend.hardware import container
from backend.models import model_folder
from backend.records.encoded import IGNORED
from backend.records.exports import (
    ExportFile,
    ExportResult,
    FileCheck,
    GgufFile,
    TaskCheck,
    TaskScore,
)
from backend.records.units import MIB
from backend.statistics import SIGNIFICANT, mcnemar_exact
from backend.work import Report

_UNTRIED = (
    "The file was not tested here, because there is no llama.cpp for this computer."
)
_SAME_ENOUGH = 0.98  # of the positions at which a file must choose the merged model's word to be recommended
_ITEMS = 16  # held-out examples that are asked at most: a file of 135 million parameters answers them in seconds
_LONGEST_ANSWER = 256  # tokens
_SHARE_OF_MEMORY = 0.5  # of the computer's, that a recommended file may take


def make(source: Source, target: Target, report: Report) -> list[ExportFile]:
    """Make a GGUF file of each type. Raises MissingPart, NotEnough, ExportFailed."""
    merged_model.make(source, target, report)
    # The 16-bit file, of which the smaller ones are made, may not be wanted itself.
    merged, f16 = (
        target.merged,
        (target.place if "F16" in target.kinds else target.work)
        / f"{target.name}-F16.gguf",
    )
    if set(target.kinds) - {"Q8_0"}:
        poll = _progress(report, "Converting", f16, sizes.size(merged, "F16"))
        gguf.convert(merged, f16, poll, "F16", target.name)
    for kind, file in _paths(target).items():
        if kind != "F16":
            poll = _progress(report, f"Making {kind}", file, sizes.size(merged, kind))
            if f16.is_file() and has_quantizer():
                gguf.quantize(f16, file, kind, poll)
            else:
                gguf.convert(merged, file, poll, kind, target.name)
    return [
        ExportFile(name=file.name, bytes=file.stat().st_size)
        for file in _paths(target).values()
    ]


def check(
    source: Source, target: Target, files: list[ExportFile], report: Report
) -> ExportResult:
    """Check each file, say what it lost against the merged model, and recommend one for
    this computer.
    """
    if not has_llama_cpp():
        untried = FileCheck(
            ok=None, sentence=_UNTRIED, loads=None, stops=None, agrees=None
        )
        parity = checks.tokens_in(source, target.merged)
        result = ExportResult(parity=parity, smoke=dict.fromkeys(target.kinds, untried))
    else:
        result = _check_answers(source, target, report)
    largest_first = sorted(
        zip(target.kinds, files, strict=True), key=lambda pair: -pair[1].bytes
    )
    usable = {
        kind: target.place / file.name
        for kind, file in largest_first
        if result.smoke[kind].loads
    }
    tasks, task = task_scores(source, target, usable, report)
    described = []
    for kind, file in largest_first:
        check, narrow = result.smoke[kind], sizes.too_narrow(target.merged, kind)
        same = (
            {"same_choice": check.same_choice, "places": check.places}
            if check.places
            else {}
        )
        described.append(
            GgufFile(
                kind=kind,
                file=file.name,
                bytes=file.bytes,
                too_narrow=narrow,
                task=tasks.get(kind),
                **same,
            )
        )
    failed = {kind for kind, smoke in result.smoke.items() if smoke.ok is False} | {
        *(task.worse if task else ())
    }
    best = recommended(
        [file for file in described if file.kind not in failed],
        container.memory_mib()[0] * MIB,
    )
    marked = tuple(
        file.model_copy(update={"recommended": file.kind == best}) for file in described
    )
    result = result.joined(ExportResult(sizes=marked))
    return result.joined(ExportResult(task=task)) if task else result


def finish(source: Source, target: Target, result: ExportResult) -> ExportResult:
    """Add a Modelfile for each file that can be opened, and say where to use the best
    one.
    """
    usable = [
        file
        for kind, file in _paths(target).items()
        if result.smoke[kind].loads is not False
    ]
    for file in usable:
        # If the template can't be expressed, Ollama chooses one itself.
        template = ollama.derive(
            source.tokenizer, (*checks.PLAIN, *source.prompts), Facts(file).adds_bos
        )
        text = ollama.modelfile(
            file.name,
            template.go() if template else "",
            [
                source.tokenizer.decode([token], skip_special_tokens=False)
                for token in source.tokenizer.stop_ids
            ],
            source.system_message,
            model_folder.context_length(source.run.model.path),
        )
        file.with_suffix(".Modelfile").write_text(text, "utf-8", "replace")
        result = result.joined(ExportResult(ollama_template=template is not None))
    first = (usable or list(_paths(target).values()))[0].name
    best = next((size.file for size in result.sizes if size.recommended), first)
    return result.joined(
        ExportResult(programs=tuple(programs.for_gguf(best, source.system_message)))
    )


def recommended(files: Sequence[GgufFile], memory: int) -> str:
    """The type to use on a computer with `memory` bytes: of the files that fit into
    half of it, the smallest that chooses the merged model's word in 98% of the
    positions, or else the one that does so most often. "" if none fits or nothing was
    measured.
    """
    fit = [
        file
        for file in files
        if file.same_choice is not None and file.bytes <= memory * _SHARE_OF_MEMORY
    ]
    same = [file for file in fit if (file.same_choice or 0.0) >= _SAME_ENOUGH]
    if same:
        return min(same, key=lambda file: file.bytes).kind
    return max(fit, key=lambda file: file.same_choice or 0.0).kind if fit else ""


def _paths(target: Target) -> dict[str, Path]:
    """The GGUF files by type."""
    return {kind: target.place / f"{target.name}-{kind}.gguf" for kind in target.kinds}


def _check_answers(source: Source, target: Target, report: Report) -> ExportResult:
    """Check each file in turn, in a chat process of its own."""
    files = _paths(target)
    result = ExportResult()
    reference = checks.Reference.of(target.merged, source.prompts[0], source.rows)
    smoke: dict[str, FileCheck] = {}
    with closing(Chat(source.workspace, log_file=target.folder / LOG)) as chat:
        for number, (kind, file) in enumerate(files.items(), 1):
            report("Checking", number, 2 + len(files))
            try:
                chat.open(gguf=file)
                parity = checks.tokens_in(
                    source, target.merged, {"the GGUF file": chat.prompt_ids}
                )
                result = result.joined(ExportResult(parity=parity))
                if result.template is None:  # all files have the same
                    template = checks.check_template(
                        chat, source.tokenizer, source.prompts
                    )
                    result = result.joined(ExportResult(template=template))
                check = checks.check_gguf(
                    chat, kind, reference, source.prompts, source.rows
                )
            except (
                ChatFailed,
                BadInput,
            ) as error:  # a file that can't be opened, or has no template
                check = FileCheck(
                    ok=False, sentence=f"{error.what} {error.why}", loads=False
                )
            if len(files) > 1:
                check = check.model_copy(
                    update={"sentence": f"{kind}: {check.sentence}"}
                )
            smoke[kind] = check
    return result.joined(ExportResult(smoke=smoke))


def _progress(
    report: Report, phase: str, file: Path, expected: int
) -> Callable[[], None]:
    """Reports how much of a file is written, in MiB, of about `expected` bytes."""
    total = max(1, expected // MIB)
    report(phase, 0, total)

    def poll() -> None:
        written = file.stat().st_size // MIB if file.is_file() else 0
        report(phase, min(written, total), total)

    return poll


def task_scores(
    source: Source, target: Target, files: Mapping[str, Path], report: Report
) -> tuple[dict[str, TaskScore], TaskCheck | None]:
    """How well each GGUF file does the task, where several sizes are made and held-out
    examples judge the run: the score of each of the `files` (by type, the largest
    first), and whether one does the task worse. Nothing for one file alone, and for
    pairs, plain texts and tools. The score is that of the evaluation's main measure, on
    fewer examples. Raises RunProblem for damaged examples.
    """
    if len(files) < 2 or source.run.settings.trainer != "sft":
        return {}, None
    items = judging_items(source.folder, _ITEMS)
    measure = choose_measure(
        [item.expected for item in (*training_items(source.folder), *items)]
    )
    if not items or measure.name == "tool_call" or any(item.tools for item in items):
        return {}, None
    scores = {}
    with closing(Chat(source.workspace, log_file=target.folder / LOG)) as chat:
        for number, (kind, file) in enumerate(files.items()):
            report("Trying the sizes on held-out examples", number, len(files))
            chat.open(gguf=file)
            scores[kind] = _scores(source, chat, items, measure, report.poll)
    name, tried = measure.name, {kind: some for kind, some in scores.items() if some}
    tasks = {
        kind: TaskScore(measure=name, score=fmean(s.values()), items=len(s))
        for kind, s in tried.items()
    }
    return tasks, compare_tasks(scores) if all(scores.values()) else None


def compare_tasks(scores: Mapping[str, Mapping[int, float]]) -> TaskCheck:
    """Whether a size does the task worse than the largest, the first, by more than
    chance. scores: by type and the example's number. Decided by the exact McNemar test
    over the examples on which the one scores more or less than the other, at the usual
    level shared among the sizes (Bonferroni).
    """
    (largest, best), *smaller = scores.items()
    means = {kind: fmean(some.values()) for kind, some in scores.items()}
    worse = []
    for kind, some in smaller:
        both = best.keys() & some.keys()
        lost = sum(some[number] < best[number] for number in both)
        won = sum(some[number] > best[number] for number in both)
        if lost > won and mcnemar_exact(won, lost) <= SIGNIFICANT / len(smaller):
            worse.append(kind)
    numbers = ", ".join(f"{kind} {mean:.2f}" for kind, mean in means.items())
    verdict = f"{' and '.join(worse) if worse else 'none'} clearly worse than {largest}"
    sentence = f"The sizes on {len(best)} held-out examples (mean score, 0 to 1): {numbers}; {verdict}."
    return TaskCheck(
        ok=not worse,
        sentence=sentence,
        worse=tuple(worse),
        items=len(best),
        scores=means,
    )


def _scores(
    source: Source, chat: Chat, items: list[Item], by: Measure, poll: Callable[[], None]
) -> dict[int, float]:
    """The score of the answer to each of `items`, by its number; without those that are
    too long for the model.
    """
    longest = max(
        sum(label != IGNORED for label in row["labels"]) for row in source.rows
    )
    limit = min(_LONGEST_ANSWER, 16 + 2 * longest)
    scores = {}
    for number, item in enumerate(items):
        poll()
        try:
            answer = "".join(
                chunk.text
                for chunk in chat.ask(list(item.messages), max_new_tokens=limit)
            )
        except BadInput:  # too long for the model
            continue
        scores[number] = by.score(item.expected, answer)
    return scores
