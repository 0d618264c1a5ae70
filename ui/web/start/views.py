"""The computer and the models as HTML: the hardware, what the chosen model needs, and a table of all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from backend.advice.recommend import Option, Recommendation
from backend.advice.settings import words_in
from backend.datasets.checks.language import LANGUAGE_NAMES
from backend.hardware import Probe
from backend.models.catalogue import Entry
from backend.records.specs import Gpu
from backend.records.units import MIB
from jobs.records import Job
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.html import components
from ui.web.start import download_card

TASKS = {
    "voice": ("Answer in our voice", "Customers ask, it answers the way your team would."),
    "extract": ("Pull data out of text", "Messages, orders or invoices become tidy fields."),
    "write": ("Write in a style", "It writes or rewrites notes and drafts your way."),
    "other": ("Something else", "Anything you can show by example."),
}
RETRIEVAL = components.alert(
    "warn",
    "For facts that change, looking them up works better than learning them",
    "A trained model keeps repeating the prices it learned, even after they change. A better tool for that is "
    "retrieval: the model gets the current facts together with each question.",
    "Train it here for tone and format, and give it the facts with each question.",
)
FITS = {"yes": ("Fits", "good"), "tight": ("Just fits", "warn"), "no": ("Too big", "bad")}


def guide(choice: Choice, ready: bool) -> Markup:
    if not ready:
        return components.guide(
            1, "Setting up the model. This happens only once.", "You can carry on in the meantime."
        )
    if not choice.task:
        return components.guide(1, "Choose what it should learn.", "Then you add examples.")
    return components.guide(1, "The model is chosen.", "Next, add examples of the answers you want.")


def reason(chosen: Option, waiting: str) -> str:
    """Why the person can't go on with this model, "" when they can. waiting: why it is not ready yet."""
    if chosen.fit == "no":
        return "This model is too big for this computer right now. Choose a smaller one, or close other programs."
    return waiting


def machine_card(probe: Probe, simulated: bool = False) -> Markup:
    """The computer in plain words."""
    hardware = probe.hardware
    free, total = fmt.size(hardware.memory_available_mib), fmt.size(hardware.memory_total_mib)
    numbers = [] if hardware.unified_memory else [_free_on(gpu) for gpu in hardware.gpus]
    cores = hardware.cpu.cores
    numbers += [
        (free, f"free of {total} memory" + (", shared with the graphics card" if hardware.unified_memory else "")),
        (fmt.size(hardware.disk_free_mib), "free on disk"),
        (fmt.number(cores), "processor core" if cores == 1 else "processor cores"),
    ]
    problems = components.join(components.problem_alert(one, "warn") for one in probe.problems)
    sentences = [line for line in probe.sentences if not line[:1].isdigit()]  # the numbers are shown below
    lead, facts = " ".join(sentences or probe.sentences[:1]), components.facts(numbers)
    if simulated:
        badge = components.badge("Simulated", "warn")
        return components.card("Your computer", facts, problems, lead=lead, badges=badge)
    again = components.button("Check again", "probe", label="Check again: this computer")
    return components.card("Your computer", facts, problems, lead=lead, aside=again)


def _free_on(gpu: Gpu) -> tuple[str, str]:
    return fmt.size(gpu.memory_free_mib), f"free of {fmt.size(gpu.memory_total_mib)} on the graphics card"


def model_card(
    option: Recommendation,
    recommended: bool,
    on_disk: float | None,
    preparing: Job | None,
    more: str = "",
    outdone: bool = False,
) -> Markup:
    """The chosen model: why it was chosen, the memory that it needs, its licence and size.

    on_disk: its measured size on this computer in MiB, None while it is not here. more: HTML below it.
    outdone: whether a model that is not on this computer would be better.
    """
    model, fit = option.model, option.estimate.fit
    best = "Best one on this computer" if outdone else "Recommended"
    word = "Your choice" if not recommended else best if fit.fits else "Closest fit"
    badges = components.badge(word, "good" if recommended and fit.fits else "calm")
    badges += components.badge(*FITS[fit.badge])
    badges += components.badge("Ready on this computer") if on_disk is not None else ""
    needs, have = fmt.size(fit.needs_mib), fmt.size(fit.has_mib)
    needed = _needed(option)
    where = "graphics memory" if option.memory.device == "cuda" else "memory"
    numbers = [(needed, f"{where} needed (estimate); you have {have}"), _size(model, on_disk), _licence(model)]
    bar = components.memory_bar(
        fmt.memory_parts(option.memory.parts), fit.has_mib, f"Needs {needs}, you have {have}."
    )
    waiting = components.EMPTY
    if preparing and model.bundled and on_disk is None:
        progress = preparing.progress
        done = fmt.percent(progress.done, progress.total) if progress else 0
        waiting = components.text(f"Setting up: {done}%", "status") + components.progress(
            done, "Setting up the model"
        )
    small = (
        f"{fmt.short_number(model.parameters)} parameters. It reads up to {fmt.number(model.context_length)} tokens "
        f"at once, about {fmt.number(words_in(model.context_length))} words."
    )
    if option.assumed:
        small += (
            f" The memory estimate assumes examples of up to {option.assumed} tokens, about "
            f"{words_in(option.assumed)} words. It is updated when you add yours."
        )
    lead = " ".join(option.reasons) or model.note
    body = (components.facts(numbers), bar, waiting, components.text(small, "small"), more)
    return components.card(model.name, *body, badges=badges, lead=lead)


