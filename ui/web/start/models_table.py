"""All models as a table to sort and search: what each needs, its expected quality and
its training time.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date

from markupsafe import Markup

from backend.advice.ranking import expected_rank
from backend.advice.reasons import ordinal, published_results
from backend.advice.recommend import Option, Recommendation
from backend.datasets.checks.language import LANGUAGE_NAMES
from backend.models.catalogue import Entry
from backend.models.evidence import Evidence
from jobs.records import Job
from ui.text import format as fmt
from ui.web.html import components, tables
from ui.web.start import download_card

NEEDED_BY_RUNS = "The models you trained from it can't be tried or exported until it is downloaded again."
COMPARING = components.text(
    "Working out what each model needs on this computer. This takes a few seconds.",
    "small",
)
GOOD_FOR = {
    "voice": "Conversation",
    "extract": "Extracting data",
    "write": "Fluent writing",
}
UNKNOWN = 1000.0  # sorts after every published rank
SEARCH = "Search by name, language, license or use"


def others_table(
    options: Sequence[Option] | None,
    chosen: str,
    ready: set[str],
    jobs: Mapping[str, Job],
) -> Markup:
    """All models as a table, without the column of times while none is known.

    options: None while they are compared
    chosen: the id of the chosen one
    ready: the ids of those that are here
    jobs: the latest download of each model, by its id
    """
    if options is None:
        return COMPARING
    timed = any(option.time for option in options)
    lines = [
        _line(option, chosen, option.model.id in ready, jobs.get(option.model.id))
        for option in options
    ]
    headers = [name for name in lines[0] if timed or name != "Time"]
    cells = [[line[name] for name in headers] for line in lines]
    words = [{"words": _words(option, option.model.id in ready)} for option in options]
    table = tables.table(
        headers,
        cells,
        "Models and whether they fit this computer",
        True,
        "models",
        words,
    )
    finder = tables.finder("models", SEARCH, [name for name in headers if name])
    return finder + table + _notes(options, timed)


def _notes(options: Sequence[Option], timed: bool) -> Markup:
    """The meaning of the columns, and the sources of the expected quality."""
    time = "“Time” is about how long training on your examples takes."
    if not timed:
        time = "How long each model takes is not known yet: the speed of this computer has not been measured."
        if isinstance(options[0], Recommendation) and options[0].assumed:
            time = "Add your examples to see how long each model takes."
    needs = f"“Needs” is the least memory that training the model takes on this computer. {time}"
    notes = components.text(needs, "small")
    sources = {
        newest.source: source(newest)
        for option in options
        for newest in option.model.evidence[:1]
    }
    if not sources:
        return notes
    quality = Markup(
        "“Expected quality” is how this model ranked after training in a published comparison, with its average "
        "rank over the tasks and a 95% range (1 is best). Those models learned from 10,000 examples per task; with "
        "fewer, the order may differ. {}: {}."
    ).format(
        "Source" if len(sources) == 1 else "Sources",
        Markup("; ").join(sources.values()),
    )
    return notes + components.text(quality, "small")


def source(evidence: Evidence) -> Markup:
    """A link to a comparison, with its publisher, date and extent."""
    month = (
        f"{date.fromisoformat(f'{evidence.date}-01'):%B %Y}"
        if evidence.date
        else "date not known"
    )
    extent = f" ({evidence.publisher}, {month}; {evidence.models} models, {evidence.tasks} tasks)"
    return components.external_link(evidence.url, evidence.source) + extent


def _words(option: Option, ready: bool) -> list[str]:
    """The words by which a search finds a model."""
    model = option.model
    asks = "access request needed" if model.gated else "no access request"
    uses = {
        True: "commercial use",
        False: "no commercial use",
        None: "license to check",
    }[model.commercial_use]
    languages = [LANGUAGE_NAMES.get(code, code) for code in model.languages]
    tasks = [GOOD_FOR[task] for task in model.good_for if task in GOOD_FOR]
    here = ["on this computer"] if ready else []
    return [
        model.name,
        model.family,
        model.licence,
        fmt.FITS[option.fit][0],
        uses,
        asks,
        *tasks,
        *languages,
        *here,
    ]


def _line(
    option: Option, chosen_id: str, ready: bool, job: Job | None
) -> dict[str, str]:
    """A table row as {column: cell}."""
    model = option.model
    least = (
        option.least_mib
        if isinstance(option, Recommendation)
        else option.memory.total_mib
    )
    # “Fit” says why a model can't start, and “Expected quality” its published results:
    # a reason names what is left.
    skipped = (
        1 if not option.startable and not isinstance(option, Recommendation) else 0
    )
    reasons = [
        reason
        for reason in option.reasons[skipped:]
        if reason != published_results(model)
    ]
    reason = components.text(next(iter(reasons), ""), "small")
    time = tables.sort_key(UNKNOWN**3) + "–"
    if option.time and option.fit != "no":
        time = tables.sort_key(option.time.seconds) + fmt.span(
            option.time.low, option.time.high
        )
    where = (
        "included" if model.bundled else "on this computer" if ready else "to download"
    )
    languages = fmt.number(len(model.languages)) if model.languages else "–"
    if len(model.languages) == 1:
        languages = LANGUAGE_NAMES.get(model.languages[0], model.languages[0])
    return {
        "Model": Markup("<strong>{}</strong>{}").format(model.name, reason),
        "Fit": tables.sort_key(list(fmt.FITS).index(option.fit))
        + components.badge(*fmt.FITS[option.fit]),
        "Expected quality": _quality(model),
        "Time": time,
        "Needs": tables.sort_key(least) + fmt.size(least),
        "Size": Markup("{}{:.2g} B{}").format(
            tables.sort_key(model.parameters),
            model.parameters / 1e9,
            components.text(f"{fmt.size(model.download_mib)} {where}", "small"),
        ),
        "Languages": tables.sort_key(-len(model.languages)) + languages,
        "License": model.licence,
        "": _acts(option, chosen_id, ready, job),
    }


def _quality(model: Entry) -> Markup:
    """The newest published result; models without any come last, in the order of what
    is expected of them.
    """
    if not model.evidence:
        expected = expected_rank(model)
        last = UNKNOWN + (expected if math.isfinite(expected) else UNKNOWN)
        return tables.sort_key(last) + components.text("Nothing published", "small")
    newest = model.evidence[0]
    place, small = f"Not in the top {newest.places} of {newest.models}", ""
    if newest.place is not None:
        place = f"{ordinal(newest.place)} of {newest.models}"
        small = f"average {newest.rank:.1f}" if newest.rank else ""
    if newest.interval is not None:
        small += f" ({max(1, newest.interval[0]):.1f} to {newest.interval[1]:.1f})"
    return tables.sort_key(newest.standing) + Markup("{}{}").format(
        place, components.text(small, "small")
    )


def _acts(option: Option, chosen_id: str, ready: bool, job: Job | None) -> Markup:
    """The buttons to choose, download and delete a model."""
    row = option.model
    going = job is not None and not job.state.is_terminal
    if row.id == chosen_id:
        act = components.badge("Chosen", "calm")
    elif option.fit == "no":
        act = components.EMPTY
    else:
        act = components.button("Choose", "model", row.id, label=f"Choose {row.name}")
    if job and going and job.progress:
        done = fmt.percent(job.progress.done, job.progress.total)
        act += components.text(f"Downloading: {done}%", "small")
        act += components.button(
            "Cancel", "cancel", row.id, label=f"Cancel the download of {row.name}"
        )
    elif not (ready or going or row.bundled or option.fit == "no"):
        label = f"{download_card.label(row)}: {row.name}"
        act += components.button("Download", "download", row.id, label=label)
    elif ready and job:
        act += components.delete(
            NEEDED_BY_RUNS, "discard", row.id, label=f"Delete for good: {row.name}"
        )
    return components.acts(act)
