"""The command line: its options, and how answers and errors are printed.

Each command takes `--json` for one JSON document on stdout (messages go to stderr) and
exits with 0 on success, 1 if the input is at fault, 2 for wrong usage. The commands are
in the other modules of this package, by subject.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from backend.errors import ApprenticeError, BadUsage
from backend.settings import HOME_VARIABLE, PROGRAM, Workspace
from ui.cli import (
    data_commands,
    machine_commands,
    model_commands,
    result_commands,
    run_commands,
    share_commands,
)
from ui.cli.output import (
    INTERRUPTED,
    Answer,
    Command,
    OutputClosed,
    print_answer,
    print_error,
    say,
    write,
)

log = logging.getLogger(__name__)

SUCCESS, FAILURE, USAGE = 0, 1, 2
OUTPUT_CLOSED = 141  # what a shell reports for a program that SIGPIPE ended


class Parser(argparse.ArgumentParser):
    """Raises BadUsage instead of exiting, so that --json holds for wrong usage too."""

    def error(self, message: str) -> NoReturn:
        write(sys.stderr, self.format_usage())
        raise BadUsage(
            f"{message[:1].upper()}{message[1:]}.", "", f"See: {self.prog} --help"
        )

    def print_help(self, file: Any = None) -> None:
        write(file or sys.stdout, self.format_help())


def main(arguments: Sequence[str] | None = None, serve: Command | None = None) -> int:
    """Run one command; returns the exit code. serve: the command that opens the page;
    None where there is no page.
    """
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments), serve)
    except OutputClosed:
        return OUTPUT_CLOSED


def _run(arguments: list[str], serve: Command | None) -> int:
    try:
        options = make_parser(serve).parse_args(arguments)
    except BadUsage as error:
        print_error(error, "--json" in arguments)
        return USAGE
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        workspace = Workspace.open(options.workspace)
        os.environ[HOME_VARIABLE] = str(workspace.root)
        answer: Answer = options.command(options, workspace)
    except ApprenticeError as error:
        print_error(error, options.json)
        return USAGE if isinstance(error, BadUsage) else FAILURE
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED
    except OutputClosed:
        raise
    except Exception:
        write(sys.stderr)  # raises OutputClosed if that was the reason
        log.debug("unexpected error", exc_info=True)
        print_error(_unexpected(options.workspace), options.json)
        return FAILURE
    print_answer(answer, options.json)
    return answer.exit_code


def _unexpected(workspace: Path | None) -> ApprenticeError:
    """The error for an exception that nobody expected; its traceback goes to
    WORKSPACE/error.log if possible.
    """
    import traceback

    where, then = (
        "It was not recorded.",
        "Please report it, and say what you did before it happened.",
    )
    try:
        path = Workspace.open(workspace).root / "error.log"
        with path.open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc() + "\n")
        where, then = (
            f"The technical details are in {path}.",
            "Please report it with that file.",
        )
    except (ApprenticeError, OSError):
        log.debug("no error log", exc_info=True)
    return ApprenticeError("Something unexpected went wrong.", where, then)


def make_parser(serve: Command | None = None) -> argparse.ArgumentParser:
    parser = Parser(
        prog=PROGRAM, description="Apprentice: teach a small language model your way."
    )
    _add_common_options(parser)
    _add_serve_options(parser)
    parser.set_defaults(command=serve)
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=serve is None
    )

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=text, description=text)
        _add_common_options(
            sub, default=argparse.SUPPRESS
        )  # keeps what was typed before the command's name
        sub.set_defaults(command=command)
        return sub

    if serve:
        _add_serve_options(add("serve", serve, "open the page"), argparse.SUPPRESS)
    for group in (
        data_commands,
        model_commands,
        machine_commands,
        run_commands,
        result_commands,
        share_commands,
    ):
        group.add_commands(add)
    return parser


def _add_common_options(parser: argparse.ArgumentParser, **default: Any) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document", **default
    )
    where = f"where everything is stored (or ${HOME_VARIABLE})"
    parser.add_argument("--workspace", type=Path, metavar="DIR", help=where, **default)


def _add_serve_options(parser: argparse.ArgumentParser, default: Any = None) -> None:
    parser.add_argument(
        "--port",
        type=int,
        default=default,
        help="of the page (default: 7860 or the next free one)",
    )
    parser.add_argument(
        "--host",
        default=default,
        help="default 127.0.0.1; another needs $APPRENTICE_PASSWORD",
    )
    parser.add_argument(
        "--hardware",
        type=Path,
        default=default,
        metavar="FILE",
        help="show another machine",
    )
    parser.add_argument(
        "--no-browser",
        action="store_true",
        default=default or False,
        help="do not open a browser",
    )
