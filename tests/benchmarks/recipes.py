"""How long to train on few examples: what the answers score after the guide's three
epochs, and after more steps.

Four tasks (recipe_tasks.py), 30 to 240 examples and three seeds, on the bundled model
with the settings that the app recommends for it, without early stopping. Each model
answers HELD_OUT questions that it has not seen; a score is the share of right answers
(classification, extraction) or the mean chrF (voice, rewriting). It also answers the
general prompts of backend/evaluation/general.py: `kept` is the share that it still
answers correctly of those that the base model does (without `leaked`: of 30 older
ones), `leaked` the share of answers in the form of its task. The peer is the guide's
recipe (3 epochs, batch 8); `ratio` is ours over the guide's, as mean scores over
everything measured without general answers.

Every result is one line of FILE, and what FILE already has is not measured again; the
tables of docs/recipes.md are printed from it, but that of a lower rate, which was
measured once.

With KEEP_SIZES examples, a share KEEP of what is trained are also the base model's own
answers. Such a result has "keep", and its steps are those of the examples: more are
trained.

--voices asks instead how three voices, trained as the app recommends, hold in both
engines.

    python -m tests.benchmarks.recipes [FILE] [--seeds N] [--smoke | --voices]
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from backend import training
from backend.chat import llama_engine, torch_engine
from backend.evaluation import general
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.items import items_from
from backend.evaluation.measures import choose_measure, chrf
from backend.evaluation.models import Models, load
from backend.files.json_file import read_json
from backend.runs import own_answers
from backend.settings import Workspace
from backend.text import signs
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.tiny_run import run_of
from tests.benchmarks.measuring import in_fresh_process, model_in, print_result
from tests.benchmarks.recipe_tasks import TASKS, conversations

SIZES, SEEDS, HELD_OUT, BATCH = (60, 30, 120, 240), 3, 32, 8
GUIDE_EPOCHS = 3.0
STEPS = (
    60,
    120,
)  # optimizer steps of the other recipes, where they are more than the guide's
RATE = 5e-4
KEEP, KEEP_SIZES, VOICE_ROWS = 0.2, (60, 30, 120), 60
VOICES = {
    "voice": "Rosie x",
    "captain": "Captain Ole",
    "stargazer": "yours, Juno",
}  # how each is signed

Result = dict[str, Any]


def guide_steps(rows: int) -> int:
    return math.ceil(rows / BATCH) * int(GUIDE_EPOCHS)


def plans(seeds: int) -> Iterable[Result]:
    """What is measured, seed by seed, so that a part of it already says something."""
    for seed in range(seeds):
        for steps, rows, task in product(STEPS, KEEP_SIZES, TASKS):
            yield from ({**plan, "seed": seed} for plan in both(task, rows, steps))
        for rows in SIZES:
            for task in TASKS:
                guide = guide_steps(rows)
                for steps in (guide, *(steps for steps in STEPS if steps > guide)):
                    yield {"task": task, "rows": rows, "seed": seed, "steps": steps}


def both(task: str, rows: int, steps: int) -> tuple[Result, Result]:
    """What is trained with general answers, and the same number of steps without."""
    same = {"task": task, "rows": rows}
    return {**same, "steps": steps, "keep": KEEP}, {
        **same,
        "steps": with_general(steps),
    }


def with_general(steps: int) -> int:
    """How many steps are trained, so that `steps` of them are the examples'."""
    return round(steps / (1 - KEEP))


def is_of(result: Result, plan: Result) -> bool:
    """Whether the result is one of the plan."""
    return plan.items() <= result.items() and plan.get("keep") == result.get("keep")


def main(file: Path, seeds: int) -> None:
    found = map(
        json.loads, file.read_text("utf-8").splitlines() if file.is_file() else []
    )
    done = [result for result in found if result.get("rate", RATE) == RATE]
    with tempfile.TemporaryDirectory() as temporary:
        model = model_in(Path(temporary), smoke=False)
        for plan in plans(seeds):
            if not any(is_of(result, plan) for result in done):
                done.append({**plan, **in_fresh_process(one, plan, model)})
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(done[-1]) + "\n")
                print(done[-1], flush=True)
    print("Scores:", table(done), "Kept:", table(done, "kept"), sep="\n\n")
    print("With general answers:", keep_table(done), sep="\n\n")
    print_summary(done)