def _needed(option: Recommendation) -> str:
    """The memory that it needs, as a range while the examples are unknown."""
    needs, least = fmt.size(option.estimate.fit.needs_mib), fmt.size(option.least_mib)
    return f"{least.removesuffix(needs[-3:])} to {needs}" if option.assumed and least != needs else needs


def suggestion(better: Recommendation, chosen: Recommendation) -> Markup:
    """A better model that is not downloaded yet, and its advantage over the chosen one."""
    model = better.model
    see = components.button("View", "model", model.id, label=f"View {model.name}")
    why = next((reason for reason in better.reasons if reason not in chosen.reasons), model.note)
    words = f"{model.name} would suit this computer and task better. {why}"
    small = f"{download_card.words(model)}. It needs about {_needed(better)} of memory."
    return Markup('<div class="better">{}{}{}</div>').format(
        components.text(words), components.text(small, "small"), see
    )


def _size(model: Entry, on_disk: float | None) -> tuple[str, str]:
    package = fmt.size(model.download_mib)
    if on_disk is None and model.bundled:
        return package, f"included with the app; {fmt.size(model.parameters * 2 / MIB)} when unpacked"
    if on_disk is None:
        return package, "to download"
    return fmt.size(on_disk), "on disk" + (f", unpacked from {package}" if model.bundled else "")


def _licence(model: Entry) -> tuple[str, str]:
    """The license's name, and what it allows."""
    name = model.licence.partition(" (")[0]
    return name, "license; commercial use allowed" if model.commercial_use else "license; no commercial use"


NEEDED_BY_RUNS = "The models you trained from it can't be tried or exported until it is downloaded again."
COMPARING = components.text("Working out what each model needs on this computer. This takes a few seconds.", "small")
GOOD_FOR = {"voice": "Conversation", "extract": "Extracting data", "write": "Fluent writing"}
SEARCH = ("words", "Search by name, family or license")
SIZES = {"small": "Under 1 billion", "middle": "1 to 4 billion", "large": "Over 4 billion"}


def others_table(
    options: Sequence[Option] | None, chosen_id: str, ready: set[str], downloads: Mapping[str, Job]
) -> Markup:
    """All models as a table to sort and filter, with the memory that each needs. options: None while unknown."""
    if options is None:
        return COMPARING
    headers = ("Model", "Fit", "Needs", "Size", "License", "")
    lines = [_line(one, chosen_id, one.model.id in ready, downloads.get(one.model.id)) for one in options]
    kinds = [_kinds(option, option.model.id in ready) for option in options]
    table = components.table(headers, lines, "Models and whether they fit this computer", True, "models", kinds)
    least = components.text("“Needs” is the least memory that training the model takes on this computer.", "small")
    return components.filters(_choices(options), "models", SEARCH) + table + least + _full(options[0])


def _full(recommended: Option) -> Markup:
    """The offer to train all weights, where they fit."""
    found = recommended.full if isinstance(recommended, Recommendation) else None
    if found is None:
        return components.EMPTY
    return components.text(
        f"You can also train all of {found.model} instead of a small addition (full fine-tuning). That needs "
        f"{fmt.size(found.fit.needs_mib)} of {fmt.size(found.fit.has_mib)} memory. Choose it in step 3, Advanced."
    )


def _choices(options: Sequence[Option]) -> dict[str, tuple[str, dict[str, str]]]:
    """The filters of the table: key to (question, value to its words)."""
    languages = {code for option in options for code in option.model.languages}
    names = {code: LANGUAGE_NAMES.get(code, code) for code in languages}
    return {
        "fit": ("Fit", {key: words for key, (words, _) in FITS.items()} | {"here": "On this computer"}),
        "size": ("Size", SIZES),
        "use": ("License", {"free": "Commercial use allowed", "open": "No access request needed"}),
        "language": ("Language", dict(sorted(names.items(), key=lambda pair: pair[1]))),
        "task": ("Good for", GOOD_FOR),
    }


def _kinds(option: Option, ready: bool) -> dict[str, list[str]]:
    """A model's values for each filter, and the words that the search finds."""
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
        act = components.EMPTY
    else:
        act = components.button("Choose", "model", model.id, label=f"Choose {model.name}")
    if job and going and job.progress:
        done = fmt.percent(job.progress.done, job.progress.total)
        act += components.text(f"Downloading: {done}%", "small")
        act += components.button("Cancel", "cancel", model.id, label=f"Cancel the download of {model.name}")
    elif not (ready or going or model.bundled or option.fit == "no"):
        words = download_card.words(model)
        act += components.button(words, "download", model.id, label=f"{words}: {model.name}")
    elif ready and job:
        sure = components.button(
            "Delete for good", "discard", model.id, "danger", label=f"Delete for good: {model.name}"
        )
        act += components.confirm("Delete", NEEDED_BY_RUNS, sure)
    least = option.least_mib if isinstance(option, Recommendation) else option.memory.total_mib
    reason = next(iter(option.reasons[0 if option.startable else 1 :]), "")  # the size column says whether it is here
    return (
        Markup("<strong>{}</strong>{}").format(model.name, components.text(reason, "small")),
        components.sort_key(list(FITS).index(option.fit)) + components.badge(*FITS[option.fit]),
        components.sort_key(least) + fmt.size(least),
        Markup("{}{:.2g} B{}").format(
            components.sort_key(model.parameters),
            model.parameters / 1e9,
            components.text(_download(model, ready), "small"),
        ),
        model.licence,
        components.acts(act),
    )


def _download(model: Entry, ready: bool) -> str:
    """The size of the files, and where they are."""
    where = "included" if model.bundled else "on this computer" if ready else "to download"
    return f"{fmt.size(model.download_mib)} {where}"
