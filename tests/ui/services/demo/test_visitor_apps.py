"""The services of a demo's visitors: apart, limited, deleted when they expire; their
chats share a few seats.
"""

import gzip
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from backend.datasets import store
from backend.datasets.dataset import CheckedDataset
from backend.datasets.stored_files import run_here
from backend.errors import ApprenticeError, NotInDemo, NotYet
from backend.hardware import container
from backend.hosting.policy import DEMO, Limits, Policy
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.settings import Workspace
from jobs.records import State
from tests.jobs.conftest import FOREVER, until
from tests.workers import end_workers
from ui.services.app import App
from ui.services.demo import visitor_apps
from ui.services.demo.visitor_apps import VisitorApps
from ui.services.results.chat import ChatSeats, ChatSession

pytestmark = pytest.mark.usefixtures("noop_kind")
Made = Callable[..., VisitorApps]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Made]:
    """A demo with these limits instead of the usual ones."""
    found: list[VisitorApps] = []

    def making(**limits: float) -> VisitorApps:
        policy = Policy(True, DEMO.off, Limits(**limits)) if limits else DEMO  # type: ignore[arg-type]
        found.append(VisitorApps(Workspace.open(tmp_path / "workspace"), policy))
        return found[-1]

    yield making
    for apps in found:
        for visitor in apps.visitors.all():
            end_workers(Workspace(apps.visitors.folder(visitor)))
        apps.close()


def visitor_of(apps: VisitorApps) -> str:
    visitor = apps.visitors.of_key(apps.visitors.new_key())
    assert visitor
    return visitor


def visit(apps: VisitorApps) -> App:
    return apps.app(visitor_of(apps))


def submit(app: App, steps: int = 3000) -> str:
    return app.runner.submit("noop", {**FOREVER, "steps": steps}, "")


def test_what_one_visitor_has_but_the_models_does_not_exist_for_another(
    make: Made,
) -> None:
    apps = make()
    first, second = visit(apps), visit(apps)
    job = submit(first)
    for use in (
        second.runner.job,
        second.runner.stop,
        second.runner.resume,
        second.runner.delete,
    ):
        with pytest.raises(ApprenticeError, match="no run"):
            use(job)
    assert first.runner.job(job).state is State.QUEUED
    assert second.runner.jobs() == []
    assert (
        first.workspace.models.resolve()
        == second.workspace.models.resolve()
        == apps.base.workspace.models
    )
    assert first.workspace.cache.resolve() != second.workspace.cache.resolve()


def test_on_windows_the_shared_folders_are_junctions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "_winapi", winapi := Mock())
    monkeypatch.setattr(visitor_apps.sys, "platform", "win32")
    visitor_apps._link(Path("folder"), Path("models"))
    winapi.CreateJunction.assert_called_once_with("models", "folder")


def test_what_is_off_is_refused_by_the_services_themselves(make: Made) -> None:
    app, model = visit(make()), "HuggingFaceTB/SmolLM2-135M-Instruct"
    uses = ((app.downloads.start, model), (app.downloads.cancel, model), (app.downloads.save_token, "hf_x"),
            (app.downloads.delete_token,), (app.models.probe_again,), (app.remove_model, model),
            (app.model_imports.add, Path("x.zip")))  # fmt: skip
    for use, *given in uses:
        with pytest.raises(NotInDemo) as refused:
            use(*given)
        assert "own computer" in refused.value.next
    for model_id in ("../../etc", "somebody/model", "local/here"):
        with pytest.raises(ApprenticeError):
            app.models.reference(model_id)


def test_a_visitor_waits_with_few_jobs_and_the_queue_is_bounded(make: Made) -> None:
    apps = make(waiting=2, queue=3)
    first, second = visit(apps), visit(apps)
    jobs = [submit(first), submit(first)]
    with pytest.raises(NotInDemo):
        submit(first)
    first.runner.stop(jobs[1])
    with pytest.raises(NotInDemo):
        [submit(first), first.runner.resume(jobs[1])]
    apps._queue.tick()
    submit(second)
    apps._queue.tick()
    with pytest.raises(NotInDemo):
        submit(second)


def test_too_many_examples_are_refused_and_nothing_of_them_is_stored(
    make: Made,
) -> None:
    app = visit(make(rows=3))
    rows = "question,answer\n" + "".join(f"q{n},a{n}\n" for n in range(4))
    data_id = app.datasets.import_text(rows)

    def error() -> ApprenticeError | None:
        progress = app._imports.progress(data_id, "")
        return progress.error if progress else None

    until(error)
    assert isinstance(error(), NotInDemo)
    assert app.datasets.all() == []


