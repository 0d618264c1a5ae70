"""How each format is made, checked and described."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from backend.export import (
    checks,
    gguf_files,
    merged_model,
    model_card,
    page_to_give,
    programs,
    script,
)
from backend.export.formats import PAGE
from backend.export.source import Source
from backend.export.target import Target
from backend.models import causal_lm, model_folder
from backend.models.local import is_local
from backend.records.exports import CHECK_FIELDS, ExportFile, ExportResult
from backend.work import Report

log = logging.getLogger(__name__)

CHECKS_FILE = "CHECKS.json"  # beside the files, or in their folder


class Maker(NamedTuple):
    """How one format, or all GGUF types, are exported."""

    make: Callable[[Source, Target, Report], list[ExportFile]]
    checks: tuple[
        Callable[[Source, Target, list[ExportFile], Report], ExportResult], ...
    ]  # of these files
    finish: Callable[
        [Source, Target, ExportResult], ExportResult
    ]  # adds the programs to use them with


def make(source: Source, target: Target, report: Report) -> ExportResult:
    """Make the files of one format in `target.place`, and check them. Raises NotEnough,
    MissingPart, ExportFailed.
    """
    maker = MAKERS.get(target.to, GGUF)
    files, result = maker.make(source, target, report), ExportResult()
    for number, check in enumerate(maker.checks):
        report("Checking", number, len(maker.checks))
        checked = check(source, target, files, report)
        for failed in (
            outcome for outcome in checked.all_checks() if outcome.ok is False
        ):
            # Without the texts of checks, which may repeat examples: people send the
            # log.
            numbers = {
                name: value for name, value in failed if isinstance(value, int | float)
            }
            log.error("a check failed: %s %s", failed.sentence, numbers)
        result = result.joined(checked)
        if result.merge and not result.merge.ok and not target.wide:
            # 16 bits lose too much of what was learned, as after a short training run.
            return make(source, replace(target, wide=True), report)
    result = maker.finish(source, target, result)
    if result.programs:
        _describe(source, target, files, result)
    return result


def _describe(
    source: Source, target: Target, files: list[ExportFile], result: ExportResult
) -> None:
    """Write where the files can be used, and the results of their checks, into their
    folder or beside them. Without the answers of GGUF files, which may repeat examples:
    these files are uploaded and passed on.
    """
    inside = target.place / files[0].name
    folder, prefix = (
        (inside, "") if inside.is_dir() else (target.place, f"{target.name}-")
    )
    text = programs.as_text(result.programs, source.system_message)
    (folder / f"{prefix}{programs.FILE}").write_text(text, "utf-8", "replace")
    # JSON as text, unlike JSON values, has null for numbers that are not finite.
    answers = {"smoke": {"__all__": {"text"}}}
    text = result.model_dump_json(
        indent=2, exclude_unset=True, include=set(CHECK_FIELDS), exclude=answers
    )
    (folder / f"{prefix}{CHECKS_FILE}").write_text(text + "\n", "utf-8", "replace")


def _adapter(source: Source, target: Target, report: Report) -> list[ExportFile]:
    report("Saving", 0, 2)
    folder = target.place / f"{target.name}-adapter"
    shutil.copytree(source.learned, folder)
    model_folder.make_portable(folder, source.run.model.id)
    card = model_card.card(
        source.run, "adapter", target.name, source.instruction, source.requested.scores
    )
    (folder / model_card.FILE).write_text(card, "utf-8")
    return [ExportFile(name=folder.name, bytes=model_folder.weight_bytes(folder))]


def _for_adapter(source: Source, target: Target, result: ExportResult) -> ExportResult:
    base = source.run.model
    guides = programs.for_adapter(
        target.name, base.id, source.system_message, causal_lm.key_mapping(base.path)
    )
    return result.joined(ExportResult(programs=tuple(guides)))


def _for_merged(source: Source, target: Target, result: ExportResult) -> ExportResult:
    guides = programs.for_merged(
        target.name, source.system_message, causal_lm.key_mapping(target.merged)
    )
    return result.joined(ExportResult(programs=tuple(guides)))


def _for_script(source: Source, target: Target, result: ExportResult) -> ExportResult:
    model_id = source.run.model.id
    return result.joined(
        ExportResult(
            programs=tuple(programs.for_script("" if is_local(model_id) else model_id))
        )
    )


MAKERS = {
    "adapter": Maker(_adapter, (checks.tokens,), _for_adapter),
    "merged": Maker(
        merged_model.make, (merged_model.check, checks.tokens), _for_merged
    ),
    "script": Maker(script.make, (script.check,), _for_script),
    PAGE: Maker(
        page_to_give.make,
        (merged_model.check, gguf_files.check, page_to_give.check),
        page_to_give.finish,
    ),
}
GGUF = Maker(gguf_files.make, (merged_model.check, gguf_files.check), gguf_files.finish)
