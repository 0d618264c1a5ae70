"""The error family. Each error says what happened, why, and what to do next, in plain
words.

    ApprenticeError
    ├── BadInput          a file, a row or typed text is invalid
    ├── BadSetting        a setting is unknown or out of range
    ├── BadUsage          a command does not exist or lacks an argument
    ├── MissingPart       an optional part (a package, a compiler, a model) is missing
    ├── UnusableGpu       there is a GPU that training should use and can't
    ├── NotEnough         there is not enough memory or disk space
    │   ├── OutOfMemory   memory ran out; the work may fit if it uses less
    │   └── DoesNotFit    the run does not fit, even with the smallest settings
    ├── WorkspaceProblem  the workspace can't be written, or a file in it is damaged
    ├── RunProblem        a run does not exist, or its state does not allow the action
    ├── TrainingFailed    training ended without a usable result
    ├── NotYet            something is still under way; asking again later helps
    ├── NotInDemo         a shared demo does not allow this, or not this much
    ├── ChatFailed        the model could not be loaded or could not answer
    └── ExportFailed      an export could not be made or did not pass its checks

Technical details belong in the log, never in these sentences.
"""

from __future__ import annotations

import copyreg
import errno
from typing import Any


class Stopped(Exception):
    """The person stopped the job: it ends without a result."""


class ApprenticeError(Exception):
    """An error to show to a person. what: what happened. why: the cause. next: what the
    person can do now. Full sentences; why and next may be "".
    """

    def __init__(self, what: str, why: str = "", next: str = "") -> None:  # noqa: A002
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.next) if part)

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self), self.what), vars(self)  # type: ignore[attr-defined]

    def to_dict(self) -> dict[str, str]:
        """The error as JSON: {"error": class name, "what", "why", "next"}."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "why": self.why,
            "next": self.next,
        }


class BadInput(ApprenticeError):
    """A file, a row or typed text is invalid."""


class BadSetting(ApprenticeError):
    """A setting is unknown or out of range."""


class BadUsage(ApprenticeError):
    """A command does not exist or lacks an argument."""


class MissingPart(ApprenticeError):
    """An optional part (a package, a compiler, a model) is missing."""


class UnusableGpu(ApprenticeError):
    """There is a GPU that training should use and can't; training does not fall back to
    the processor.
    """


class NotEnough(ApprenticeError):
    """There is not enough memory or disk space."""


class OutOfMemory(NotEnough):
    """Memory ran out; the work may fit if it uses less, so another attempt is
    worthwhile.
    """


class DoesNotFit(NotEnough):
    """The run does not fit, even with the smallest settings: the person has to decide
    what to change.
    """


class WorkspaceProblem(ApprenticeError):
    """The workspace can't be written, or a file in it is damaged."""


class RunProblem(ApprenticeError):
    """A run does not exist, or its state does not allow the action."""


class TrainingFailed(ApprenticeError):
    """Training ended without a usable result."""


class NotYet(ApprenticeError):
    """Something is still under way; asking again later helps."""


class NotInDemo(ApprenticeError):
    """A shared demo does not allow this, or not this much."""


class ChatFailed(ApprenticeError):
    """The model could not be loaded or could not answer."""


class ExportFailed(ApprenticeError):
    """An export could not be made or did not pass its checks."""


_OUT_OF_MEMORY = (
    "out of memory",  # CUDA, MPS ("MPS backend out of memory"), Windows
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED, CUSOLVER_..., CUSPARSE_...
    "cublas_status_not_initialized",  # its handle needs memory: the usual first words of a full card
    "cudnn_status_not_initialized",
    "insufficient memory",  # Metal: kIOGPUCommandBufferCallbackErrorOutOfMemory (Insufficient Memory)
    "outofmemory",  # cudaErrorOutOfMemory
    "error_out_of_memory",  # CUDA_ERROR_OUT_OF_MEMORY
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "paging file is too small",  # Windows
    "could not create a primitive",  # oneDNN without memory (seen under a limit on the address space)
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that memory ran out, of a GPU or the computer."""
    if isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    ):
        return True
    return any(text in str(error).lower() for text in _OUT_OF_MEMORY)
