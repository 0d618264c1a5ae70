"""Share as HTML: how far each export is, or its files and checks; how to continue
without a Space.
"""

from collections.abc import Iterable

from markupsafe import Markup

from backend.export import space
from backend.export.formats import PAGE
from backend.gguf.convert import BY_CONVERTER
from backend.gguf.requirement import HOW_TO_COMPILE
from backend.records.exports import ExportFile, GgufFile
from backend.records.units import MIB
from ui.records.share import ExportStatus
from ui.services.results.local_programs import can_add
from ui.text import format as fmt
from ui.web.html import components

# Title and description.
KINDS = {
    "page": (
        "One folder to give to others",
        "A chat page with the model in it: download one zip file, unpack it, open "
        "index.html. Nothing to install. Shows the instruction and three of your "
        "questions. (WebAssembly)",
    ),
    "gguf:Q8_0": (
        "One file for any computer",
        "Runs in LM Studio, Ollama, llama.cpp and Jan, without a GPU. (GGUF)",
    ),
    "adapter": (
        "Only what it learned",
        "Small; needs the base model as well. (adapter, safetensors)",
    ),
    "merged": (
        "The whole model",
        "For servers and further training. (merged, safetensors)",
    ),
    "script": (
        "Training script",
        "A Python file, your examples and the run itself, to train elsewhere: on "
        "several or rented GPUs. (script)",
    ),
    "home": (
        "Everything in one file",
        "The model, what it learned, how good it is, your examples and the script. "
        "(zip)",
    ),
}
# By the first word of the phase.
STEPS = {
    "Looking": "Looking at what it learned",
    "Merging": "Putting what it learned into the model",
    "Converting": "Writing the model into one file",
    "Making": "Writing the model into one file",
    "Checking": "Checking that it is still the same model",
    "Trying": "Asking it questions that it has not seen",
    "Asking": "Asking it questions, to compare its answers",
    "Packing": "Packing everything into one file",
}
TYPES = {
    "F16": "everything kept",
    "Q8_0": "nearly the same answers",
    "Q6_K": "smaller",
    "Q5_K_M": "smaller still",
    "Q4_K_M": "the smallest",
}
_MEASURED = (
    "Merging",
    "Converting",
    "Making",
    "Asking",
)  # in bytes or questions; checks take unlike times
FAILED = "A check of this file failed"
FAILED_MEANS = (
    "It may not be the model that you trained: in another program it could give other "
    "answers, or never end them. Below is which check failed, with its numbers.",
    "Make the file again, or choose another size or kind.",
)
_COPY = "Or make your own copy: duplicate this Space"
_WORTH_SAYING = 0.05  # the share of weights


def choices(sizes: dict[str, tuple[float, float]]) -> list[tuple[str, str]]:
    """The kinds of export, with the least and the largest size of each where they are
    known (MiB).
    """
    offered = []
    for key, (title, description) in KINDS.items():
        least, most = sizes.get(key, (0.0, 0.0))
        size = f"\nAbout {fmt.size(least)}" if least else ""
        if most > least:
            size += f", or {fmt.size(most)} if rounding would lose what it learned"
        offered.append((f"{title}\n{description}{size}", key))
    return offered


def gguf_types(
    sizes: dict[str, tuple[float, float]],
    too_narrow: dict[str, float],
    can_make_all: bool = True,
) -> list[tuple[str, str]]:
    """The GGUF types to choose from, with their sizes (MiB) and the weights that don't
    fit them, where known.
    """
    offered = []
    for kind, effect in TYPES.items():
        if not can_make_all and kind not in BY_CONVERTER:
            continue
        size, _ = sizes.get(f"gguf:{kind}", (0.0, 0.0))
        share = too_narrow.get(kind, 0.0)
        parts = [f"{kind}: {effect}"]
        if size:
            parts.append(f"about {fmt.size(size)}")
        if share >= _WORTH_SAYING:
            parts.append(
                f"{share:.0%} of this model's weights don't fit the type and take a larger one"
            )
        offered.append((", ".join(parts), f"gguf:{kind}"))
    return offered


def types_note(can_make_all: bool) -> str:
    """A note on the types. can_make_all: llama-cpp-python is here."""
    if can_make_all:
        return "All are made in one go. Each is compared with the merged model."
    return f"Q6_K, Q5_K_M and Q4_K_M can't be made here yet: they need llama-cpp-python. {HOW_TO_COMPILE}"


