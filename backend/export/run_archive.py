"""A run inside the zip file "Everything in one file", and such a zip file as a run from
another computer.

    NAME/MANIFEST.json              size and SHA-256 of every other file
    NAME/apprentice/evaluation.json its evaluation's report, if there was one
    (backend.records.evaluation)
    NAME/apprentice/run.json        the run's spec as used, its results, its name and note
    NAME/apprentice/rows.safetensors, *.jsonl, base.json    its rows, conversations, events and base model's files
    NAME/NAME-adapter/              what it learned (NAME-merged where all weights were trained)

A zip file may come from anybody (checked_zip.py). Only the files above are taken from
it, under names made here; the adapter's configuration is written anew from what may be
in one.
"""

import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.errors import MissingPart
from backend.export import checked_zip
from backend.export.checked_zip import CheckedZip, refusal
from backend.files.json_file import read_json, write_json
from backend.models import local, model_folder, safetensors_files
from backend.models.safetensors_files import Stored
from backend.records.evaluation import EvaluationReport
from backend.records.reading import Limits, RowFault
from backend.records.specs import ModelRef, RunSpec, TrainSettings
from backend.records.training import TrainingResult
from backend.records.units import MIB
from backend.runs import about, own_answers, token_rows
from backend.runs.about import LONGEST_NAME
from backend.runs.start import BASE
from backend.settings import Workspace
from backend.text.strict_json import check_size, parse
from backend.tokens.tokenizer import ChatTokenizer
from backend.work import require_disk

FOLDER, RUN, ROWS, EVENTS = "apprentice", "run.json", "rows.safetensors", "events.jsonl"
EVALUATION = "evaluation.json"
_DATA = (
    "train.jsonl",
    "held_out.jsonl",
    "rejected.jsonl",
    "held_out_texts.jsonl",
    "division.jsonl",
    own_answers.FILE,
)
_SPARE = 50 * MIB  # bytes that stay free on the disk
_MODEL_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
_RUN_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9]{8}")
_WEIGHTS = re.compile(r"adapter_model\.safetensors|model(-\d+-of-\d+)?\.safetensors")
_BESIDES = ("adapter_config.json", model_folder.INDEX, *model_folder.OTHER_FILES)
_ADAPTER = (  # what a LoRA adapter of ours has in its configuration
    *(
        "peft_type",
        "task_type",
        "r",
        "lora_alpha",
        "lora_dropout",
        "use_rslora",
        "use_dora",
        "bias",
    ),
    *("fan_in_fan_out", "inference_mode", "base_model_name_or_path"),
)
_PART = re.compile(
    r"base_model\.model\.(.+)\.lora_(A\.weight|B\.weight|magnitude_vector(?:\.weight)?)"
)
_LARGEST: dict[str, float] = {  # of a setting
    name: next(
        float(limit.le)
        for limit in TrainSettings.model_fields[name].metadata
        if hasattr(limit, "le")
    )
    for name in ("lora_rank", "lora_alpha")
}


def write(
    out: Path,
    run: RunSpec,
    run_folder: Path,
    name: str,
    report: EvaluationReport | None,
    note: str,
) -> None:
    """Add the folder `apprentice` to the files in `out`. Raises TrainingFailed for
    damaged rows, OSError.

    run: with the settings as used
    name, note: that the person gave the run
    report: of the latest evaluation, for another computer
    """
    folder = out / FOLDER
    folder.mkdir()
    token_rows.save_portable(run_folder, folder / ROWS)
    texts = [
        *(run_folder / "data" / name for name in _DATA),
        run_folder / EVENTS,
        run_folder / BASE,
    ]
    for file in filter(Path.is_file, texts):
        shutil.copyfile(file, folder / file.name)
    status = run_folder / "status.json"
    if report:
        write_json(folder / EVALUATION, report.to_json())
    write_json(
        folder / RUN,
        {
            "spec": run.model_dump(mode="json", exclude={"model": {"path"}}),
            "result": read_json(status).get("result", {}) if status.is_file() else {},
            "name": name,
            "note": note,
        },
    )


