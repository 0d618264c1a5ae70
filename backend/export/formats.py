"""The formats that a trained model can be exported in, and its file name."""

import re
import unicodedata

from backend.errors import BadSetting
from backend.gguf import convert as gguf

HOME = "home"  # everything in one zip file (take_home.py)
PAGE = "page"  # a page with the model in it (page_to_give.py)
FORMATS = (
    "adapter",
    "merged",
    "script",
    PAGE,
    HOME,
    *(f"gguf:{kind}" for kind in gguf.TYPES),
)
OLLAMA = "ollama"


def jobs_for(to: str) -> list[str]:
    """Formats separated by commas, as those that one job each makes: all GGUF types
    together, any other alone. "ollama" stands for a GGUF file with its Modelfile: Q8_0
    unless GGUF types are named. Raises BadSetting.
    """
    asked = list(dict.fromkeys(part.strip() for part in to.split(",")))
    unknown = [form for form in asked if form not in (*FORMATS, OLLAMA)]
    if unknown:
        formats = ", ".join((*FORMATS, OLLAMA))
        raise BadSetting(
            f"There is no format {unknown[0][:40]!r}.",
            "",
            f"Choose one or more of: {formats}.",
        )
    forms = [form for form in asked if form in FORMATS and ":" not in form]
    types = [form for form in asked if ":" in form] or (
        ["gguf:Q8_0"] if OLLAMA in asked else []
    )
    return [*forms, *([",".join(types)] if types else [])]


def slug(name: str) -> str:
    """A file name of at most 40 lowercase ASCII letters, digits and single dashes;
    "model" if none are left.
    """
    plain = (
        unicodedata.normalize("NFKD", name.replace("ß", "ss"))
        .encode("ascii", "ignore")
        .decode()
        .lower()
    )
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "model"
