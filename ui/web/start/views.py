"""The computer and the chosen model as HTML."""

from markupsafe import Markup

from backend.advice.ranking import in_time
from backend.advice.recommend import Recommendation
from backend.advice.settings import words_in
from backend.datasets.checks.language import LANGUAGE_NAMES
from backend.hardware import Probe
from backend.models.catalogue import Entry
from backend.records.machine import available, nvidia_gpu
from backend.records.units import MIB
from jobs.records import Job
from ui.services.machine.advice import UnknownLanguage
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.text.memory import memory_parts
from ui.web.html import components
from ui.web.start import download_card
from ui.web.start.models_table import source

TASKS = {
    "voice": (
        "Answer in our voice",
        "Customers ask, it answers the way your team would.",
    ),
    "extract": (
        "Pull data out of text",
        "Messages, orders or invoices become tidy fields.",
    ),
    "write": ("Write in a style", "It writes or rewrites notes and drafts your way."),
    "other": ("Something else", "Anything you can show by example."),
}
TOO_BIG = "This model is too big for this computer right now. Choose a smaller one, or close other programs."
RETRIEVAL = components.alert(
    "warn",
    "For facts that change, looking them up works better than learning them",
    "A trained model keeps repeating the prices it learned, even after they change. A "
    "better tool for that is retrieval: the model gets the current facts together with "
    "each question.",
    "Train it here for tone and format, and give it the facts with each question.",
)


def guide(choice: Choice, new: bool) -> Markup:
    """new: whether the finished apprentice stands below."""
    if new:
        return Markup('<p class="guide-line"><strong>{}</strong> {}</p>').format(
            "Meet a finished apprentice.",
            "It turns customers’ messages into the same tidy fields every time.",
        )
    if not choice.task:
        return components.guide(
            1, "Choose what it should learn.", "Then you add examples."
        )
    return components.guide(
        1, "The model is chosen.", "Next, add examples of the answers you want."
    )


def fit_line(
    chosen: Recommendation,
    here: bool,
    preparing: Job | None,
    better: Recommendation | None,
) -> Markup:
    """What the computer has and which model fits, in one line.

    here: whether the chosen model is on this computer
    preparing: the job that unpacks it, if one does
    better: a model to download that would be better
    """
    fit, name = chosen.estimate.fit, chosen.model.name
    fate = {"no": "is too big for", "unknown": "may fit"}.get(fit.badge, "fits")
    fits = f"{name} will learn it: it {fate} this computer"
    state = (
        " and is ready."
        if here
        else f"; {fmt.size(chosen.model.download_mib)} to download."
    )
    if preparing and chosen.model.bundled and not here:
        done = (
            fmt.percent(preparing.progress.done, preparing.progress.total)
            if preparing.progress
            else 0
        )
        state = f". It is being set up, only this once: {done}%."
    more = (
        f" {better.model.name} would do better; it has to be downloaded."
        if better
        else ""
    )
    return components.text(fits + state + more, "lead")


def language_alert(unknown: UnknownLanguage | None) -> Markup:
    """That the model does not know the examples' language, and a button that takes one
    which does.
    """
    if unknown is None:
        return components.EMPTY
    language, model, speaker = unknown
    name = LANGUAGE_NAMES.get(language, language)
    what = f"Your examples are in {name}. It would need many more of them, and its answers would still be poor."
    title = f"{model.name} does not speak {name}"
    if speaker is None:
        return components.alert(
            "warn", title, what, "Choose a model that does, on Start under “Details”."
        )
    does = f"{speaker.name} does; {fmt.size(speaker.download_mib)} to download."
    button = components.button(f"Use {speaker.name}", "model", speaker.id, "firm")
    return components.alert("warn", title, what, does) + Markup(
        '<div class="after-alert">{}</div>'
    ).format(button)


def machine_card(probe: Probe, simulated: bool = False) -> Markup:
    """The computer in plain words."""
    hardware = probe.hardware
    numbers = [
        (
            fmt.size(gpu.memory_free_mib),
            f"free of {fmt.size(gpu.memory_total_mib)} on the GPU (graphics card)",
        )
        for gpu in hardware.gpus
        if not hardware.unified_memory
    ]
    cores = hardware.cpu.cores
    free, usable = (
        fmt.size(hardware.memory_available_mib),
        fmt.size(available(hardware)),
    )
    meaning = f"free of {fmt.size(hardware.memory_total_mib)} memory"
    if hardware.unified_memory:
        meaning += ", shared with the GPU"
    if nvidia_gpu(hardware) is None and usable != free:
        meaning += f"; training can use {usable} of it, the system needs the rest"
    numbers += [
        (free, meaning),
        (fmt.size(hardware.disk_free_mib), "free on disk"),
        (fmt.number(cores), "processor core" if cores == 1 else "processor cores"),
    ]
    problems = components.join(
        components.problem_alert(problem, "warn") for problem in probe.problems
    )
    sentences = [
        line for line in probe.sentences if not line[:1].isdigit()
    ]  # the numbers are shown below
    lead, facts = " ".join(sentences or probe.sentences[:1]), components.facts(numbers)
    badge = components.badge("Simulated", "warn") if simulated else ""
    again = (
        ""
        if simulated
        else components.button(
            "Check again", "probe", label="Check again: this computer"
        )
    )
    return components.card(
        "Your computer", facts, problems, lead=lead, badges=badge, aside=again
    )