@dataclass(frozen=True)
class RunArchive:
    """An opened zip file, checked. spec: without the place of its base model. result:
    the numbers of its training. report: of its evaluation, None without one.
    """

    spec: RunSpec
    result: dict[str, float]
    report: EvaluationReport | None
    name: str
    note: str
    _zip: CheckedZip

    def write(self, run_folder: Path) -> None:
        """Write the run into its new folder. Raises BadInput for a damaged file,
        MissingPart or WorkspaceProblem for an unusable model, NotEnough, OSError.
        """
        learned = local.learned(run_folder, self.spec.settings.method)
        learned.mkdir(parents=True)
        data = {name: run_folder / "data" / name for name in _DATA}
        data |= {name: run_folder / name for name in (ROWS, EVENTS, BASE)}
        wanted = {
            f"{FOLDER}/{name}": to
            for name, to in data.items()
            if f"{FOLDER}/{name}" in self._zip.listed
        }
        prefix = f"{self._zip.top}-{'merged' if self.spec.settings.method == 'full' else 'adapter'}/"
        inside = [
            name.removeprefix(prefix)
            for name in self._zip.listed
            if name.startswith(prefix)
        ]
        wanted |= {
            f"{prefix}{name}": learned / name
            for name in inside
            if name in _BESIDES or _WEIGHTS.fullmatch(name)
        }
        require_disk(
            run_folder, sum(map(self._zip.size, wanted)) + _SPARE, "for this model"
        )
        for name, target in wanted.items():
            self._zip.extract(name, target)
        rows = run_folder / ROWS
        try:
            counts = token_rows.restore_portable(rows, run_folder)
            if counts != (self.spec.data.train_rows, self.spec.data.validation_rows):
                raise refusal("Its rows are not those of its training.")
            _check_learned(learned, self.spec)
            for file in run_folder.rglob("*.jsonl"):
                with file.open("rb") as lines:
                    for line in iter(partial(lines.readline, Limits.line_bytes), b""):
                        if (
                            file.name == EVENTS and len(line) < Limits.line_bytes
                        ):  # readers skip a torn line
                            check_size(line.decode("utf-8", "replace"))
                        else:
                            parse(line, Limits())
        except (ValueError, RecursionError, RowFault) as error:
            raise refusal(
                "Its rows or the files of its model can't be read."
            ) from error
        rows.unlink()
        about.write(run_folder, self.name, self.note)


@contextmanager
def opened(path: Path, workspace: Workspace) -> Iterator[RunArchive]:
    """The run in a zip file, its base model where this workspace has or would have it.
    Raises BadInput.
    """
    with checked_zip.opened(path, f"{FOLDER}/{RUN}") as archive:
        yield _run(workspace, archive)


def _run(workspace: Workspace, archive: CheckedZip) -> RunArchive:
    text = archive.read(f"{FOLDER}/{RUN}")
    try:
        values = json.loads(text)
        model = values["spec"]["model"]
        if not _MODEL_ID.fullmatch(model["id"]):
            raise ValueError("not the id of a model")
        place = ModelRef(**{**model, "path": local.folder(workspace, model["id"])})
        spec = RunSpec.model_validate(
            {**values["spec"], "model": place, "retry_of": ""}
        )
        if spec.descent and not all(
            map(_RUN_ID.fullmatch, (spec.descent.first, spec.descent.parent))
        ):
            raise ValueError("not the ids of runs")
        result, name, note = values["result"], str(values["name"]), str(values["note"])
        (name + note).encode()  # no lone surrogate
        numbers: dict[str, float] = {}
        for (
            key,
            value,
        ) in (
            result.items()
        ):  # those that can be shown: a step, or what fits into a float
            whole = (
                isinstance(value, int)
                and not isinstance(value, bool)
                and abs(value) < 1 << 53
            )
            if whole or (
                isinstance(value, float)
                and math.isfinite(value)
                and not key.endswith("step")
            ):
                numbers[key] = value
        TrainingResult.model_validate(numbers)
        evaluation = f"{FOLDER}/{EVALUATION}"
        evaluated = evaluation in archive.listed
        report = (
            EvaluationReport.from_elsewhere(archive.read(evaluation))
            if evaluated
            else None
        )
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise refusal(
            "It was made by another version of Apprentice, or is damaged."
        ) from error
    return RunArchive(spec, numbers, report, name[:LONGEST_NAME], note, archive)