def export(
    line: ExportStatus, instruction: str = "", programs: Iterable[str] = ()
) -> Markup:
    """An export: how far it is, or its files and checks, and where to use it.
    instruction: of the examples. programs: of this computer, to which a GGUF file can
    be added.
    """
    job, result, is_page = line.job, line.result, line.job.name == PAGE
    title = KINDS["gguf:Q8_0" if job.name.startswith("gguf:") else job.name][0]
    badge = components.badge(*fmt.STATES[job.state.value])
    if job.failure or job.state.value == "stopped":
        why = (
            components.problem_alert(job.failure)
            if job.failure
            else components.text("Nothing was made.")
        )
        return components.card(title, why, badges=badge)
    if not job.state.is_terminal:
        phase, percent, _ = fmt.progress(job.progress)
        first_word = phase.partition(" ")[0]
        step = STEPS.get(first_word, phase)
        if (
            percent and first_word in _MEASURED
        ):  # nothing is said of the whole: how long a step takes depends on much
            step += f": {percent}% of this step"
        cancel = components.button("Cancel", "cancel", job.id, label=f"Cancel: {title}")
        return components.card(
            title,
            components.progress(None, step),
            badges=badge,
            lead=f"{step}.",
            aside=cancel,
        )
    # The folder, or the model, before the texts about it.
    files = sorted(
        result.files,
        key=lambda file: (not file.name.endswith(f"-{PAGE}.zip"), -file.bytes),
    )
    links, more_links = (
        _links(line, files[:1] if is_page else files),
        _links(line, files[1:] if is_page else ()),
    )
    guides = _guides(line, instruction) if result.programs else components.EMPTY
    sizes = (
        components.rows(map(_size, result.sizes)) if result.sizes else components.EMPTY
    )
    checks = components.checklist((check.ok, check.sentence) for check in result.checks)
    lines = "".join(f"{file.sha256}  {file.name}\n" for file in files if file.sha256)
    checksums = (
        components.fold("Checksums (SHA-256)", components.code(lines))
        if lines
        else components.EMPTY
    )
    if can_add(line):
        links += components.join(
            components.button(f"Add it to {name}", name, job.id, "firm")
            for name in programs
        )
    given = Markup('<div class="files">{}</div>').format(links)
    if more_links:
        given += components.fold(
            "The same for a web server, and its checks",
            Markup('<div class="files">{}</div>').format(more_links),
        )
    if result.passed:
        if all(check.ok for check in result.checks):  # else some could not be made
            checks = components.verified(
                "Verified to be the same model", checks, key=f"checks-{job.id}"
            )
        return components.card(
            title, given, sizes, checks, checksums, guides, badges=badge
        )
    warning = components.alert("bad", FAILED, *FAILED_MEANS)
    hidden = components.fold(
        "Show the download all the same",
        given,
        checksums,
        guides,
        kind="failed-download",
    )
    return components.card(
        title,
        warning,
        checks,
        sizes,
        hidden,
        badges=components.badge("Check failed", "bad"),
    )


def _links(line: ExportStatus, files: Iterable[ExportFile]) -> Markup:
    return components.join(
        components.download_link(
            line.folder / file.name,
            file.name,
            f"Download {file.name}",
            fmt.bytes_of(file.bytes),
        )
        for file in files
    )


def added(program: str, name: str, instruction: str) -> Markup:
    """How to open a file that was added to a program. name: its name there."""
    paste = " Paste the instruction below as the system prompt." if instruction else ""
    how = {
        "Ollama": (
            f"Open Ollama and choose {name}, or type in a terminal: ollama run {name}"
        ),
        "LM Studio": (
            f"Open LM Studio, choose {name} in Chat, and set the temperature to "
            f"0.{paste}"
        ),
    }
    return components.alert("good", f"It is in {program} as {name}.", how[program])


def _size(file: GgufFile) -> tuple[str, str, str]:
    """The type and the size, and in small print what was lost and why a file may be
    larger than its type promises.
    """
    task = fmt.task_score(file.task)
    parts = [f"{task[:1].upper()}{task[1:]}."] if task else []
    if file.kind != "F16" and file.same_choice is not None:
        parts.append(
            f"The same next word as the merged model in {file.same_choice:.1%} of {file.places} positions."
        )
    if file.too_narrow >= _WORTH_SAYING:
        parts.append(
            f"{file.too_narrow:.0%} of the weights are stored in a larger type, because "
            "this one needs widths that are multiples of 256."
        )
    if file.recommended:
        parts.append(
            "It takes at most half of this computer's memory, and is the smallest that "
            "chooses the same word in 98% of the positions, or else the one that does "
            "so most often."
        )
    kind = f"{file.kind} (recommended)" if file.recommended else file.kind
    return kind, fmt.size(file.bytes / MIB), " ".join(parts)


def _guides(line: ExportStatus, instruction: str) -> Markup:
    """Each program that can run the files, in three steps."""
    folds = [
        components.fold(
            guide.name,
            components.text(guide.what),
            components.steps(guide.steps),
            components.code(guide.code),
            components.text(
                components.external_link(guide.source, "More about this"), "small"
            ),
            key=f"use-{line.job.id}-{guide.name}",
        )
        for guide in line.result.programs
    ]
    if instruction:
        folds.append(
            components.fold(
                "The instruction (system prompt)", components.code(instruction)
            )
        )
    return Markup('<div class="guides"><h3>Where to use it</h3>{}</div>').format(
        components.join(folds)
    )


def at_home() -> Markup:
    """How to copy the Space and how to start its program at home; nothing outside of a
    Space.
    """
    address = space.address()
    if not address:
        return components.EMPTY
    return components.card(
        "Continue at home",
        components.text(
            "These two commands start Apprentice on your own computer (it needs Python and git):"
        ),
        components.code("\n".join(space.commands_at_home())),
        components.text(
            components.external_link(f"{address}?duplicate=true", _COPY), "small"
        ),
        lead="Nothing stays here. “Everything in one file” contains everything that you made.",
    )
