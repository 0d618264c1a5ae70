"""The bundled model's first layers: a model that the converter knows and that is made
and read in a fraction of the time. It answers nonsense, but says it as firmly as a
trained model, so that files of it can be compared.
"""

import json
import re
import shutil
from pathlib import Path

from backend.files import manifest
from backend.models import bundled
from backend.settings import Workspace

LAYERS = 3


def make_shallow(folder: Path, model: Path) -> Path:
    """Writes the first LAYERS layers of the Llama in `model` into `folder`, which is
    returned.
    """
    from safetensors.torch import load_file, save_file

    shutil.copytree(
        model, folder, ignore=shutil.ignore_patterns("*.safetensors", manifest.NAME)
    )
    weights = load_file(model / "model.safetensors")
    layer = {
        name: int(found[1])
        for name in weights
        if (found := re.search(r"\.layers\.(\d+)\.", name))
    }
    kept = {
        name: tensor for name, tensor in weights.items() if layer.get(name, 0) < LAYERS
    }
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "num_hidden_layers": LAYERS}), "utf-8"
    )
    return folder


def use_first_layers(workspace: Workspace, model: Path) -> None:
    """Puts the first layers of the bundled model in its place in a workspace. model:
    where all of it is.
    """
    folder = bundled.folder(workspace)
    facts = manifest.read(folder)
    assert facts
    shutil.rmtree(folder)
    manifest.write(make_shallow(folder, model), dict(facts))
    assert bundled.is_ready(workspace)
