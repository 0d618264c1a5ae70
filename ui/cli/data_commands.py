"""The commands about examples: check, fix, datasets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from backend.datasets.checks.fix import SAFE_FIXES
from backend.datasets.checks.report import summary
from backend.datasets.dataset import CheckedDataset, check_and_fix, require_compatible
from backend.datasets.info import DatasetInfo, RowsByKind
from backend.datasets.read.load import ReadOptions, load
from backend.datasets.stored_files import load_validation
from backend.datasets.token_counts import TokenCounter
from backend.datasets.write_fixed import write_fixed
from backend.errors import BadInput
from backend.records.lengths import LengthLimits
from backend.settings import PROGRAM, Workspace
from ui.cli.model_commands import ready_tokenizer
from ui.cli.options import add_imitate_option, add_validation_option, positive
from ui.cli.output import AddCommand, Answer
from ui.services.app import App
from ui.text import format as fmt


def add_commands(add: AddCommand) -> None:
    checking = add("check", check, "read a file of examples and report every problem in it")
    checking.add_argument("file", type=Path, metavar="FILE")
    checking.add_argument(
        "--model", default=None, metavar="ID", help="check for this model (default: the bundled one)"
    )
    checking.add_argument(
        "--max-tokens", type=positive, default=None, metavar="N", help="longest example that the model will read"
    )
    add_validation_option(checking)
    add_imitate_option(checking)
    fixing = add("fix", fix, "apply fixes; writes clean JSONL and a change log")
    fixing.add_argument("file", type=Path, metavar="FILE")
    fixing.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT")
    fixing.add_argument("--accept", default=None, metavar="KIND,…", help="only these kinds (default: all safe fixes)")
    add_imitate_option(fixing)
    listing = add("datasets", datasets, "list the stored examples, or delete some")
    listing.add_argument("--delete", default=None, metavar="ID", help="delete this dataset; runs keep their own copy")


def check(options: argparse.Namespace, workspace: Workspace) -> Answer:
    found = checked_file(
        options.file,
        workspace,
        options.model,
        options.max_tokens,
        validation=options.validation,
        imitate=options.imitate,
    )
    lines = [
        f"{p.severity}: " + (f"line {p.line}, row {p.row}: " if p.row else "") + p.message
        for p in found.report.problems
    ]
    return Answer(found.report.to_json(), "\n".join([*lines, *summary(found.report)]))


def fix(options: argparse.Namespace, workspace: Workspace) -> Answer:
    accepted = [kind.strip() for kind in options.accept.split(",")] if options.accept else SAFE_FIXES
    fixed = checked_file(
        options.file, workspace, accepted=dict.fromkeys(accepted, "all"), imitate=options.imitate
    ).fixed
    if not fixed.dataset.rows:
        raise BadInput(
            "No examples are left, so nothing was written.",
            f"None in {options.file.name} are usable: {fmt.count(fixed.dropped, 'row')} left out.",
            f"See the problems with: {PROGRAM} check FILE",
        )
    log = write_fixed(fixed, options.output)
    document = {"changed": fixed.changed, "dropped": fixed.dropped, "rows": len(fixed.dataset.rows), "log": str(log)}
    return Answer(document, f"{fixed.changed} rows changed, {fixed.dropped} left out. Change log: {log}")


def datasets(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    if options.delete:
        app.datasets.delete(options.delete)
        return Answer({"deleted": options.delete}, "Deleted. Runs keep their own copy of the examples.")
    stored = app.datasets.all()
    text = "\n".join(f"{one.id}  {one.bytes:>12,} bytes  {one.name}" for one in stored)
    return Answer({"datasets": [vars(one) for one in stored]}, text or "No examples are stored.")


def checked_file(
    path: Path,
    workspace: Workspace,
    model_id: str | None = None,
    max_length: int | None = None,
    accepted: RowsByKind | None = None,
    validation: Path | None = None,
    imitate: Sequence[str] = (),
) -> CheckedDataset:
    """A file checked for a model, with the accepted fixes applied; nothing is stored. max_length: tokens. imitate:
    the people in a chat to learn from."""
    dataset = load(path, options=ReadOptions(imitate=imitate))
    chosen = {"imitate": imitate} if imitate else {}
    validation_set = load_validation(validation, validation.name, chosen) if validation else None
    if validation_set:
        require_compatible(validation_set, dataset)
    app = App(workspace)
    counter = TokenCounter(ready_tokenizer(app, model_id))
    target, info = app.models.target_model(model_id or ""), DatasetInfo(path.name, accepted=accepted or {})
    languages = target.languages if target else ()
    return check_and_fix("", info, dataset, counter, LengthLimits(max_length), validation_set, languages=languages)
