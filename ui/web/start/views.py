"""The computer and the models, drawn: what was found, what the chosen model needs, and how all others would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from backend.advice.recommend import Option, Recommendation
from backend.advice.settings import words_in
from backend.datasets.checks.language import NAMES
from backend.hardware import Probe
from backend.models.catalogue import Entry
from backend.records.specs import Gpu
from jobs.records import Job
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web import errors as web_errors
from ui.web.html import components
from ui.web.start import download_card

TASKS = {
    "voice": ("Answer in our voice", "Customers ask, it answers the way your team would."),
    "extract": ("Pull data out of text", "Messages, orders or invoices become tidy fields."),
    "write": ("Write in a style", "It writes or rewrites notes and drafts your way."),
    "other": ("Something else", "Anything that you can show by examples."),
}
RETRIEVAL = web_errors.alert(
    "warn",
    "For facts that change, looking them up works better than learning them",
    "A trained model goes on saying the prices it was taught after they have changed. The better tool for that is "
    "retrieval: with each question the model is handed the current facts to read.",
    "Train it here for tone and form, and hand it the facts with each question.",
)
FITS = {"yes": ("Fits", "good"), "tight": ("Just fits", "warn"), "no": ("Too big", "bad")}


def guide(choice: Choice, ready: bool) -> str:
    if not ready:
        return components.guide(1, "The model is being made ready, once.", "You can go on meanwhile.")
    if not choice.task:
        return components.guide(1, "Say what it should learn.", "Then you bring examples of it.")
    return components.guide(1, "The model is chosen.", "Next you bring examples of how you want things answered.")


def reason(chosen: Option, waiting: str) -> str:
    """Why one can't go on with this model, "" when one can; waiting: why it is not ready."""
    if chosen.fit == "no":
        return "This model is too big for this computer now. Choose a smaller one above, or close other programs."
    return waiting


def machine_card(probe: Probe, simulated: bool = False) -> str:
    """The computer in plain words."""
    hardware = probe.hardware
    free, total = fmt.size(hardware.memory_available_mib), fmt.size(hardware.memory_total_mib)
    numbers = [] if hardware.unified_memory else [_free_on(gpu) for gpu in hardware.gpus]
    cores = hardware.cpu.cores
    numbers += [
        (free, f"memory free of {total}" + (", shared with the graphics" if hardware.unified_memory else "")),
        (fmt.size(hardware.disk_free_mib), "free on the disk"),
        (fmt.number(cores), "processor core" if cores == 1 else "processor cores"),
    ]
    problems = "".join(web_errors.alert("warn", one.what, one.why, one.next) for one in probe.problems)
    told = [line for line in probe.sentences if not line[:1].isdigit()]  # the numbers stand below
    lead = " ".join(told or probe.sentences[:1])
    again = (
        "" if simulated else components.button("Look again", "probe", label="Look again at what this computer has")
    )
    badges = components.badge("Simulated", "warn") if simulated else ""
    facts = components.facts(numbers)
    return components.card("Your computer", facts, problems, lead=lead, badges=badges, aside=again)


def _free_on(gpu: Gpu) -> tuple[str, str]:
    return fmt.size(gpu.memory_free_mib), f"free on the card of {fmt.size(gpu.memory_total_mib)}"