def model_card(
    option: Recommendation,
    recommended: bool,
    on_disk: float | None,
    more: str = "",
    outdone: bool = False,
) -> Markup:
    """The chosen model: why it was chosen, the memory that it needs, its license and
    size.

    on_disk: its measured size on this computer in MiB; None while it is not here
    more: HTML below it
    outdone: whether a model that is not on this computer would be better
    """
    model, fit = option.model, option.estimate.fit
    best = "Best one on this computer" if outdone else "Recommended"
    word = "Your choice" if not recommended else best if fit.fits else "Closest fit"
    badges = components.badge(word, "good" if recommended and fit.fits else "calm")
    badges += components.badge(*fmt.FITS[fit.badge])
    badges += components.badge("Ready on this computer") if on_disk is not None else ""
    needs, have = fmt.sizes(fit.needs_mib, fit.has_mib)
    needed = _needed(option, needs)
    where = "memory of the GPU" if option.memory.device == "cuda" else "memory"
    numbers = [
        (needed, f"{where} needed (estimate); {have} can be used"),
        _size(model, on_disk),
    ]
    allows = {
        True: "commercial use allowed",
        False: "no commercial use",
        None: "read what it allows",
    }
    numbers.append(
        (model.licence.partition(" (")[0], f"license; {allows[model.commercial_use]}")
    )
    label = f"Needs {needs}; {have} can be used."
    bar = components.memory_bar(memory_parts(option.memory.parts), fit.has_mib, label)
    most, words = (
        fmt.number(model.context_length),
        fmt.number(words_in(model.context_length)),
    )
    small = (
        f"{fmt.short_number(model.parameters)} parameters. It reads up to {most} tokens "
        f"at once, about {words} words."
    )
    if option.assumed:
        small += (
            f" The memory estimate assumes examples of up to {option.assumed} tokens, "
            f"about {words_in(option.assumed)} words. It is updated when you add yours."
        )
    lead = " ".join(option.reasons) or model.note
    published = components.EMPTY
    if model.evidence:  # which a reason names
        published = components.text(
            Markup("The comparison: {}.").format(source(model.evidence[0])), "small"
        )
    body = (
        components.facts(numbers),
        bar,
        components.text(small, "small"),
        published,
        more,
    )
    return components.card(model.name, *body, badges=badges, lead=lead)


def _needed(option: Recommendation, needs: str) -> str:
    """The memory that it needs, as a range while the examples are unknown. needs: the
    larger end, in words.
    """
    least = fmt.size(option.least_mib)
    return (
        f"{least.removesuffix(needs[-3:])} to {needs}"
        if option.assumed and least != needs
        else needs
    )


def suggestion(
    better: Recommendation, chosen: Recommendation, does: str = "View"
) -> Markup:
    """A better model that is not downloaded yet, and its advantage over the chosen one.
    better: the model to recommend if every model were here. chosen: the best one on
    this computer. does: the word on its button.
    """
    model = better.model
    see = components.button(does, "model", model.id, label=f"{does} {model.name}")
    why = next(
        (reason for reason in better.reasons if reason not in chosen.reasons),
        model.note,
    )
    offer = f"{model.name} would suit this computer and task better. {why}"
    if better.seconds is not None and chosen.seconds is not None:
        best = "Best within about half an hour" if in_time(better.seconds) else "Better"
        takes, now, size = (
            fmt.rough(better.seconds),
            fmt.rough(chosen.seconds),
            fmt.size(model.download_mib),
        )
        offer = (
            f"{best}: {model.name}, about {takes}, {size} to download. Now, without a "
            f"download: {chosen.model.name}, about {now}."
        )
    needed = _needed(better, fmt.size(better.estimate.fit.needs_mib))
    small = f"{download_card.label(model)}. It needs about {needed} of memory."
    card = Markup('<div class="better">{}{}{}</div>')
    return card.format(components.text(offer), components.text(small, "small"), see)


def _size(model: Entry, on_disk: float | None) -> tuple[str, str]:
    package = fmt.size(model.download_mib)
    if on_disk is None and model.bundled:
        return (
            package,
            f"included with the app; {fmt.size(model.parameters * 2 / MIB)} when unpacked",
        )
    if on_disk is None:
        return package, "to download"
    return fmt.size(on_disk), "on disk" + (
        f", unpacked from {package}" if model.bundled else ""
    )
