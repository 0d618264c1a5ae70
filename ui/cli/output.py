"""The output of a command: its answer on stdout, messages on stderr."""

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from backend.errors import ApprenticeError
from backend.settings import Workspace

INTERRUPTED = 130  # the exit code after Ctrl-C


@dataclass(frozen=True)
class Answer:
    """document: for --json, None where the command has printed it already. text: the
    same for people. exit_code: 0, 1 when the input is at fault, or INTERRUPTED.
    """

    document: Any
    text: str = ""
    exit_code: int = 0


Command = Callable[[argparse.Namespace, Workspace], Answer]
AddCommand = Callable[
    [str, Command, str], argparse.ArgumentParser
]  # name, command, what it does


class OutputClosed(Exception):
    """The program that read our output has ended, as `head` does after ten lines."""


def say(text: str) -> None:
    """Print a message. Raises OutputClosed."""
    write(sys.stderr, f"{text}\n")


def print_answer(answer: Answer, as_json: bool) -> None:
    """Raises OutputClosed."""
    if as_json and answer.document is not None:
        _print_json(answer.document)
    elif not as_json and answer.text:
        write(sys.stdout, f"{answer.text}\n")


def print_error(error: ApprenticeError, as_json: bool) -> None:
    """Print an error as a message and, for --json, also as the answer. Raises
    OutputClosed.
    """
    for sentence in filter(None, (error.what, error.why, error.next)):
        say(sentence)
    if as_json:
        _print_json(error.to_dict())


def _print_json(document: Any) -> None:
    write(
        sys.stdout,
        json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n",
    )


def write(stream: TextIO, text: str = "") -> None:
    """Write and flush. Raises OutputClosed, after which the stream discards what it
    gets.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and not (
            os.name == "nt" and error.errno == errno.EINVAL
        ):
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # Python flushes it again when it exits
        os.close(nowhere)
        raise OutputClosed from None