def model_card(
    option: Recommendation,
    recommended: bool,
    on_disk: float | None,
    preparing: Job | None,
    more: str = "",
    outdone: bool = False,
) -> str:
    """The chosen model: why, what it needs against what is here, its licence and size.

    on_disk: MiB that it takes on this computer, measured; None while it is not here. more: ready HTML beneath.
    outdone: whether one that is not here would be better.
    """
    model, fit = option.model, option.estimate.fit
    best = "Best of those here" if outdone else "Recommended"
    word = "Your choice" if not recommended else best if fit.fits else "The nearest one"
    badges = components.badge(word, "good" if recommended and fit.fits else "calm")
    badges += components.badge(*FITS[fit.badge])
    badges += components.badge("Ready on this computer") if on_disk is not None else ""
    needs, have = fmt.size(fit.needs_mib), fmt.size(fit.has_mib)
    needed = _needed(option)
    where = "on the card" if option.memory.device == "cuda" else "of memory"
    numbers = [(needed, f"{where} needed, computed; you have {have}"), _size(model, on_disk), _licence(model)]
    bar = components.memory_bar(
        fmt.memory_parts(option.memory.parts), fit.has_mib, f"Needs {needs}, you have {have}."
    )
    waiting = ""
    if preparing and model.embedded and on_disk is None:
        progress = preparing.progress
        done = fmt.percent(progress.done, progress.total) if progress else 0
        waiting = components.text(f"Making it ready: {done} %") + components.progress(done, "Making the model ready")
    small = (
        f"{fmt.short_number(model.parameters)} parameters; it reads up to "
        f"{fmt.number(model.context_length)} tokens at once, about {fmt.number(words_in(model.context_length))} "
        "words."
    )
    if option.assumed:
        small += (
            f" The memory is for examples of up to {option.assumed} tokens, about {words_in(option.assumed)} words, "
            "and depends on how many are read at once; it is computed again once yours are here."
        )
    lead = " ".join(option.reasons) or model.note
    body = (components.facts(numbers), bar, waiting, components.text(small, "small"), more)
    return components.card(model.name, *body, badges=badges, lead=lead)


def _needed(option: Recommendation) -> str:
    """The memory that it needs, from what it can make do with while the examples are not known."""
    needs, least = fmt.size(option.estimate.fit.needs_mib), fmt.size(option.least_mib)
    return f"{least.removesuffix(needs[-3:])} to {needs}" if option.assumed and least != needs else needs


def suggestion(better: Recommendation, chosen: Recommendation) -> str:
    """A model that would suit this computer better, but is not here yet, and what it has before the chosen one."""
    model = better.model
    see = components.button("Look at it", "model", model.id, label=f"Look at {model.name}")
    why = next((reason for reason in better.reasons if reason not in chosen.reasons), model.note)
    said = f"{model.name} would suit this computer and task better. {why}"
    small = f"{download_card.words(model)}; it needs {_needed(better)} of memory, computed."
    return f'<div class="better">{components.text(said)}{components.text(small, "small")}{see}</div>'


def _size(model: Entry, on_disk: float | None) -> tuple[str, str]:
    package = fmt.size(model.download_mib)
    if on_disk is None and model.embedded:
        return package, "came with the app; unpacked it takes " + fmt.size(model.parameters * 2 / 2**20)
    if on_disk is None:
        return package, "to download"
    return fmt.size(on_disk), "on the disk" + (f", unpacked from {package}" if model.embedded else "")


def _licence(model: Entry) -> tuple[str, str]:
    """The licence's name, and in words what it allows."""
    name = model.licence.partition(" (")[0]
    return name, "licence; may be used commercially" if model.commercial_use else "licence; not for commercial use"


NEEDED_BY_RUNS = "What you trained from it can't be tried or taken away until it is downloaded again."
COMPARING = components.text("Working out what each model needs here. This takes a few seconds, once.", "small")
GOOD_FOR = {"voice": "Conversation", "extract": "Tidy fields", "write": "Fluent writing"}
SEARCH = ("words", "Search by name, family or licence")
SIZES = {"small": "Below 1 billion", "middle": "1 to 4 billion", "large": "Above 4 billion"}


def others_table(
    options: Sequence[Option] | None, chosen_id: str, ready: set[str], downloads: Mapping[str, Job]
) -> str:
    """All models as a table that sorts and filters, with what each needs here at least. None: not known yet."""
    if options is None:
        return COMPARING
    headers = ("Model", "Here", "Needs", "Size", "Licence", "")
    lines = [_line(one, chosen_id, one.model.id in ready, downloads.get(one.model.id)) for one in options]
    kinds = [_kinds(option, option.model.id in ready) for option in options]
    table = components.table(headers, lines, "Models and whether they fit this computer", True, "models", kinds)
    least = components.text(
        "What each needs is the least memory that a training of it can make do with here.", "small"
    )
    return components.filters(_choices(options), "models", SEARCH) + table + least + _full(options[0])


