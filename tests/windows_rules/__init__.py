"""A plugin for pytest that imitates Windows' rules for files on Linux: `python start.py
test -p tests.windows_rules`.

rules.py    the rules
site/       for the processes that tests start
"""

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.windows_rules import rules

SITE = Path(__file__).parent / "site"


def pytest_configure() -> None:
    if sys.platform != "linux":
        raise pytest.UsageError("Windows' rules are imitated on Linux only.")
    if (
        rules.VARIABLE in os.environ
    ):  # a process of pytest-xdist, where sitecustomize.py did it
        return
    descriptor, log = tempfile.mkstemp(prefix="windows-rules-", suffix=".jsonl")
    os.close(descriptor)
    os.environ.update(environment(Path(log)))
    rules.install()


def environment(log: Path) -> dict[str, str]:
    """The variables with which a new Python process keeps the rules. log: gets a line
    for each breach.
    """
    paths = [os.fspath(SITE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        rules.VARIABLE: f"{os.getpid()}:{log}",
        "PYTHONPATH": os.pathsep.join(paths),
    }


def breaches() -> Counter[str]:
    """How often each place of the program broke which rule, in all processes so far."""
    log = Path(os.environ[rules.VARIABLE].partition(":")[2])
    return Counter(
        "{place}: {why}".format_map(json.loads(line))
        for line in log.read_text("utf-8").splitlines()
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the session on a breach: the program may have caught the error."""
    if (
        "PYTEST_XDIST_WORKER" not in os.environ
        and breaches()
        and session.exitstatus == pytest.ExitCode.OK
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    terminalreporter.section(
        f"Windows' rules for files: broken in {len(breaches())} places"
    )
    for breach, count in breaches().most_common():
        terminalreporter.line(f"{count:5} x {breach}")
