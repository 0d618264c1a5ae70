"""An evaluation's report on its way to another computer: what is shown of it, and nothing else.

It comes back in a file that anybody may have made, so every value has the type that the page expects.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.evaluation.against_parent import NOT_MEASURED
from backend.evaluation.verdict import AgainstPrompt, Verdict

_Name = Literal["base", "tuned", "prompt", "few_shot", "facts"]
_Count = Annotated[int, Field(ge=0, lt=1 << 31)]
_Value = Annotated[float, Field(ge=0, le=1e100, allow_inf_nan=False)]  # finite also when multiplied by a count
_Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _System(_Part):
    score: _Value
    interval: Annotated[list[_Value | None], Field(min_length=2, max_length=2)]
    phrases: dict[str, _Share] = {}
    confusion: dict[str, dict[str, _Count]] = {}
    instruction: str = ""


class _Finding(_Part):
    kind: str
    example: str = ""


class _Losses(_Part):
    base: _Value
    tuned: _Value


class _General(_Part):
    base_right: _Count
    kept: _Count
    lost: list[str]
    dropped: bool
    loss: _Losses


class _Answer(_Part):
    question: str
    expected: str
    base: str
    tuned: str
    prompt: str = ""
    few_shot: str = ""
    facts: str = ""
    scores: dict[_Name, _Value]
    cluster: _Count


class _Report(_Part):
    main_measure: Literal["preference", "tool_call", "json", "label", "exact", "chrf", "perplexity"]
    items: Annotated[_Count, Field(gt=0)]
    clusters: _Count
    least_provable_gain: _Share | None
    engine: str
    systems: dict[_Name, _System]
    verdict: Verdict
    against_prompt: AgainstPrompt
    next: str
    findings: list[_Finding]
    general: _General
    answers: list[_Answer]


def checked(report: object) -> dict[str, Any]:
    """The report without what another computer can't use: the previous version, and a change to train again with.

    Raises ValueError for what is no report.
    """
    found = _Report.model_validate(report)
    names = set(found.systems)
    if not {"base", "tuned"} <= names:
        raise ValueError("a system is missing")
    if any(not names <= set(one.scores) or not names <= one.model_fields_set for one in found.answers):
        raise ValueError("a system without answers or scores")
    if any(one.kind == "memorized" and not one.example for one in found.findings):
        raise ValueError("a finding without its example")
    return {**found.model_dump(exclude_unset=True), "against_parent": NOT_MEASURED, "parent": None, "retry": {}}
