"""The plan of a run as HTML: what is about to happen, in computed and measured numbers."""

from collections.abc import Collection, Mapping

from markupsafe import Markup

from backend.records.specs import TrainSettings
from ui.records.runs import Plan
from ui.text import format as fmt
from ui.text.memory import PARTS, memory_parts
from ui.web.html import components

PLAN = "What it will be able to do"
FACTS = "It learns how you answer, not facts: prices, stock and whatever else changes it would make up."
_GOALS = {
    "sft": (
        "from the good answers; the bad ones are not used",
        "supervised fine-tuning, SFT",
    ),
    "dpo": (
        "the difference between good and bad answers",
        "direct preference optimization, DPO",
    ),
}


def plan(
    ahead: Plan, why: Mapping[str, str], by_hand: Collection[str], demo: bool = False
) -> Markup:
    """The plan: what the model will be able to do and how long it takes; below it,
    folded, the computed and measured numbers.

    why: the reason for each recommended setting
    by_hand: the settings that the person changed
    demo: whether the computer is not the person's own
    """
    stays = (
        "Your examples stay in this demo."
        if demo
        else "Everything stays on this computer."
    )
    time_how = (
        "to train, from this computer's measured speed"
        if ahead.time_measured
        else "to train, estimated"
    )
    if ahead.while_busy:
        time_how = "to train; longer while other programs are busy"
    task = f"Answers messages like those in {ahead.data_name} the way your examples do."
    if ahead.settings.trainer == "dpo":
        task = f"Answers more like the better answers of {ahead.data_name} and less like the worse ones."
    numbers = [
        (fmt.span(*ahead.seconds), time_how)
        if ahead.seconds
        else ("not known yet", "training time"),
        (fmt.count(ahead.train_rows, "example"), "to learn from"),
        (fmt.number(ahead.set_aside), "set aside to check the result"),
    ]
    return components.card(
        PLAN,
        components.checklist(
            [(True, task), *_general(ahead, demo), (False, FACTS)], ("Yes", "No")
        ),
        components.facts(numbers),
        components.text(ahead.proves, "small"),
        _shorter(ahead),
        _changed(ahead, by_hand),
        *(components.alert("warn", note) for note in ahead.notes),
        components.fold(
            "Details",
            *_numbers(ahead, why, by_hand),
            kind="details",
            key="plan-details",
        ),
        lead=f"Nothing has started yet. {stays}",
    )


def _shorter(ahead: Plan) -> Markup:
    """That training takes long, and a button for what makes it shorter."""
    fewer = ahead.shorter
    if fewer is None or ahead.seconds is None:
        return components.EMPTY
    takes = fmt.rough(sum(ahead.seconds) / 2)
    note = components.alert("warn", f"Training takes about {takes} on this computer.")
    act = components.button(
        f"With {fewer.words}: {fmt.rough(fewer.seconds)}",
        "fewer",
        fewer.epochs,
        kind="firm",
    )
    return note + Markup('<div class="after-alert">{}</div>').format(act)


def _changed(ahead: Plan, by_hand: Collection[str]) -> Markup:
    """The settings that are not the recommended ones, and the way back to those; empty
    where there are none.
    """
    settings, facts = ahead.settings, TrainSettings.facts()
    own = [
        name
        for name in facts
        if name in by_hand and name not in ("trainer", "keep_general")
    ]  # asked above
    if not own:
        return components.EMPTY
    listed = fmt.listed(
        [f"{facts[name].term} {fmt.setting(getattr(settings, name))}" for name in own]
    )
    planned = settings.planned_steps(ahead.train_rows + ahead.general_rows)
    short = (
        f"Training will be cut short after {ahead.steps} of {planned} steps."
        if ahead.steps < planned
        else ""
    )
    note = components.alert(
        "warn" if short else "calm", f"Your own settings: {listed}", short
    )
    back = components.button(
        "Back to the recommended settings",
        "recommended",
        kind="firm" if short else "quiet",
    )
    return note + Markup('<div class="after-alert">{}</div>').format(back)


