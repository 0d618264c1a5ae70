"""The one error family. Each error says what happened, why, and what to do next, in plain words.

    ApprenticeError
    ├── BadInput          a file, a row or a typed text is at fault
    ├── BadSetting        a setting is unknown or out of range
    ├── BadUsage          a command was typed that there is not
    ├── MissingPart       an optional part (a package, a compiler, a model) is not here
    ├── NotEnough         memory or disk does not suffice
    │   ├── OutOfMemory   memory ran out in the midst of work that may fit with less of it
    │   └── DoesNotFit    memory does not suffice for a run, whatever it does without
    ├── WorkspaceProblem  the workspace can't be written, or something in it is damaged
    ├── RunProblem        a run does not exist, or can't do what was asked in its state
    ├── TrainingFailed    training ended without a usable result
    ├── ChatFailed        the model could not be loaded or could not answer
    └── ExportFailed      an export could not be made or did not pass its proof

Technical detail belongs in the log, never in these sentences.
"""

from __future__ import annotations


class ApprenticeError(Exception):
    """An error for a person.

    what: what happened, a full sentence. why: the cause, a full sentence or "".
    next: what the person can do now, a full sentence or "".
    """

    def __init__(self, what: str, why: str = "", next: str = "") -> None:  # noqa: A002
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.next) if part)

    def __reduce__(self) -> tuple[type[ApprenticeError], tuple[str, str, str]]:
        return type(self), (self.what, self.why, self.next)

    def to_dict(self) -> dict[str, str]:
        """The error as JSON: {"error": class name, "what", "why", "next"}."""
        return {"error": type(self).__name__, "what": self.what, "why": self.why, "next": self.next}


class BadInput(ApprenticeError):
    """A file, a row or a typed text is at fault."""


class BadSetting(ApprenticeError):
    """A setting is unknown or out of range."""


class BadUsage(ApprenticeError):
    """A command was typed that there is not."""


class MissingPart(ApprenticeError):
    """An optional part (a package, a compiler, a model) is not here."""


class NotEnough(ApprenticeError):
    """Memory or disk does not suffice."""


class OutOfMemory(NotEnough):
    """Memory ran out in the midst of work that may fit with less of it: it is worth another attempt."""


class DoesNotFit(NotEnough):
    """Memory does not suffice for a run, whatever it does without: what is left is for the person to decide."""


class WorkspaceProblem(ApprenticeError):
    """The workspace can't be written, or something in it is damaged."""


class RunProblem(ApprenticeError):
    """A run does not exist, or can't do what was asked in its state."""


class TrainingFailed(ApprenticeError):
    """Training ended without a usable result."""


class ChatFailed(ApprenticeError):
    """The model could not be loaded or could not answer."""


class ExportFailed(ApprenticeError):
    """An export could not be made or did not pass its proof."""
