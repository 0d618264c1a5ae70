"""The command line: what can be typed, and how answers and errors are given back.

Each command takes `--json` for one JSON document on stdout (messages go to stderr) and exits 0 when it did what was
asked, 1 when the input is at fault, 2 for wrong usage. The commands themselves are in ui/cli/commands.py.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from backend.errors import ApprenticeError, BadUsage
from backend.settings import HOME_VARIABLE, Workspace
from ui.cli import commands, evaluate_command, machine_commands, rent_command

log = logging.getLogger(__name__)

Command = Callable[[argparse.Namespace, Workspace], commands.Answer]


class Parser(argparse.ArgumentParser):
    """Wrong usage is an error like any other, so that --json holds for it too."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise BadUsage(f"{message[:1].upper()}{message[1:]}.", "", f"See: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = make_parser().parse_args(given)
    except BadUsage as error:
        give_error(error, "--json" in given)
        raise SystemExit(2) from None
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        workspace = Workspace.open(options.workspace)
        os.environ[HOME_VARIABLE] = str(workspace.root)
        answer: commands.Answer = options.command(options, workspace)
    except ApprenticeError as error:
        return give_error(error, options.json)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception:
        log.debug("unexpected error", exc_info=True)
        return give_error(unexpected(options.workspace), options.json)
    if options.json:
        print(json.dumps(answer.document, ensure_ascii=False, indent=1, default=str))
    elif answer.text:
        print(answer.text)
    return answer.exit_code


def unexpected(workspace: Path | None) -> ApprenticeError:
    """The error for what nobody foresaw; the traceback goes to WORKSPACE/error.log, or nowhere if that fails."""
    import traceback

    where = "It was not recorded."
    try:
        path = Workspace.open(workspace).root / "error.log"
        with path.open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc() + "\n")
        where = f"The technical detail is in {path}."
    except (ApprenticeError, OSError):
        log.debug("no error log", exc_info=True)
    return ApprenticeError("Something went wrong that should not have.", where, "Please report it with that file.")


def give_error(error: ApprenticeError, as_json: bool) -> int:
    """Says the error on stderr, with --json also on stdout; gives exit code 1."""
    for sentence in filter(None, (error.what, error.why, error.next)):
        print(sentence, file=sys.stderr)
    if as_json:
        print(json.dumps(error.to_dict(), ensure_ascii=False, indent=1))
    return 1


def make_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document")
    common.add_argument(
        "--workspace", type=Path, metavar="DIR", help=f"where everything is kept (or ${HOME_VARIABLE})"
    )
    parser = Parser(
        prog="python app.py", parents=[common], description="Apprentice: teach a small language model your way."
    )
    _serve_options(parser)
    parser.set_defaults(command=commands.serve)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        # A default that is suppressed keeps what was given before the command's name.
        sub = subparsers.add_parser(name, help=text, description=text, argument_default=argparse.SUPPRESS)
        sub.add_argument("--json", action="store_true", help="print one JSON document")
        sub.add_argument("--workspace", type=Path, metavar="DIR", help="where everything is kept")
        sub.set_defaults(command=command)
        return sub

    _serve_options(add("serve", commands.serve, "open the page"), argparse.SUPPRESS)
    add("doctor", machine_commands.doctor, "show the hardware, the versions, and what is missing")
    _data_commands(add)
    _model_commands(add)
    _run_commands(add)
    return parser


def _serve_options(parser: argparse.ArgumentParser, default: Any = None) -> None:
    parser.add_argument(
        "--port", type=int, default=default, help="the page's port (default: 7860 or the next free one)"
    )
    parser.add_argument("--host", default=default, help="default 127.0.0.1; another needs $APPRENTICE_PASSWORD")
    parser.add_argument(
        "--hardware",
        type=Path,
        default=default,
        metavar="FILE",
        help="show the page for another machine",
    )
    parser.add_argument("--no-browser", action="store_true", default=default or False, help="do not open a browser")


def positive(typed: str) -> int:
    """A whole number from 1, or wrong usage."""
    if not typed.isdecimal() or not int(typed):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number from 1")
    return int(typed)