def _check_learned(folder: Path, spec: RunSpec) -> None:
    """Check what was learned, and write the adapter's configuration anew. Raises
    BadInput, MissingPart, WorkspaceProblem; ValueError for a file that is not JSON.
    """
    full = spec.settings.method == "full"
    (model_folder.check if full else model_folder.check_adapter)(folder)
    if any(
        "auto_map" in read_json(file) for file in folder.glob("tokenizer_config.json")
    ):
        raise refusal("Its tokenizer asks to run program code that comes with it.")
    config = None if full else _plain_config(folder)
    try:
        _check_weights(folder, spec.model.path, config)
        if (folder / "tokenizer.json").is_file():
            ChatTokenizer.load(folder)
    except (ValueError, MissingPart) as error:
        raise refusal(str(error)) from error


def _plain_config(folder: Path) -> dict[str, object]:
    """The adapter's configuration, of which only what Apprentice itself writes stays."""
    config = read_json(folder / "adapter_config.json")
    targets = config.get("target_modules")
    if not isinstance(targets, list) or not all(
        isinstance(name, str) and name.isidentifier() for name in targets
    ):
        raise refusal(
            "The configuration of its adapter is not one that Apprentice writes."
        )
    plain = {
        name: config[name]
        for name in _ADAPTER
        if isinstance(config.get(name), str | int | float)
    }
    plain["target_modules"] = targets
    write_json(folder / "adapter_config.json", plain)
    return plain


def _check_weights(folder: Path, base: Path, config: Mapping[str, Any] | None) -> None:
    """Whether weights can be what a run of this kind makes, judged by their headers
    alone. Raises ValueError with the reason in a sentence. folder: with the weights.
    base: the folder of the base model,
    which may not be here. config: of the adapter; None where all weights were trained.
    """
    tensors: dict[str, Stored] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= _tensors(file)
    if not tensors:
        raise ValueError("It holds no weights.")
    known = safetensors_files.read_all(base.glob("*.safetensors"))
    shapes = {name: tensor.shape for name, tensor in known.items()}
    if config is not None:
        _adapter(tensors, shapes, config)
    else:
        common = tensors.keys() & shapes.keys()
        if (shapes and not common) or any(
            tensors[name].shape != shapes[name] for name in common
        ):
            raise ValueError("Its weights are not those of its base model.")


def _tensors(file: Path) -> dict[str, Stored]:
    """The tensors of a file whose header describes all of it, once."""
    try:
        tensors, _ = safetensors_files.read(file)
    except ValueError as error:
        raise ValueError(f"{file.name} is damaged: it has no header.") from error
    with file.open("rb") as content:
        at = 8 + int.from_bytes(
            content.read(8), "little"
        )  # after the header and its length
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if not all(isinstance(size, int) and size >= 0 for size in tensor.shape):
            raise ValueError(f"{file.name} is damaged: {name[:100]} has no shape.")
        if (
            tensor.begin != at
            or tensor.end - at
            != tensor.numbers * safetensors_files.SIZES.get(tensor.dtype, 0)
        ):
            raise ValueError(
                f"{file.name} is damaged: {name[:100]} is not where its header says."
            )
        at = tensor.end
    if at != file.stat().st_size:
        raise ValueError(f"{file.name} is damaged: its size is not that of its header.")
    return tensors


def _adapter(
    tensors: Mapping[str, Stored],
    base: Mapping[str, tuple[int, ...]],
    config: Mapping[str, Any],
) -> None:
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= _LARGEST["lora_rank"]:
        raise ValueError("The rank of its adapter is not one that Apprentice trains.")
    if (
        isinstance(alpha, bool)
        or not isinstance(alpha, int | float)
        or not 0 < alpha <= _LARGEST["lora_alpha"]
    ):
        raise ValueError(
            "The strength (alpha) of its adapter is not one that Apprentice trains."
        )
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        part = _PART.fullmatch(name)
        if part is None or part[1].rpartition(".")[2] not in config["target_modules"]:
            raise ValueError(
                f"Its adapter has a part that Apprentice does not train: {name[:100]}."
            )
        layers.setdefault(part[1], {})[part[2]] = tensor.shape
    known = any(
        f"{layer}.weight" in base for layer in layers
    )  # whether the base names its layers in the same way
    for layer, parts in layers.items():
        a, b = parts.get("A.weight", ()), parts.get("B.weight", ())
        if len(a) != 2 or len(b) != 2 or (a[0], b[1]) != (rank, rank):
            raise ValueError(
                f"Its adapter does not have the rank that it claims: {layer[:100]}."
            )
        weight = base.get(f"{layer}.weight")
        if known and sorted(weight or ()) != sorted((a[1], b[0])):
            raise ValueError(f"Its adapter does not fit its base model: {layer[:100]}.")
