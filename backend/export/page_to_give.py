"""A page to give to others, with the model in it: a browser opens it, and answers are
made there.

    NAME-page/       for a disk or a stick: index.html is opened by a double click. A page from a disk may only load
                     scripts, so the model is in scripts, as base64
    NAME-website/    for a web server: the model as it is, and headers that allow several threads

llama.cpp in WebAssembly is wllama's, from static/page_to_give/wllama. What people wrote
goes into settings.js alone, as JSON: the page's HTML is always the same, and shows it
as text.
"""

import gzip
import json
import lzma
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from shutil import copyfileobj, copytree, ignore_patterns, rmtree
from string import Template
from typing import Any, BinaryIO

from backend.errors import ExportFailed, NotEnough
from backend.export import gguf_files, page_check, programs
from backend.export.source import Source
from backend.export.target import Target
from backend.gguf import sizes
from backend.models import model_folder
from backend.records.exports import ExportFile, ExportResult
from backend.records.rows import Message
from backend.records.units import MIB, format_size
from backend.runs.answer_form import answer_form, edited_form
from backend.runs.conversations import read_conversations
from backend.settings import PROJECT_ROOT
from backend.text.conversation import content
from backend.work import Report

PAGE, WEBSITE = "page", "website"  # how the names of the two folders end
MODEL = "model.gguf"
_FILES = PROJECT_ROOT / "static" / "page_to_give"
_SPACE = PROJECT_ROOT / "static" / "page_space"
_HUB = "https://huggingface.co https://*.hf.co"
_PINNED = {  # SHA-256 of the files of wllama 3.13.0 and wllama-compat 3.13.0 on npm, which lie here compressed
    "wllama.js": "3b4f8bbfda7fb5e295e255b39deff48efd3e09de07453e1e0db9c5e587b607aa",
    "wllama.wasm": "79ac5be917b71d50571a4f584436a9f6baf6b6e57719d094ed8bd950e9a65780",
    "compat.js": "942062a7495790a317061b27a6bcd2bd3b247e2ddef53a069baf5abb07284758",
    "compat.wasm": "35df8c1e2f7dbd74b8e8b01054fb9f1fbe86cf566945fbf4cef3965855a8b92e",
}
_PIECE = 9 * MIB  # bytes in one script, a multiple of 3
_FITTING = {
    "Q8_0": 613 * MIB,
    "Q4_K_M": 1423 * MIB,
}  # the largest files that were loaded: docs/using-exports.md
OWN_MIB = 10  # of the page's zip file without the model, which takes a third more once unpacked
_CONTEXT = 4096  # tokens at most; each takes memory
_EXAMPLES, _LONGEST = 3, 200  # example questions, and their characters


def kind_for(model: Path) -> str:
    """The GGUF type of the file in the page. Raises NotEnough for a model that is too
    large for browsers.
    """
    fitting = [
        kind for kind, most in _FITTING.items() if sizes.size(model, kind) <= most
    ]
    if not fitting:
        size, largest = (
            format_size(number / MIB)
            for number in (sizes.size(model, "Q4_K_M"), _FITTING["Q4_K_M"])
        )
        raise NotEnough(
            "This model is too large for a page.",
            f"Its smallest file has about {size}; the largest that has been tested in a browser is {largest}.",
            "Choose another kind of file, or train a smaller model.",
        )
    return fitting[0]