def _full(recommended: Option) -> str:
    """The offer to train all weights, where they fit."""
    found = recommended.full if isinstance(recommended, Recommendation) else None
    if found is None:
        return ""
    return components.text(
        f"All of {found.model} could be trained too, not only a small addition (full fine-tuning): that needs "
        f"{fmt.size(found.fit.needs_mib)} of {fmt.size(found.fit.has_mib)}. Choose it under Advanced, step 3."
    )


def _choices(options: Sequence[Option]) -> dict[str, tuple[str, dict[str, str]]]:
    """What the table can be filtered by: key to (question, value to its words)."""
    tongues = {code for option in options for code in option.model.languages}
    named = {code: NAMES.get(code, code) for code in tongues}
    return {
        "fit": ("Fit", {key: words_in for key, (words_in, _) in FITS.items()} | {"here": "On this computer"}),
        "size": ("Size", SIZES),
        "use": ("Licence", {"free": "Commercial use allowed", "open": "No access to ask for"}),
        "language": ("Language", dict(sorted(named.items(), key=lambda pair: pair[1]))),
        "task": ("Good for", GOOD_FOR),
    }


def _kinds(option: Option, ready: bool) -> dict[str, list[str]]:
    """A model's values for each filter, and the words that it is found by."""
    model = option.model
    size = "small" if model.parameters < 1e9 else "middle" if model.parameters <= 4.05e9 else "large"
    return {
        "fit": [option.fit, *(["here"] if ready else [])],
        "size": [size],
        "use": [*(["free"] if model.commercial_use else []), *([] if model.gated else ["open"])],
        "language": list(model.languages),
        "task": list(model.good_for),
        SEARCH[0]: [model.name, model.family, model.licence],
    }


def _line(option: Option, chosen_id: str, ready: bool, job: Job | None) -> tuple[str, ...]:
    model = option.model
    going = job is not None and not job.state.is_terminal
    if model.id == chosen_id:
        act = components.badge("Chosen", "calm")
    elif option.fit == "no":
        act = ""
    else:
        act = components.button("Choose", "model", model.id, label=f"Choose {model.name}")
    if job and going and job.progress:
        done = fmt.percent(job.progress.done, job.progress.total)
        act += components.text(f"Downloading: {done} %", "small")
        act += components.button("Cancel", "cancel", model.id, label=f"Cancel the download of {model.name}")
    elif not (ready or going or model.embedded or option.fit == "no"):
        words = download_card.words(model)
        act += components.button(words, "download", model.id, label=f"{words}: {model.name}")
    elif ready and job:
        sure = components.button(
            "Delete for good", "discard", model.id, "danger", label=f"Delete {model.name} for good"
        )
        act += components.confirm("Delete", NEEDED_BY_RUNS, sure)
    least = option.least_mib if isinstance(option, Recommendation) else option.memory.total_mib
    said = next(iter(option.reasons[0 if option.startable else 1 :]), "")  # whether it is here stands beside its size
    return (
        f"<strong>{escape(model.name)}</strong>{components.text(said, 'small')}",
        components.sort_key(list(FITS).index(option.fit)) + components.badge(*FITS[option.fit]),
        components.sort_key(least) + fmt.size(least),
        components.sort_key(model.parameters)
        + f"{model.parameters / 1e9:.2g} B{components.text(_download(model, ready), 'small')}",
        escape(model.licence),
        f'<div class="acts">{act}</div>',
    )


def _download(model: Entry, ready: bool) -> str:
    """How large the files are, and whether they are here."""
    where = "with the app" if model.embedded else "on this computer" if ready else "to download"
    return f"{fmt.size(model.download_mib)} {where}"
