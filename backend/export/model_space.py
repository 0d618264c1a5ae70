"""A small Gradio app with one model, for Hugging Face Spaces: made from an exported merged model.

app.py, README.md, requirements.txt, settings.json     from static/model_space/
model/                                                  the merged model with its card
"""

import re
from pathlib import Path
from string import Template

from backend.export.space import ON_A_PROCESSOR, TEMPLATES, version_of
from backend.files.json_file import write_json
from backend.models import causal_lm
from backend.records.specs import RunSpec
from backend.settings import PROJECT_ROOT

_APP = PROJECT_ROOT / "static" / "model_space"
_NEEDED = ("transformers", "tokenizers", "safetensors", "jinja2", "numpy")
MODEL = "model"


def write(folder: Path, name: str, run: RunSpec, instruction: str) -> None:
    """Write the files around the folder `model`, which is in `folder`.

    name: a plain file name.
    instruction: of the examples, "" for none.
    Raises OSError.
    """
    versions = (TEMPLATES / "requirements.txt").read_text("utf-8")
    values = {"title": name, "gradio": version_of(versions, "gradio"), "base": run.model.id}
    readme = Template((_APP / "README.md").read_text("utf-8")).substitute(values)
    pinned = [line for line in versions.splitlines() if re.split(r"[=\[ ;]", line)[0].lower() in _NEEDED]
    texts = {
        "README.md": readme,
        "requirements.txt": "\n".join([*pinned, ON_A_PROCESSOR]) + "\n",
        "app.py": (_APP / "app.py").read_text("utf-8"),
    }
    renamed = {} if run.settings.method == "full" else causal_lm.key_mapping(run.model.path)
    for file, text in texts.items():
        (folder / file).write_text(text, "utf-8", newline="\n")
    write_json(
        folder / "settings.json",
        {"name": name, "instruction": instruction, **({"renamed": renamed} if renamed else {})},
    )
