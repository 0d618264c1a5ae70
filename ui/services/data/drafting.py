"""Examples made from a text, a table or a topic: drafts to keep, change or drop, one at
a time.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

from backend.chat.client import Chat
from backend.datasets.background import BackgroundTask, BackgroundTasks
from backend.datasets.documents.passages import sentences
from backend.datasets.editing import Editor
from backend.datasets.stored_files import RecentCache
from backend.drafts import templates, writer
from backend.drafts.draft import YOURS, Draft, as_row
from backend.drafts.log import (
    DROPPED,
    FILE,
    Log,
    Wording,
    next_draft,
    read_log,
    write_log,
)
from backend.drafts.templates import Column
from backend.errors import BadInput, NotInDemo
from backend.hosting.policy import Policy, require_rows
from backend.records.units import MIB
from backend.settings import Workspace
from backend.text.conversation import question as question_of
from ui.records.data import Making, Material
from ui.services.data.edited_examples import LONGEST
from ui.services.data.imports import DatasetImports
from ui.services.machine.models import ModelService

_WORDING, _NAMES = (
    2_000,
    12,
)  # characters of a way of asking with its answer, and names in them
_ROUNDS = 12  # of questions about a topic
_ADDED = "decided added "  # and the name of a file, in the log


class DraftingService:
    """The drafts are computed from the text and the log of decisions; what is kept
    becomes an edit like any other. cores: called before each answer of a model; how
    many it may use.
    """

    def __init__(
        self,
        workspace: Workspace,
        imports: DatasetImports,
        models: ModelService,
        policy: Policy,
        cores: Callable[[], int],
    ) -> None:
        self._imports, self._models, self._policy = imports, models, policy
        self._store, self._editor = imports.store, Editor(imports.store)
        self._materials: RecentCache[Material] = RecentCache()
        self.discard = self._materials.discard
        self._tasks, self._deciding = BackgroundTasks(), threading.Lock()
        self.open_chat: Callable[[], Chat] = partial(
            Chat, workspace, cores, log_file=workspace.cache / "drafts.log"
        )

    def import_material(self, source: Path | str, name: str, model_id: str = "") -> str:
        """Starts to read a file, a pasted text or a topic in the background and returns
        the data id.
        """
        return self._imports.add(
            name, model_id, partial(self._store.add, source, name, written=True)
        )

    def add_source(self, data_id: str, source: Path | str, name: str) -> None:
        """Adds a text, a document or a table to make more examples from. Raises
        BadInput, changing nothing.
        """
        if any(
            row.text is not None or row.rejected is not None
            for row in self._store.original(data_id).rows[:1]
        ):
            what, why = (
                "Nothing can be added to these examples.",
                "They are plain texts, or pairs of two answers.",
            )
            raise BadInput(
                what, why, "Untick “Add to the examples that are open”, and try again."
            )
        with self._deciding:
            added = self._store.add_material(data_id, source, name)
            write_log(self._store.folder(data_id), f"{_ADDED}{added}", DROPPED)

    # One draft at a time

    def now(self, data_id: str, wanted: int = 0) -> Making | None:
        """What to decide next, and how far one is; None for examples that are not being
        made. wanted: the number of a passage to ask something else about.
        """
        log, task = self._log(data_id), self._tasks.get(data_id)
        info = self._store.info.read(data_id)
        if not info.written and not info.materials and not log.drafted and task is None:
            return None
        material, drafts, blanks, kept = self._all(data_id, log)
        column = next(
            (column for column in material.columns if column.key not in log.wordings),
            None,
        )
        draft = None if column else next_draft(drafts, log)
        draft = draft or next_draft(
            [] if column else [blank for blank in blanks if not kept[blank.passage]],
            log,
        )
        draft = next((blank for blank in blanks if blank.passage == wanted), draft)
        return Making(
            draft,
            material.passages.get(draft.passage) if draft else None,
            column if draft is None else None,
            kept=kept.total(),
            waiting=sum(each.id not in log.decided for each in drafts),
            passages=len(material.passages),
            covered=len(kept.keys() - {0}),
            again=min(material.passages, key=lambda number: kept[number], default=0),
            last=self._last(data_id, log),
            models=self.models(),
            working=None if task is None or task.ended else (task.phase, task.fraction),
            failed=task.error if task is not None and task.ended else material.lost,
        )

    def keep(self, data_id: str, draft_id: str, question: str, answer: str) -> int:
        """Makes an example of a draft and returns its number; 0 where it was kept
        already. Raises BadInput, changing nothing.
        """
        with self._deciding:
            log = self._log(data_id)
            if log.decided.get(draft_id):  # a skipped passage can still be asked about
                return 0
            if not question.strip() or not answer.strip():
                lacking = "question" if not question.strip() else "answer"
                raise BadInput(
                    f"There is no {lacking} yet.",
                    "",
                    f"Write the {lacking}, then press Keep again.",
                )
            if len(question) + len(answer) > LONGEST:
                raise BadInput(
                    "This example is too long.",
                    f"It has over {LONGEST:,} characters.",
                    "Shorten it.",
                )
            draft, passages = (
                self._find(data_id, draft_id, log),
                self._material(data_id).passages,
            )
            passage = passages.get(draft.passage)
            log_kept = partial(
                write_log, self._store.folder(data_id), f"decided {draft_id}"
            )
            self._require_rows(data_id, 1)
            self._editor.add_together(
                data_id, [as_row(draft, passage, question, answer)], log_kept
            )
            return self._store.original(data_id).highest

    def drop(self, data_id: str, draft_id: str) -> None:
        """Decides that a draft is no example, or that there is nothing to ask about a
        passage. Raises BadInput.
        """
        with self._deciding:
            log = self._log(data_id)
            if draft_id not in log.decided:
                self._find(data_id, draft_id, log)
                write_log(self._store.folder(data_id), f"decided {draft_id}", DROPPED)

    def undo(self, data_id: str) -> int:
        """Takes the last decision back. Returns the passage that the person had asked
        about, or 0. Raises BadInput.
        """
        with self._deciding:
            log = self._log(data_id)
            if not (last := self._last(data_id, log)):
                raise BadInput("There is nothing to undo.")
            if log.order[last]:
                self._editor.undo(data_id)
            if last.startswith(_ADDED):
                before = self._material(data_id).passages.keys()
                left = {
                    at: name
                    for at, name in self._store.info.read(data_id).materials.items()
                    if at not in last
                }
                self._store.info.update(
                    data_id, lambda info: replace(info, materials=left)
                )
                for gone in (
                    before - self._material(data_id).passages.keys()
                ) & log.looked_at:
                    write_log(
                        self._store.folder(data_id), f"drafted {gone}", None
                    )  # another source gets its number
                (self._store.folder(data_id) / last.removeprefix(_ADDED)).unlink(
                    missing_ok=True
                )
            write_log(self._store.folder(data_id), last, None)
        return int(last.split()[2]) if last.startswith(f"decided {YOURS}") else 0

    def word(
        self, data_id: str, key: str, ways: Sequence[str], answer: str, at_once: bool
    ) -> None:
        """Asks about a column of a table. Raises BadInput.

        ways: of asking; none to leave the column out
        at_once: keeps all rows, which are decided one by one otherwise
        """
        with self._deciding:
            material, ways = (
                self._material(data_id),
                tuple(filter(None, map(str.strip, ways))),
            )
            column = next(
                (column for column in material.columns if column.key == key), None
            )
            if column is None or key in self._log(data_id).wordings:
                return
            _require_wording(column, ways, answer, self._policy.limits.upload * MIB)
            self._require_rows(data_id, len(ways) * len(column.rows))
            drafts = templates.from_column(column, ways, answer) if at_once else []
            made = [
                as_row(
                    each, material.passages[each.passage], each.question, each.answer
                )
                for each in drafts
            ]

            def log_kept(edit: str) -> None:
                write_log(
                    self._store.folder(data_id),
                    f"worded {key}",
                    Wording(ways, answer, edit),
                )

            if made:
                self._editor.add_together(data_id, made, log_kept)
            else:
                log_kept(DROPPED)

    # Drafts by a model

    def models(self) -> tuple[tuple[str, str], ...]:
        """The id and the name of each chat model that can draft here, the largest
        first.
        """
        ready = (
            []
            if self._policy.demo
            else map(self._models.entry, self._models.available())
        )
        return tuple(
            (it.id, it.name)
            for it in sorted(ready, key=lambda it: (-it.parameters, it.id))
        )

    def begin(self, data_id: str, model_id: str) -> None:
        """Starts to draft questions with a chat model on this computer. Raises
        NotInDemo, MissingPart, BadInput.
        """
        if self._policy.demo:
            raise NotInDemo(
                "Models don't draft questions in this demo.",
                "Many people share this server.",
                "",
            )
        model, name = (
            self._models.reference(model_id),
            self._models.entry(model_id).name,
        )
        if set(self._tasks.running()) - {data_id}:
            raise BadInput(
                "A model is drafting for other examples.",
                "Two need twice the memory.",
                "Stop it first.",
            )
        self._tasks.start(
            data_id,
            name,
            lambda task: self._draft(task, data_id, Path(model.path), name),
        )

    def _draft(
        self, task: BackgroundTask, data_id: str, model: Path, name: str
    ) -> None:
        task.start_phase(f"Loading {name}")
        chat, folder, log = (
            self.open_chat(),
            self._store.folder(data_id),
            self._log(data_id),
        )
        material, seen = (
            self._material(data_id),
            [question_of(row) for row in self._store.original(data_id).rows],
        )
        left = [
            it
            for n, it in material.passages.items()
            if n not in log.looked_at and not it.table
        ]
        try:
            chat.open(model)
            ask, update = (
                writer.asking(chat, task.cancelled),
                task.start_phase(f"{name} drafts questions"),
            )
            if left:
                for done, (passage, drafts) in enumerate(
                    writer.draft_all(ask, left, name, task.cancelled, seen), 1
                ):
                    write_log(folder, f"drafted {passage.number}", drafts)
                    update(done / len(left))
                return
            for done in range(_ROUNDS):
                drafts = (
                    []
                    if task.cancelled()
                    else writer.more(ask, material.topic, seen, name)
                )
                if not (drafts or done or task.cancelled()):
                    raise writer.no_use(name)
                seen += (draft.question for draft in drafts)
                write_log(folder, "drafted 0", drafts)
                update((done + 1) / _ROUNDS)
        finally:
            chat.close()

    def stop(self, data_id: str = "") -> None:
        """Stops the model, of one dataset or of all; what it has drafted stays."""
        for key in [data_id] if data_id else self._tasks.running():
            if task := self._tasks.get(key):
                task.cancel()

    def change_token(self, data_id: str) -> Hashable:
        """Differs whenever `now` may return something new."""
        task, path = (
            self._tasks.get(data_id),
            self._store.folder(data_id or "none") / FILE,
        )
        size = path.stat().st_size if path.is_file() else 0
        return size, task and (task.phase, int(100 * task.fraction), task.ended)

    def _material(self, data_id: str) -> Material:
        """What examples are made from, and the drafts without a model."""
        info = self._store.info.read(data_id)
        key = (data_id, *info.materials)
        if (material := self._materials.get(key)) is None:
            passages = self._store.material(data_id)
            gone = ", ".join(
                sorted({*info.materials.values()} - {it.source for it in passages})
            )
            why = "The examples that were made from it stay."
            lost = BadInput(
                f"{gone} can't be read any more.",
                why,
                "Add it again to ask more about it.",
            )
            named = [
                it
                for it in passages
                if it.text.split() == (it.source or info.name).split()
            ]
            topics = [it for it in named if len(sentences(it.text)) == 1]
            topic, numbers = (
                "\n".join(it.text for it in topics),
                {it.number for it in topics},
            )
            passages = [it for it in passages if it.number not in numbers]
            make = partial(templates.without_model, passages, topic)
            drafts, columns = self._store.compute(
                data_id, make, sum(len(it.text) for it in passages)
            )
            by_number = {each.number: each for each in passages}
            material = Material(
                drafts, columns, by_number, topic, lost if gone else None
            )
            self._materials.put(key, material, len(passages))
        return material

    def _all(
        self, data_id: str, log: Log
    ) -> tuple[Material, list[Draft], list[Draft], Counter[int]]:
        """The material, all drafts, one of the person's own for each passage, and the
        kept examples of each.
        """
        material = self._material(data_id)
        kept = Counter(row.passage for row in self._store.original(data_id).rows)
        single = [
            (each, log.wordings[each.key])
            for each in material.columns
            if each.key in log.wordings
        ]
        drafts = [*material.drafts, *log.drafted]
        for column, wording in single:
            drafts += (
                []
                if wording.edit
                else templates.from_column(column, wording.ways, wording.answer)
            )
        blanks = []
        for n in material.passages:
            ids = (
                f"{YOURS} {n} {number}" for number in count(kept[n])
            )  # of which some may be of deleted examples
            blanks.append(
                Draft(next(each for each in ids if not log.decided.get(each)), YOURS, n)
            )
        return material, drafts, blanks, kept

    def _find(self, data_id: str, draft_id: str, log: Log) -> Draft:
        _, drafts, blanks, _ = self._all(data_id, log)
        for draft in (*drafts, *blanks):
            if draft.id == draft_id:
                return draft
        raise BadInput("This draft is no longer here.", "", "Reload the page.")

    def _log(self, data_id: str) -> Log:
        return read_log(
            self._store.folder(data_id), self._store.info.read(data_id).edits
        )

    def _last(self, data_id: str, log: Log) -> str:
        """What was decided last, as in `Log.order`, if that can be undone; else ""."""
        last, edit = next(reversed(log.order.items()), ("", ""))
        return (
            last
            if not edit or self._store.info.read(data_id).edits[-1:] == [edit]
            else ""
        )

    def _require_rows(self, data_id: str, more: int) -> None:
        require_rows(
            len(self._store.original(data_id).rows) + more, self._policy.limits.rows
        )


def _require_wording(
    column: Column, ways: Sequence[str], answer: str, most: float
) -> None:
    """Raises BadInput for a wording that can't be filled in, and for one that makes too
    much of a row, or of all rows more than `most` characters.
    """
    texts, fields = (
        [f"{way}\n{answer}" for way in ways or [""]],
        {"row", "cell"}.union(*(r.cells for r in column.rows)),
    )
    if len(ways) > len(column.ways) or any(
        len(text) > _WORDING or text.count("{") > _NAMES for text in texts
    ):
        raise BadInput(
            "This wording is too long.",
            f"It may have {_WORDING:,} characters.",
            "Shorten it.",
        )
    if templates.filled_size(column, ways, answer) > most:
        raise BadInput(
            "These examples would be too large.",
            "They repeat long cells.",
            "Use fewer columns in braces.",
        )
    unknown = sorted(templates.names_in("\n".join(texts)) - {"column"} - fields)
    if unknown or not all(templates.names_in(way) - {"column"} for way in ways):
        what = (
            f"{{{unknown[0]}}} is no column of yours."
            if unknown
            else "Each way of asking needs a column in braces."
        )
        only = f"Only the names of your columns can be filled in, such as {{{column.subject}}}."
        raise BadInput(what, only, "Correct the names in braces.")