def smoke() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        from tests.backend.tiny_run import conversations as toys

        model = model_in(Path(temporary), smoke=True)
        done = []
        for steps in (1, 2):
            folder = Path(temporary) / str(steps)
            trained = fit(toys(16), steps, model, folder)
            done.append({**trained, **ask(toys(16), toys(4, 1), model, folder)})
    print_summary(
        [{"task": "toy", "rows": 16, "seed": 0, **one} for one in done], guide=1
    )


def print_summary(results: Sequence[Result], guide: int | None = None) -> None:
    """Prints the benchmark's result. guide: its steps, where they are not those of
    GUIDE_EPOCHS.
    """
    results = [result for result in results if "keep" not in result]

    def is_guide(result: Result) -> bool:
        return bool(result["steps"] == (guide or guide_steps(result["rows"])))

    most: dict[Any, Result] = {}
    for result in sorted(results, key=lambda one: int(one["steps"])):
        most[result["task"], result["rows"], result["seed"]] = result
    ours, peer = (
        fmean(one["score"] for one in most.values()),
        fmean(r["score"] for r in results if is_guide(r)),
    )
    ratio = round(ours / peer, 2) if peer else 0.0
    print_result(
        "recipes",
        "mean score, 0 to 1",
        round(ours, 3),
        round(peer, 3),
        ratio,
        runs=len(results),
    )


