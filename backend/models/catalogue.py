"""The models that can be trained, described by catalogue.json, a folder or the Hugging
Face cache.

Architecture numbers come from the models' own config.json (as repeated in
litgpt/config.py, transformers' conversion scripts and other public projects); a test
recounts the parameters. Download sizes are two bytes a parameter plus the tokenizer;
for Qwen3.5 also its vision encoder and a head that is not loaded, for Qwen3 0.6B the
head twice.

Others can be looked up on the hub (download.py) or be in a folder. Popular ones are
missing because
- their template leaves nothing to learn: DeepSeek-R1-Distill ends the prompt inside a
  thought and drops thoughts from answers (tests/backend/tokens/test_tokenizer.py);
  GLM-4 9B and Apertus 8B write no end token after an answer;
- their memory is not modeled: Gemma 3 from 4B up, 3n and 4, Ministral 3, Falcon-H1,
Nemotron-H, Granite 4.0 H;
- they need code of their own (MiniCPM4), have no tokenizer.json (ERNIE 4.5 0.3B), or no
template was at hand (Hunyuan).
"""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from backend.errors import BadInput
from backend.estimate import reading
from backend.estimate.architecture import Architecture
from backend.files.json_file import loads
from backend.files.listing import text_of
from backend.models import causal_lm, evidence, local, model_folder
from backend.models.evidence import Evidence
from backend.records.base import StoredRecord
from backend.records.specs import ALL_LINEAR, ATTENTION
from backend.records.units import MIB
from backend.settings import PROGRAM, Workspace

Task = Literal["voice", "extract", "write", "other"]
TASKS: tuple[Task, ...] = ("voice", "extract", "write", "other")

_FILE = Path(__file__).with_name("catalogue.json")
SAID = ".entry.json"  # ends the name of the file with what the hub says of a model
_BY_HUB = {"licence", "commercial_use", "gated", "languages"}  # what only the hub knows