def _numbers(
    ahead: Plan, why: Mapping[str, str], by_hand: Collection[str]
) -> list[Markup]:
    memory_how = (
        "measured on your longest examples" if ahead.memory_measured else "estimated"
    )
    epochs, steps = ahead.settings.num_train_epochs, fmt.count(ahead.steps, "step")
    duration = (
        f"{epochs:g} {'pass' if epochs == 1 else 'passes'}",
        f"over your examples (epochs), {steps} in all",
    )
    if ahead.settings.max_steps > 0:
        duration = steps, "then training ends (maximum steps)"
    reasons = {**why, **dict.fromkeys(by_hand, "You changed this.")}
    facts = TrainSettings.facts()
    lines = [
        (facts[name].label, reason, "")
        for name, reason in reasons.items()
        if name in facts
    ]
    memory, bar = ("will be measured", "memory"), components.EMPTY
    if ahead.memory_mib:
        of_memory = f"of {fmt.size(ahead.available_mib)} memory, {memory_how}"
        memory, bar = (
            (fmt.size(ahead.memory_mib), of_memory),
            _memory(ahead, memory_how),
        )
    return [
        components.facts([duration, memory]),
        bar,
        components.rows(_plan_lines(ahead)),
        components.fold("Why these settings", components.rows(lines))
        if lines
        else components.EMPTY,
        components.text(ahead.export, "small"),
    ]


def _memory(ahead: Plan, memory_how: str) -> Markup:
    """The needed memory against what the computer has; folded, part by part: what it
    is, and its formula's source.
    """
    how = (
        "The total is measured, its parts are estimated."
        if ahead.memory_measured
        else "Estimated, part by part."
    )
    sizes = sorted(ahead.memory_parts.items(), key=lambda part: -part[1])
    parts = ((PARTS.get(name, (name, "")), mib) for name, mib in sizes if mib >= 0.05)
    rows = [(name, fmt.size(mib), source) for (name, source), mib in parts]
    uses = components.fold(
        "What uses the memory",
        components.text(how, "small"),
        components.rows(rows),
        key="memory",
    )
    label = f"Needs {fmt.size(ahead.memory_mib)} of {fmt.size(ahead.available_mib)} memory, {memory_how}."
    return (
        components.memory_bar(
            memory_parts(ahead.memory_parts), ahead.available_mib, label
        )
        + uses
    )


def _general(ahead: Plan, demo: bool) -> list[tuple[bool, str]]:
    """What becomes of everything but the task, with the switch for it; nothing for DPO,
    nor in a demo without it.
    """
    if ahead.settings.trainer == "dpo" or (demo and not ahead.general_rows):
        return []
    if ahead.general_rows:
        trained = fmt.count(ahead.general_rows, "everyday question")
        took = (
            sum(ahead.seconds) / 2 * ahead.settings.keep_general if ahead.seconds else 0
        )
        of_it = f", about {fmt.rough(took)} of the time" if took else ""
        says = f"Messages about other things get an ordinary answer: up to {trained} are trained too{of_it}."
        switch = components.button("Train only this task", "general", "off")
    else:
        says = "Messages about other things are answered as if they were this task."
        switch = components.button("Keep the rest", "general", "on")
    return [(bool(ahead.general_rows), Markup("{} {}").format(says, switch))]


def _plan_lines(ahead: Plan) -> list[tuple[str, str, str]]:
    settings = ahead.settings
    what, term = fmt.METHODS[settings.method]
    if settings.method != "full":
        term += f", rank {settings.lora_rank}, alpha {settings.lora_alpha}"
    batch, batches = (
        settings.per_device_train_batch_size,
        settings.gradient_accumulation_steps,
    )
    length = "tokens not counted yet"
    if ahead.longest:
        learned, longest = fmt.number(ahead.learned_tokens), fmt.number(ahead.longest)
        length = f"{learned} tokens to learn, {longest} in the longest"
    best = (
        "the best version is saved (early stopping)"
        if settings.early_stopping and ahead.chooses
        else ""
    )
    measured = []
    if ahead.memory_measured_mib and ahead.memory_computed_mib:
        off = 100 * (ahead.memory_measured_mib / ahead.memory_computed_mib - 1)
        estimate = f"estimate: {fmt.size(ahead.memory_computed_mib)}, {off:+.0f}%; the larger one counts"
        measured = [
            (
                "Memory measured on your longest examples",
                fmt.size(ahead.memory_measured_mib),
                estimate,
            )
        ]
    return [
        ("Model", ahead.model_name, ""),
        ("Examples", ahead.data_name, length),
        *(
            [("Learns", *_GOALS[settings.trainer])]
            if ahead.has_pairs or settings.trainer == "dpo"
            else []
        ),
        ("What is trained", what, term),
        (
            "Examples per step",
            str(settings.effective_batch),
            f"effective batch size, {batch} x {batches}",
        ),
        (
            "Learning rate",
            fmt.setting(settings.learning_rate),
            f"{settings.lr_scheduler_type} schedule",
        ),
        ("Checks along the way", fmt.count(ahead.evaluations, "check"), best),
        *measured,
    ]
