"""The chat templates of the catalogue's families, on the bundled model's tokenizer with
their control tokens added.

They come from the installed trl package (its README names the models) and from
tests/data/chat_templates.
"""

import re
from functools import cache
from pathlib import Path

import trl
from tokenizers import AddedToken, Tokenizer

from backend.tokens.tokenizer import ChatTokenizer

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
STORED = Path(__file__).parent.parent / "data" / "chat_templates"

OF_FAMILY = {
    "CodeGemma": ("gemma",), "EXAONE": ("exaone_style",), "Falcon3": ("falcon3",), "Gemma 2": ("gemma",),
    "Gemma 3": ("gemma3",), "Granite": ("granite3_3", "granite4_0"), "Granite 4.0": ("granite4_0",),
    "LFM2.5": ("lfm2_2_5", "lfm2_2_5_v2"), "Llama 3": ("llama3_1", "llama3_2"), "MiniCPM": ("minicpm5",),
    "Mistral": ("mistral_v0_3",), "OLMo 2": ("olmo2",), "OLMo 3": ("olmo3_1",), "Phi-3": ("phi3", "phi3_5"),
    "Phi-4": ("phi4_mini",), "Qwen2.5": ("qwen2_5",), "TinyLlama": ("tinyllama",), "SmolLM3": ("smollm3",),
    "Qwen3": ("qwen3", "qwen3_instruct_2507"), "Qwen3.5": ("qwen3_5_nothink", "qwen3_5_think"),
}  # fmt: skip
OWN = ("inst_style", "exaone_style", "tag_style")  # written by us for formats
BUNDLED = "SmolLM2"  # the bundled model has its own template
CATALOGUE = sorted({name for names in OF_FAMILY.values() for name in names})
BEFORE = {
    "mistral_v0_3": " "
}  # text that a template writes before an answer but not in its generation prompt
MARKER = re.compile(
    r"<\|[a-zA-Z_]+\|>|<[a-z]+_of_turn>|<\|turn>|<turn\|>|\[\|[a-z]+\|\]|<｜[^｜ ]+｜>"
)


def text_of(name: str) -> str:
    """The template `name`."""
    stored = STORED / f"{name}.jinja"
    return (stored if stored.exists() else TEMPLATES / f"{name}.jinja").read_text(
        "utf-8"
    )


@cache
def tokenizer_for(name: str, model: Path) -> tuple[ChatTokenizer, Tokenizer]:
    """The bundled model's tokenizer with the control tokens of the template `name`
    added.
    """
    source = text_of(name)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    markers = sorted({*MARKER.findall(source), "<s>", "</s>", "<|endoftext|>"})
    tokenizer.add_special_tokens(
        [AddedToken(m, special=True, normalized=False) for m in markers]
    )
    specials = {
        "bos_token": "<s>",
        "eos_token": "<|endoftext|>" if name.startswith("phi") else "</s>",
    }
    return ChatTokenizer(tokenizer, source, specials), tokenizer
