"""What a base model answers to everyday prompts, kept so that training on one task
leaves the rest of it intact.

A run trains on some of these answers besides its own examples (`keep_general`). A base
model is asked while the person looks at the examples (`backend.training.asking`), and
for what is missing then by the run (`backend.training.samples`); the answers stay in
the workspace's cache, and those of the bundled model come with the app.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path

from backend.files.json_file import read_if_json, read_json, write_json
from backend.gguf import base_file
from backend.models import bundled
from backend.records.encoded import Encoded
from backend.records.specs import RunSpec
from backend.settings import PROJECT_ROOT, Workspace
from backend.tokens.tokenizer import ChatTokenizer

_SHIPPED = PROJECT_ROOT / "static" / "general"
PROMPTS = _SHIPPED / "prompts.json"  # by language
OF_BUNDLED = _SHIPPED / f"{bundled.FOLDER}.json"  # made by tests/static/make_answers.py
FILE = "own_answers.json"  # in a run's data/: prompt to answer, "" where the answer can't be used

_MOST_ASKED = 4  # times as many prompts as answers are wanted; a model that thinks aloud never ends in time

Answers = Mapping[str, str]

log = logging.getLogger(__name__)


def language_for(data: str | None, model: Sequence[str]) -> str:
    """The language of the prompts: that of the examples if the model speaks it, else
    English. data, model: ISO 639-1 codes of the examples, None where it is not clear,
    and of the base model.
    """
    return data if data and data in model and data in _by_language() else "en"


def prompts(language: str, seed: int) -> list[str]:
    """The everyday prompts in a language (English where there are none in it), in the
    order in which a run with this seed asks them.
    """
    return _shuffled(_by_language().get(language) or _by_language()["en"], seed)


def unasked(answers: Answers, spec: RunSpec) -> list[str]:
    """The prompts that a run may still ask; none once it has as many usable answers as
    it wants.
    """
    wanted = spec.settings.general_rows(spec.data.train_rows)
    if sum(map(bool, answers.values())) >= wanted:
        return []
    order = prompts(spec.data.general_language, spec.settings.seed)
    return [prompt for prompt in order[: _MOST_ASKED * wanted] if prompt not in answers]


def rows(run_folder: Path, spec: RunSpec, tokenizer: ChatTokenizer) -> list[Encoded]:
    """The general rows of a run: as many as it wants, in turn again where it has fewer
    usable answers. Always the same ones for a folder, whatever prompts a later version
    of the app has.
    """
    wanted = spec.settings.general_rows(spec.data.train_rows)
    if not wanted or not tokenizer.chat_template:
        return []
    answers = {prompt: answer for prompt, answer in read(run_folder).items() if answer}
    encoded = (
        tokenizer.encode(
            [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": answers[prompt]},
            ]
        )
        for prompt in _shuffled(sorted(answers), spec.settings.seed)
    )
    usable = [
        row for row in encoded if row.learned and row.tokens <= spec.settings.max_length
    ]
    return list(islice(cycle(usable), wanted))


def _shuffled(prompts: Sequence[str], seed: int) -> list[str]:
    order = list(prompts)
    random.Random(seed).shuffle(order)  # noqa: S311 (no secret)
    return order


@lru_cache(maxsize=1)
def _by_language() -> Mapping[str, list[str]]:
    return read_json(PROMPTS)


def read(run_folder: Path) -> dict[str, str]:
    """The answers that a run may use, by prompt; empty where it has none yet, or its
    file is damaged.
    """
    return _read(run_folder / "data" / FILE)


def write(run_folder: Path, answers: Answers) -> None:
    """Stores the answers that a run may use. Raises OSError."""
    write_json(run_folder / "data" / FILE, dict(answers))


def fetch(workspace: Workspace, run_folder: Path, spec: RunSpec) -> None:
    """Gives a run that has none yet the answers that are known of its base model.
    Raises OSError.
    """
    if spec.settings.general_rows(spec.data.train_rows) and not read(run_folder):
        write(run_folder, known(workspace, spec))


def known(workspace: Workspace, spec: RunSpec) -> dict[str, str]:
    """The answers that are known of a run's base model, by prompt."""
    return {**_read(_cache_file(workspace, spec)), **_shipped(spec)}


def store(workspace: Workspace, run_folder: Path, spec: RunSpec) -> None:
    """Adds the answers of a run to the cache for later runs with its base model. What
    can't be saved costs only the time to ask again. spec: with the settings that the
    run used.
    """
    answers, file = read(run_folder), _cache_file(workspace, spec)
    cached = _read(file)
    new = answers.keys() - cached.keys() - _shipped(spec).keys()
    if new:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(
                file, {**cached, **{prompt: answers[prompt] for prompt in sorted(new)}}
            )
        except OSError:
            log.warning(
                "the answers of the base model could not be saved", exc_info=True
            )


def _read(file: Path) -> dict[str, str]:
    return {prompt: str(answer) for prompt, answer in read_if_json(file).items()}


def _shipped(spec: RunSpec) -> dict[str, str]:
    is_bundled = spec.model.id == bundled.MODEL_ID and spec.settings.method != "qlora"
    return (
        _read(OF_BUNDLED) if is_bundled and spec.data.general_language == "en" else {}
    )


def _cache_file(workspace: Workspace, spec: RunSpec) -> Path:
    """One file for each base model, precision (in 4 bits it answers differently) and
    language.
    """
    bits = "-4bit" if spec.settings.method == "qlora" else ""
    name = f"{base_file.key(spec.model.path)}{bits}-{spec.data.general_language}.json"
    return workspace.cache / "own_answers" / name