def test_many_at_once_get_no_more_places_than_there_are(make: Made) -> None:
    apps = make(waiting=2, queue=3)
    visitors = [visit(apps) for _ in range(4)]
    at_once = threading.Barrier(12)

    def try_to(app: App) -> None:
        at_once.wait(20)
        with suppress(NotInDemo):
            submit(app)

    with ThreadPoolExecutor(12) as threads:
        [*threads.map(try_to, visitors * 3)]
    jobs = [len(app.runner.jobs()) for app in visitors]
    assert sum(jobs) == 3, jobs
    assert max(jobs) <= 2, jobs


def test_a_visitor_has_one_file_read_at_a_time_and_no_long_wait(
    make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, ended = visit(make()), threading.Event()
    read = app.dataset_store.open
    monkeypatch.setattr(
        app.dataset_store, "open", lambda *a, **k: [ended.wait(20), read(*a, **k)][1]
    )
    app.datasets.import_text("question,answer\nq,a\n")
    with pytest.raises(NotInDemo):
        app.datasets.import_text("question,answer\nx,y\n")
    until(app.datasets.all)
    monkeypatch.setattr(app._imports._waiting, "patience", lambda: nullcontext(0.1))
    with pytest.raises(NotYet):
        app.datasets.checked(app.datasets.all()[0].id)
    ended.set()
    until(lambda: not app._imports._tasks.running())
    app.datasets.import_text("question,answer\nx,y\n")
    until(lambda: len(app.datasets.all()) == 2)


def test_a_packed_file_may_unpack_to_less_than_at_home(make: Made) -> None:
    content = gzip.compress(b"question,answer\n" + 3_000 * (b"q" * 10_000 + b",a\n"))
    assert len(content) < DEMO.limits.upload * 2**20
    app = visit(make(unpacked=20))
    path = app.workspace.root / "big.csv.gz"
    path.write_bytes(content)
    data_id = app.datasets.import_files([path])
    until(lambda: app._imports.progress(data_id, "") is not None)
    progress = app._imports.progress(data_id, "")
    until(
        lambda: bool(progress and progress.error) or not app._imports._tasks.running()
    )
    assert app.datasets.all() == []


def test_everything_of_an_expired_visitor_is_deleted_once_its_job_has_stopped(
    make: Made,
) -> None:
    apps = make(lifetime=3600)
    gone, here = visitor_of(apps), visitor_of(apps)
    app = apps.app(gone)
    apps.app(here)
    job = submit(app)

    def running() -> bool:
        apps._queue.tick()
        return app.runner.job(job).state is State.RUNNING

    until(running)
    os.utime(apps.visitors.folder(gone), (1, 1))
    apps.purge()
    assert apps.visitors.folder(gone).is_dir(), "its job saves first"

    def deleted() -> bool:
        apps._queue.tick()
        os.utime(apps.visitors.folder(gone), (1, 1)) if apps.visitors.folder(
            gone
        ).is_dir() else None
        apps.purge()
        return not apps.visitors.folder(gone).exists()

    until(deleted)
    assert apps.visitors.all() == [here]


def test_one_damaged_folder_does_not_keep_the_others(
    make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = make(lifetime=3600)
    damaged, gone = sorted((visitor_of(apps), visitor_of(apps)))
    for visitor in (damaged, gone):
        apps.app(visitor)
        os.utime(apps.visitors.folder(visitor), (1, 1))
    forget = apps._forget

    def fails(visitor: str) -> None:
        if visitor == damaged:
            raise FileNotFoundError("runs")
        forget(visitor)

    monkeypatch.setattr(apps, "_forget", fails)
    apps.purge()
    assert apps.visitors.all() == [damaged]


def test_old_uploads_are_deleted_but_nobody_who_comes_back_in_time(
    make: Made, tmp_path: Path
) -> None:
    apps, (old, new) = (
        make(lifetime=3600),
        (tmp_path / "uploads" / name for name in ("old", "new")),
    )
    visitor = visitor_of(apps)
    app = apps.app(visitor)
    apps._forget(visitor)
    assert apps.app(visitor) is app
    old.parent.mkdir()
    for path in (old, new):
        path.write_text("{}")
    os.utime(old, (1, 1))
    apps._uploads = old.parent
    apps.purge()
    assert [path.name for path in old.parent.iterdir()] == ["new"]


def test_the_rows_of_who_is_away_are_dropped_from_memory_and_read_again(
    make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = make(lifetime=3600)
    gone, here = (visitor_of(apps) for _ in range(2))
    stores = [apps.app(visitor).dataset_store for visitor in (gone, here)]
    ids = [each.add("Q: Why?\n\nA: So.\n" * 2) for each in stores]
    for each, data_id in zip(stores, ids, strict=True):
        each.open(data_id, None)
    monkeypatch.setitem(apps.visitors._seen, gone, -1e9)
    apps.purge()
    cached = [
        each.cached(data_id, None, UNLIMITED)
        for each, data_id in zip(stores, ids, strict=True)
    ]
    assert [result is not None for result in cached] == [False, True]
    assert stores[0].open(ids[0], None).dataset.rows


def test_checks_of_one_dataset_do_not_pile_up(
    make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = make(lifetime=3600)
    app = apps.app(visitor_of(apps))
    data_id, gate = app.dataset_store.add("Q: Why?\n\nA: So.\n" * 2), threading.Event()
    check = store.check_and_fix

    def slow(*arguments: Any) -> CheckedDataset:
        gate.wait(60)
        return check(*arguments)

    monkeypatch.setattr(store, "check_and_fix", slow)
    monkeypatch.setattr(app.dataset_store.files, "run", run_here)
    asked = [LengthLimits(length) for length in range(64, 84)]
    assert [app._imports.check(data_id, "", lengths, 0.0) for lengths in asked] == [
        None
    ] * 20
    until(lambda: len(app._imports._tasks.running()) < 6)
    gate.set()
    until(lambda: app._imports.check(data_id, "", asked[-1], 0.0) is not None)


def test_after_a_restart_what_waits_is_queued_again(make: Made) -> None:
    before = make()
    visitor = visitor_of(before)
    job = submit(before.app(visitor))
    before.close()
    after = make()
    after.adopt()
    after._queue.tick()
    assert after.app(visitor).runner.job(job).state.is_active


def chat(answering: bool = False) -> Any:
    return Mock(answering=answering)


def test_the_seat_of_who_was_idle_longest_is_taken() -> None:
    seats, (first, second, third) = ChatSeats(2), (chat(), chat(), chat())
    for each in (first, second, first, third):
        seats.take(each)
    assert [
        first.close.call_count,
        second.close.call_count,
        third.close.call_count,
    ] == [0, 1, 0]


def test_an_answer_in_progress_is_never_ended() -> None:
    seats, (busy, idle, third) = ChatSeats(2), (chat(answering=True), chat(), chat())
    for each in (busy, idle, third):
        seats.take(each)
    assert (busy.close.call_count, idle.close.call_count) == (0, 1)
    third.answering = True
    with pytest.raises(NotInDemo):
        seats.take(idle)
    assert (busy.close.call_count, third.close.call_count) == (0, 0)
    seats.leave(busy)
    seats.take(idle)
    assert busy.close.call_count == 0, "it made room"


def test_answers_share_the_cores_that_the_page_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "cores", lambda: 8)
    seats, workspace, training = ChatSeats(4), Workspace.open(tmp_path), [False]
    visitor = ChatSession(workspace, lambda: False, seats)
    seats.take(visitor)
    for answering, cores in ((0, 7), (3, 2)):
        for _ in range(answering):
            seats.take(chat(answering=True))
        assert visitor.cores() == cores
    at_home = ChatSession(workspace, lambda: training[0])
    assert at_home.cores() == 8
    training[0] = True
    assert at_home.cores() == 7
    monkeypatch.setattr(container, "cores", lambda: 1)
    assert at_home.cores() == 1


def test_two_questions_may_be_answered_at_the_same_time(tmp_path: Path) -> None:
    session = ChatSession(Workspace.open(tmp_path), lambda: False)
    with session.question():
        with session.question():
            pass
        assert session.answering, "the first one goes on"
    assert not session.answering


def test_one_address_can_not_fill_the_queue(make: Made) -> None:
    apps = make(queue=4, waiting=9)
    here = [visitor_of(apps) for _ in range(3)]
    for visitor in here:
        apps.visitors.note_address(visitor, "192.0.2.1")
    for visitor in here[:2]:
        submit(apps.app(visitor))
        apps._queue.tick()
    with pytest.raises(NotInDemo, match="your address"):
        submit(apps.app(here[2]))
    submit(visit(apps))


def test_a_new_visitor_gets_the_place_of_one_who_made_nothing(make: Made) -> None:
    apps = make(visitors=2)
    first, second = visitor_of(apps), visitor_of(apps)
    submit(apps.app(first))
    apps.app(second)
    visit(apps)
    assert first in apps.visitors.all()
    assert second not in apps.visitors.all()