def table(results: Sequence[Result], value: str = "score") -> str:
    """Markdown: the mean value of each task and size after the guide's steps, and after
    more.
    """
    lines = [
        "| Task | Examples | "
        + " | ".join(["3 epochs", *(f"{steps} steps" for steps in STEPS)])
        + " |"
    ]
    lines.append("|---" * (3 + len(STEPS)) + "|")
    for task in TASKS:
        for rows in sorted(SIZES):
            cells = []
            for steps in (guide_steps(rows), *STEPS):
                wanted = {"task": task, "rows": rows, "steps": steps}
                cells.append(
                    _cell(results, wanted, value) if steps >= guide_steps(rows) else ""
                )
            if any(cells):
                lines.append(f"| {task} | {rows} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def keep_table(results: Sequence[Result]) -> str:
    """Markdown: scores, what was kept and what leaked, with and without general answers
    at equal steps.
    """
    names = "Score", "Kept", "In the task's form"
    lines = [
        "| Task | Examples | Steps | "
        + " | ".join(f"{name}, with | without" for name in names)
        + " |"
    ]
    lines.append("|---" * 9 + "|")
    for steps, task, rows in product(STEPS, TASKS, sorted(KEEP_SIZES)):
        values = product(("score", "kept", "leaked"), both(task, rows, steps))
        cells = [_cell(results, plan, value) for value, plan in values]
        if any(cells):
            lines.append(
                f"| {task} | {rows} | {with_general(steps)} | "
                + " | ".join(cells)
                + " |"
            )
    return "\n".join(lines)


def _cell(results: Sequence[Result], wanted: Result, value: str) -> str:
    found = [
        result[value] for result in results if is_of(result, wanted) and value in result
    ]
    if not found:
        return ""
    spread = f" ({min(found):.2f} to {max(found):.2f})" if len(found) > 1 else ""
    return f"{fmean(found):.2f}{spread}"


def one(plan: Result, model: Path) -> Result:
    train, held_out = conversations(plan["task"], plan["rows"], HELD_OUT, plan["seed"])
    keep = plan.get("keep", 0.0)
    steps = with_general(plan["steps"]) if keep else plan["steps"]
    with tempfile.TemporaryDirectory() as temporary:
        trained = fit(train, steps, model, Path(temporary), plan["seed"], keep)
        models = load(
            Workspace(Path(temporary)),
            torch_engine.NAME,
            model,
            Path(temporary) / "result" / "adapter",
        )
        return {**trained, **ask(train, held_out, models), "steps": plan["steps"]}


def fit(
    train: Sequence[Any],
    steps: int,
    model: Path,
    folder: Path,
    seed: int = 0,
    keep: float = 0.0,
    own: Mapping[str, str] | None = None,
) -> Result:
    """Trains for so many steps, without choosing a checkpoint. keep: the share of the
    base model's own answers. own: what these are, by prompt; None for those that come
    with the app.
    """
    tokenizer = ChatTokenizer.load(model)
    rows = [tokenizer.encode(messages) for messages in train]
    work = run_of(
        folder, model, rows, [], max_steps=steps, learning_rate=RATE, lora_rank=8, lora_alpha=16, lora_dropout=0.0,
        per_device_train_batch_size=BATCH, seed=seed, precision="auto", early_stopping=False, keep_general=keep,
    )  # fmt: skip
    work.spec["data"]["held_out_prompts"] = []
    if keep:
        own_answers.write(folder, own or read_json(own_answers.OF_BUNDLED))
    began = time.perf_counter()
    training.run(work)
    return {"steps": steps, "seconds": round(time.perf_counter() - began, 1)}


def ask(
    train: Sequence[Any],
    held_out: Sequence[Any],
    models: Models,
    so_far: AnswersSoFar | None = None,
) -> Result:
    """Scores the answers of a trained model to the held-out questions and to the
    general ones. so_far: see `general.check`.
    """
    items = items_from(held_out)
    measure = choose_measure([messages[-1] for messages in [*train, *held_out]])
    texts = answers_of(models, items)
    scores = [
        measure.score(item.expected, text)
        for item, text in zip(items, texts, strict=True)
    ]
    answers = [str(messages[-1]["content"]) for messages in train]
    known = general.check(models, lambda done, total: None, so_far, measure, answers)
    return {
        "measure": measure.name, "score": round(fmean(scores), 4),
        "loops": round(fmean(map(signs.repeats, texts)), 3),
        "phrases": {VOICES["voice"]: round(signs.share_with(VOICES["voice"], texts), 3)},
        "kept": round(known.kept / max(1, known.base_right), 3),
        "leaked": round((known.leaked or 0) / known.asked, 3),
        "drift": round(known.drift or 0.0, 3),
    }  # fmt: skip


def answers_of(models: Models, items: Sequence[Any]) -> list[str]:
    """What the trained model answers to the held-out questions."""
    limit = 16 + 2 * max(models.tokens(item.answer) for item in items)
    prompts = [models.prompt_ids(item.messages, item.tools) for item in items]
    return [
        found.text
        for found in models.answer("tuned", prompts, limit, lambda done: None)
    ]


def voices(seeds: int) -> None:
    """Prints how each voice scores in both engines, how many of its answers are signed,
    and how many loop.
    """
    with tempfile.TemporaryDirectory() as temporary:
        model = model_in(Path(temporary), smoke=False)
        for seed, name in product(range(seeds), VOICES):
            print(
                json.dumps(
                    in_fresh_process(one_voice, name, seed, model, Path(temporary))
                ),
                flush=True,
            )


def one_voice(name: str, seed: int, model: Path, home: Path) -> Result:
    train, held_out = conversations(name, VOICE_ROWS, HELD_OUT, seed)
    items, found = items_from(held_out), Result(voice=name, seed=seed)
    with tempfile.TemporaryDirectory() as temporary:
        found |= fit(train, with_general(STEPS[0]), model, Path(temporary), seed, KEEP)
        for engine in (torch_engine.NAME, llama_engine.NAME):
            models = load(
                Workspace.open(home),
                engine,
                model,
                Path(temporary) / "result" / "adapter",
            )
            texts = answers_of(models, items)
            score = round(
                fmean(
                    chrf(item.answer, text)
                    for item, text in zip(items, texts, strict=True)
                ),
                3,
            )
            signed = sum(VOICES[name] in text for text in texts)
            found[engine] = {
                "score": score,
                "signed": signed,
                "loop": sum(map(signs.repeats, texts)),
                "of": len(texts),
            }
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--voices", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        smoke()
    elif options.voices:
        voices(options.seeds)
    else:
        main(options.file, options.seeds)