def suggested(chats: Sequence[Sequence[Message]]) -> list[str]:
    """All that a page, and so a Space, quotes of a run's examples: a few of their first
    questions, and no answer. Learned ones, since they show best what to ask; short
    ones, but not the shortest, such as a greeting.
    """
    asked = (
        next((content(m).strip() for m in chat if m["role"] == "user"), "")
        for chat in chats
    )
    short = sorted(
        {question for question in asked if 0 < len(question) <= _LONGEST},
        key=lambda it: (len(it), it),
    )
    return short[len(short) // 4 :][:_EXAMPLES]


def make(source: Source, target: Target, report: Report) -> list[ExportFile]:
    """Make a GGUF file, and both folders around it. Raises as `gguf_files.make`,
    ExportFailed where wllama's files are not those that were published, and BadSetting
    for an edited form that can't be used.
    """
    form = answer_form(source.folder)
    made = gguf_files.make(source, target, report)
    chats = read_conversations(source.folder, "train")
    settings = {
        "name": source.requested.name or source.run.name,
        "instruction": source.instruction,
        "examples": suggested(chats),
        # Longer conversations would confuse a model whose examples are one question
        # with its answer each.
        "alone": bool(chats)
        and all([m["role"] for m in chat].count("user") <= 1 for chat in chats),
        "form": form,
        "hold": bool(edited_form(source.folder)),
        "skipsThought": source.tokenizer.can_skip_thought,
        "opening": source.tokenizer.opening_text,
        "context": _context(source),
    }
    report("Writing the page")
    for variant in (PAGE, WEBSITE):
        write(
            folder_of(target, variant),
            target.place / made[0].name,
            settings,
            in_scripts=variant == PAGE,
        )
    return made


def check(
    source: Source, target: Target, files: list[ExportFile], report: Report
) -> ExportResult:
    """Check that both folders answer as the GGUF file does."""
    disk, web = folder_of(target, PAGE), folder_of(target, WEBSITE)
    gguf = target.place / files[0].name
    form = edited_form(source.folder)
    grammar = json.dumps(form) if form else ""
    return ExportResult(
        page=page_check.check(
            source, target, gguf, disk, web, _context(source), report, grammar
        )
    )


def finish(source: Source, target: Target, result: ExportResult) -> ExportResult:
    """Say how to pass it on; the GGUF file itself is in the website."""
    for file in target.place.glob("*.gguf"):
        file.unlink()
    ways = programs.for_page(
        folder_of(target, PAGE).name, folder_of(target, WEBSITE).name
    )
    return result.joined(ExportResult(programs=tuple(ways)))


def folder_of(target: Target, variant: str) -> Path:
    """The folder of a variant, PAGE or WEBSITE."""
    return target.place / f"{target.name}-{variant}"


def space_card(name: str, base: str) -> str:
    """README.md of a static Space with the website of a model that was trained on
    `base`.
    """
    return Template((_SPACE / "README.md").read_text("utf-8")).substitute(
        title=name, base=base
    )


def allow_hub(folder: Path) -> None:
    """Let the website in `folder` load its model from where a Space's large files are.
    Raises OSError.
    """
    page = folder / "index.html"
    html = page.read_text("utf-8").replace(
        "connect-src 'self'", f"connect-src 'self' {_HUB}"
    )
    page.write_text(html, "utf-8")


def write(
    folder: Path, gguf: Path, settings: dict[str, Any], *, in_scripts: bool
) -> None:
    """Write the page with a model to a new folder. Raises OSError, and ExportFailed
    where wllama's files are not those that were published.

    settings: what the page shows
    in_scripts: with its files as scripts, which a browser also loads from the disk
    """
    rmtree(folder, ignore_errors=True)
    left_out = ("*.xz", "check.js", *((".htaccess", "_headers") if in_scripts else ()))
    copytree(_FILES, folder, ignore=ignore_patterns(*left_out))
    files, inside = {}, folder / "files"
    for name, digest in _PINNED.items():
        content = lzma.decompress(
            (_FILES / "files" / "wllama" / f"{name}.xz").read_bytes()
        )
        if sha256(content).hexdigest() != digest:
            raise ExportFailed(
                "The page can't be made.",
                f"{name}.xz is not wllama's.",
                "Install Apprentice again.",
            )
        if name == "wllama.js":  # a script as it is
            (inside / name).write_bytes(content)
        else:
            packed = (
                inside / f"{name}.packed"
            )  # some servers say of .gz that it is to be unpacked
            files[packed.name] = _place(
                BytesIO(gzip.compress(content, mtime=0)), packed, in_scripts
            )
    with gguf.open("rb") as model:
        files[MODEL] = _place(model, inside / MODEL, in_scripts)
    text = json.dumps({**settings, "files": files}, indent=1)
    (inside / "settings.js").write_text(f"const settings = {text};\n", "ascii")


def _place(content: BinaryIO, file: Path, in_scripts: bool) -> dict[str, int]:
    """Write a file as it is, or as scripts; returns its size, and how many scripts."""
    scripts = 0
    if not in_scripts:
        with file.open("wb") as target:
            copyfileobj(content, target)
    while piece := content.read(_PIECE):
        scripts += 1
        file.with_name(f"{file.name}.{scripts}.js").write_bytes(
            b'piece("%b");\n' % b64encode(piece)
        )
    return {"bytes": content.tell(), "scripts": scripts}


def _context(source: Source) -> int:
    return min(model_folder.context_length(source.run.model.path), _CONTEXT)
