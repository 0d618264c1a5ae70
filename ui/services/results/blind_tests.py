"""Blind tests of trained models: made from the latest evaluation, stored in the run's
folder, voted on.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path

from backend.errors import BadInput, RunProblem
from backend.evaluation.blind_test import VOTES, BlindTest, Outcome, Question, new_test
from backend.files.json_file import write_json
from backend.records.base import file_version, read_record
from jobs.runner import Runner
from ui.services.results.evaluations import EvaluationService

FILE = "blind_test.json"  # in the run's folder

log = logging.getLogger(__name__)


class BlindTestService:
    """Each run has one blind test at a time. Which side is whose stays here until the
    test has ended.
    """

    def __init__(self, runner: Runner, evaluations: EvaluationService) -> None:
        self._runner, self._evaluations = runner, evaluations
        self._lock = threading.Lock()

    def systems(self, run_id: str) -> list[str]:
        """The systems that answered the questions of the run's latest evaluation; none
        without a readable one.
        """
        with suppress(RunProblem):  # the evaluation's own card reports it
            report = self._evaluations.latest_report(run_id)
            return list(report.systems) if report else []
        return []

    def start(self, run_id: str, first: str, second: str) -> None:
        """Starts a test between two systems, in place of the one before. Raises
        BadInput unless both answered in the latest evaluation, differ, and differed in
        an answer.
        """
        report = self._evaluations.latest_report(run_id)
        if report is None:
            raise BadInput(
                "There are no answers to choose between.",
                "This model was not checked.",
                "Check it first.",
            )
        if first == second or not {first, second} <= report.systems.keys():
            raise BadInput("Choose two different ones to compare.")
        test = new_test(report.answers, (first, second), secrets.randbits(64))
        with self._lock:
            self._write(run_id, test)

    def state(self, run_id: str) -> Question | Outcome | None:
        """The question to answer, or how the test ended; None without a test."""
        test = self._read(run_id)
        return test.state if test else None

    def outcome(self, run_id: str) -> Outcome | None:
        """How the run's test ended; None without a test, and while it goes on."""
        state = self.state(run_id)
        return state if isinstance(state, Outcome) else None

    def change_token(self, run_id: str) -> Hashable:
        """Differs whenever the test has changed."""
        return file_version(self._path(run_id))

    def vote(self, run_id: str, at: int, vote: str) -> None:
        """Answers the question with number `at`; nothing happens if it is not the
        current one (a second click). Raises BadInput for another vote than "left",
        "right" and "same".
        """
        valid = next((choice for choice in VOTES if choice == vote), None)
        if valid is None:
            raise BadInput("That is not one of the choices.")
        self._change(run_id, lambda test: test.voted(at, valid))

    def undo(self, run_id: str, at: int) -> None:
        """Takes back the vote before question `at`, if that is the current one."""
        self._change(run_id, lambda test: test.undone(at))

    def end(self, run_id: str) -> None:
        """Ends the test before its last question."""
        self._change(run_id, BlindTest.ended)

    def _change(self, run_id: str, change: Callable[[BlindTest], BlindTest]) -> None:
        with self._lock:
            test = self._read(run_id)
            if test is not None and (changed := change(test)) is not test:
                self._write(run_id, changed)

    def _path(self, run_id: str) -> Path:
        return self._runner.folder(run_id) / FILE

    def _read(self, run_id: str) -> BlindTest | None:
        """The stored test; None without one, and for a damaged one, which the next one
        replaces.
        """
        path = self._path(run_id)
        try:
            return read_record(BlindTest, path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as why:
            log.warning("%s can't be read: %s", path, why)
            return None

    def _write(self, run_id: str, test: BlindTest) -> None:
        try:
            write_json(self._path(run_id), test.model_dump(mode="json"))
        except OSError as why:
            raise RunProblem(
                "Your choice could not be saved.",
                f"The system reports: {why}.",
                "Try again.",
            ) from why
