"""Exports as HTML: how far each one is, or its files and checks."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from ui.records import ExportFile, ExportStatus
from ui.text import format as fmt
from ui.web.html import components

KINDS = {
    "gguf:Q8_0": (
        "One file for any computer",
        "Runs in LM Studio, Ollama and llama.cpp, without a graphics card. (GGUF, Q8_0)",
    ),
    "adapter": ("Only what it learned", "Small; needs the base model as well. (adapter, safetensors)"),
    "merged": ("The whole model", "For servers and further training. (merged, safetensors)"),
    "script": ("Training script", "A Python file and your examples, to train the same model elsewhere. (script)"),
}


def choices(sizes: dict[str, tuple[float, float]]) -> list[tuple[str, str]]:
    """The kinds of export, with the least and the largest size of each where they are known (MiB)."""
    offered = []
    for key, (title, description) in KINDS.items():
        least, most = sizes.get(key, (0.0, 0.0))
        size = f"\nAbout {fmt.size(least)}" if least else ""
        if most > least:
            size += f", or {fmt.size(most)} if rounding would lose what it learned"
        offered.append((f"{title}\n{description}{size}", key))
    return offered


def exports(lines: Iterable[ExportStatus], instruction: str = "") -> Markup:
    """Every export of a run: how far it is, or its files and checks, and where to use it. instruction: of its
    examples."""
    return components.join(_export(line, instruction) for line in lines)


def _export(line: ExportStatus, instruction: str) -> Markup:
    title = KINDS.get(line.to, (line.to, ""))[0]
    badge = components.badge(*fmt.state(str(line.state.value)))
    if line.failure:
        return components.card(title, components.problem_alert(line.failure), badges=badge)
    if line.active:
        progress = line.progress
        phase = progress.phase if progress else "Waiting its turn"
        percent = fmt.percent(progress.done, progress.total) if progress and progress.total else None
        return components.card(title, components.progress(percent, phase), badges=badge, lead=f"{phase}.")
    files = Markup('<div class="files">{}</div>').format(components.join(map(_file, line.files)))
    guides = _guides(line, instruction) if line.guides else components.EMPTY
    return components.card(title, components.checklist(line.checks), files, guides, badges=badge)


def _guides(line: ExportStatus, instruction: str) -> Markup:
    """Each program that can run the files, in three steps."""
    folds = [
        components.fold(
            guide.name,
            components.text(guide.what),
            components.steps(guide.steps),
            components.code(guide.code),
            Markup('<p class="small">{}</p>').format(
                components.external_link(guide.source, f"What {guide.name} says about this")
            ),
            key=f"use-{line.id}-{guide.name}",
        )
        for guide in line.guides
    ]
    if instruction:
        folds.append(components.fold("The instruction (system prompt)", components.code(instruction)))
    return Markup('<div class="guides"><h3>Where to use it</h3>{}</div>').format(components.join(folds))


def _file(file: ExportFile) -> Markup:
    return components.download_link(file.path, file.name, f"Download {file.name}", fmt.size(file.size_mib))