def _data_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    check = add("check", commands.check, "read a file of examples and say everything that is wrong with it")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument(
        "--model", default=None, metavar="ID", help="check against this model (default: the embedded one)"
    )
    check.add_argument(
        "--max-tokens", type=positive, default=None, metavar="N", help="longest example the model will read"
    )
    _validation_option(check)
    datasets = add("datasets", commands.datasets, "list the examples that are kept, or delete some")
    datasets.add_argument("--delete", default=None, metavar="ID", help="delete this data set; runs keep their rows")
    fix = add("fix", commands.fix, "apply fixes; writes clean JSONL and a change log")
    fix.add_argument("file", type=Path, metavar="FILE")
    fix.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT")
    fix.add_argument(
        "--accept", default=None, metavar="KIND,…", help="only these kinds (default: all that can be fixed)"
    )


def _validation_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--validation",
        type=Path,
        default=None,
        metavar="FILE",
        help="test with these examples (default: a tenth is kept back)",
    )


def _model_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    listed = add("models", machine_commands.models, "list the models; download or delete one; keep an access token")
    one = listed.add_mutually_exclusive_group()
    one.add_argument("--remove", default=None, metavar="ID", help="delete what was downloaded of this model")
    one.add_argument("--download", default=None, metavar="ID", help="fetch this model from the Hugging Face hub")
    one.add_argument(
        "--token",
        action="store_true",
        default=False,
        help="keep an access token for the hub, read from standard input; nothing typed: say where one lies",
    )
    one.add_argument("--forget-token", action="store_true", default=False, help="delete the token that is kept")
    recommend = add("recommend", machine_commands.recommend, "choose a model and settings for this machine and data")
    recommend.add_argument("--hardware", type=Path, default=None, metavar="FILE", help="simulate this machine")
    recommend.add_argument("--task", default=None, choices=("voice", "extract", "write", "other"))
    recommend.add_argument("--data", type=Path, default=None, metavar="FILE")
    estimate = add("estimate", machine_commands.estimate, "compute the peak memory and the time of a training run")
    machine_commands.add_estimate_options(estimate)


def _run_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    train = add("train", commands.train, "train a model; Ctrl-C stops and saves")
    train.add_argument("--data", type=Path, required=True, metavar="FILE")
    _validation_option(train)
    train.add_argument("--model", default=None, metavar="ID", help="or the folder of a model on this computer")
    train.add_argument("--set", dest="settings", nargs="+", action="extend", default=[], metavar="key=value")
    train.add_argument("--name", default=None, metavar="N", help="a name to know it by")
    add("runs", commands.runs, "list the runs")
    for name, command, text in (
        ("show", commands.show, "show one run"),
        ("stop", commands.stop, "stop a run; what it learned is kept"),
        ("resume", commands.resume, "go on with a run that was stopped or interrupted"),
        ("delete", commands.delete, "delete a run and its exports"),
    ):
        add(name, command, text).add_argument("run", metavar="RUN")
    chat = add("chat", commands.chat, "get one answer")
    chat.add_argument("run", metavar="RUN")
    chat.add_argument("--prompt", required=True, metavar="TEXT")
    chat.add_argument("--base", action="store_true", default=False, help="ask the model that the run began with")
    chat.add_argument("--gguf", type=Path, default=None, metavar="FILE", help="ask this exported file")
    chat.add_argument("--seed", type=int, default=None, metavar="N", help="vary the answer (default: the likeliest)")
    evaluate = add("evaluate", evaluate_command.evaluate, "is a trained model any good, on examples it has not seen?")
    evaluate.add_argument("run", metavar="RUN")
    evaluate.add_argument("--baselines", action="store_true", help="also try prompts and examples on the base model")
    evaluate.add_argument("--items", type=positive, metavar="N", help="at most N questions (default: all)")
    rent = add("rent", rent_command.rent, "train a run on a computer rented from Hugging Face; says what it costs")
    rent.add_argument("run", metavar="RUN")
    rent.add_argument("--flavor", default="", metavar="F", help="which computer (default: list them)")
    rent.add_argument("--hours", type=float, default=1.0, metavar="N", help="ended after so many (default: 1)")
    rent.add_argument("--yes", action="store_true", default=False, help="agree to the upload and to the cost")
    export = add("export", commands.export, "take the model away; each file comes with its proofs")
    export.add_argument("run", metavar="RUN")
    export.add_argument("--to", required=True, metavar="KIND", help="adapter, merged, script, gguf:Q8_0, gguf:F16, …")
    export.add_argument("-o", dest="output", type=Path, required=True, metavar="DIR")
