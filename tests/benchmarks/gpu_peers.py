"""Further peers of training_speed.py and gpu_training_speed.py, each run by the Python of an environment of its own.

$UNSLOTH_PYTHON and $LLAMAFACTORY_PYTHON are those Pythons (pip install unsloth; pip install llamafactory torchaudio).
Without the variable this Python is used if it has the package; otherwise the peer is left out, which is printed. They
are called as their documentation has it. Neither has run here: there was no GPU.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.hardware.process import show_one_gpu
from backend.records.encoded import Encoded

PYTHONS = {"unsloth": "UNSLOTH_PYTHON", "llamafactory": "LLAMAFACTORY_PYTHON"}
OFFLINE = {"HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def python_of(peer: str) -> str | None:
    """The Python that has the peer; None if there is none."""
    here = sys.executable if importlib.util.find_spec(peer) else None
    return os.environ.get(PYTHONS[peer]) or here


def available() -> list[str]:
    """The peers that can run. Prints which can't."""
    for peer, variable in PYTHONS.items():
        if python_of(peer) is None:
            print(
                f"{peer} is left out: it is not installed, and ${variable} names no Python that has it.", flush=True
            )
    return [peer for peer in PYTHONS if python_of(peer)]


def run(peer: str, model: Path, rows: Sequence[Encoded], settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What `PEER_peer.py` prints: `steps`, `losses` and `peak_mib`.

    settings: `steps`, `rank`, `alpha`, `rate`, `batch`, `length`, `seed`, `use_cpu`, `four_bit` and `half`, the
    16-bit precision. Raises RuntimeError with the end of its error output.
    """
    folder.mkdir(parents=True)
    file, script = folder / "rows.jsonl", Path(__file__).with_name(f"{peer}_peer.py")
    lines = ({"input_ids": row.input_ids, "attention_mask": [1] * row.tokens, "labels": row.labels} for row in rows)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    show_one_gpu()  # in the variables that the program inherits
    command = [str(python_of(peer)), str(script), str(model), str(file)]
    done = subprocess.run(
        [*command, str(folder / "out"), json.dumps(settings)],
        cwd=folder, env={**os.environ, **OFFLINE}, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