class Entry(StoredRecord):
    """One model. id: on the Hugging Face Hub, or "local/..." for a folder. parameters:
    tied embeddings counted once. context_length in tokens. all_linear_targets: the
    linear layers of a block. languages: ISO 639-1 codes. revision: the pinned commit, as public projects
    pin it; "" downloads the newest and records its commit. access: how to get a gated
    model. bundled: whether it comes with the app. replaced_by: the newer model of its
    makers and about its size, if that is the better choice as far as is known.
    evidence: its published results, the newest comparison first, which is the one that
    counts; () if there are none. Of a model that the catalogue lacks, commercial_use
    and download_mib may be None and languages (): unknown.
    """

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    name: str
    family: str
    parameters: int = Field(gt=0)
    architecture: Architecture
    licence: str
    commercial_use: bool | None
    gated: bool = False
    access: str = ""
    context_length: int = Field(ge=512)
    chat_template: bool = True
    instruct: bool = True
    all_linear_targets: tuple[str, ...] = ALL_LINEAR
    languages: tuple[str, ...] = ()
    good_for: tuple[Task, ...] = ()
    download_mib: int | None = Field(ge=0)
    revision: str = ""
    bundled: bool = False
    note: str = ""
    replaced_by: str = ""
    evidence: tuple[Evidence, ...] = ()


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Every model of the catalogue: the bundled one first, then by size."""
    published = evidence.published()
    listed = [
        {**model, "evidence": published.get(model["id"], ())}
        for model in loads(_FILE.read_text("utf-8"))
    ]
    return tuple(TypeAdapter(list[Entry]).validate_python(listed))


def default() -> Entry:
    """The bundled model."""
    return next(entry for entry in entries() if entry.bundled)


def find(model_id: str) -> Entry:
    """The catalogue's entry, by id or by the part after the slash. Raises BadInput
    naming the closest matches.
    """
    import difflib

    wanted = model_id.lower()
    for entry in entries():
        if wanted in (entry.id.lower(), entry.id.lower().partition("/")[2]):
            return entry
    near = difflib.get_close_matches(
        model_id[:100], [entry.id for entry in entries()], n=3, cutoff=0.3
    )
    raise BadInput(
        f"There is no model {model_id[:100]!r} in the catalogue.",
        f"The closest matches are {', '.join(near)}." if near else "",
        f"List all models with: {PROGRAM} models",
    )


def find_or_read(workspace: Workspace, model_id: str) -> Entry:
    """The catalogue's entry, else one read from the model's folder here, else what the
    hub said of it when it was looked up. Raises as `find` and `from_folder`.
    """
    try:
        return find(model_id)
    except BadInput:
        by_hub = {entry.id: entry for entry in looked_up(workspace)}.get(model_id)
        if not local.is_ready(workspace, model_id):
            if by_hub:
                return by_hub
            raise
    entry = from_folder(local.folder(workspace, model_id), model_id)
    return entry.model_copy(update=by_hub.model_dump(include=_BY_HUB) if by_hub else {})


def looked_up(workspace: Workspace) -> list[Entry]:
    """The models of the hub that the catalogue lacks and that were looked up by their
    names.
    """
    models = []
    for file in sorted(workspace.models.glob(f".*{SAID}")):
        with suppress(OSError, ValueError):  # damaged, or just deleted
            models.append(Entry.model_validate_json(file.read_text("utf-8")))
    return models


def from_folder(folder: Path, model_id: str = "", counted: int | None = None) -> Entry:
    """An entry for the model in `folder`, read from its config.json. counted: its
    parameters, where its weights are not here yet. Raises MissingPart when there is no
    model, WorkspaceProblem when it needs its own code, BadInput when transformers does
    not load it as a language model.
    """
    if counted is None:
        model_folder.check(folder)
    every_linear = targets_of(model_folder.model_type(folder))
    config = loads(text_of(folder / "config.json") or "{}")
    if reading.why_not_modeled(config):
        causal_lm.check(config, model_id or folder.name)
        parameters, count, layers = (
            causal_lm.blocks(folder) if counted is None else (counted, 1, {})
        )
        architecture = reading.unmodeled(config, parameters, count, layers)
        every_linear = tuple(dict.fromkeys(path.rpartition(".")[2] for path in layers))
    else:
        architecture = reading.read(folder / "config.json")
    full_id = model_id or f"local/{local.safe_name(folder.name)}"
    named = f"{architecture.name} {full_id.partition('/')[2]}".strip()
    return Entry(
        id=full_id,
        name=folder.name if not model_id else model_id.partition("/")[2],
        family="from a folder",
        parameters=architecture.params,
        architecture=architecture.model_copy(update={"name": named}),
        licence="unknown: check where you got the model",
        commercial_use=None,
        context_length=max(512, model_folder.context_length(folder)),
        chat_template=(folder / "chat_template.jinja").is_file()
        or "chat_template" in text_of(folder / "tokenizer_config.json"),
        all_linear_targets=every_linear,
        download_mib=model_folder.weight_bytes(folder) // MIB,
    )


_FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
_DELTA = ("in_proj_qkv", "in_proj_z", "out_proj", "in_proj_a", "in_proj_b")
_TARGETS: dict[str, tuple[str, ...]] = {  # by model_type
    "phi3": _FUSED,
    "glm4": (*ATTENTION, *_FUSED[2:]),
    "granitemoehybrid": (*ATTENTION, "input_linear", "output_linear"),
    "lfm2": (*ATTENTION[:3], "in_proj", "out_proj", "w1", "w2", "w3"),
    "qwen3_5_text": (*ATTENTION, *_DELTA, *ALL_LINEAR[4:]),
}


def targets_of(model_type: str) -> tuple[str, ...]:
    """The names of the linear layers in a block."""
    return _TARGETS.get(model_type, ALL_LINEAR)
