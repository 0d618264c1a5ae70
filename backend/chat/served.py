"""llama.cpp's own server for programs: with its parallel slots, grammars and tool
calls, which no engine here has.

It renders and tokenizes conversations itself, so it is opened only where that gives the
tokens of the training.
"""

from pathlib import Path

from backend.chat.engine import (
    PROBE,
    Messages,
    context_length,
    fewer_until_it_fits,
    tokens_that_fit,
)
from backend.chat.engines import fits_llama_cpp, gguf_files
from backend.chat.llama_engine import trained_tokenizer
from backend.chat.llama_server import Front, LlamaServer
from backend.errors import BadInput, ChatFailed
from backend.gguf.facts import Facts
from backend.hardware import container
from backend.models import bundled
from backend.models.bundled import ReportProgress
from backend.records.chat import Served
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer

_MOST, _FOR_A_CORE = (
    16,
    4,
)  # slots that help, as measured on two cores: docs/performance.md
_LONG = 4096  # tokens for which a slot should have room
_SENTENCE = "The capital of France is"
_CHECKED: tuple[Messages, ...] = (
    PROBE,
    (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Ünïcode, <b>tags</b>\nand lines?"},
    ),
)


def open_server(
    workspace: Workspace,
    model: Path,
    tuned: Path | None,
    name: str,
    key: str,
    progress: ReportProgress,
) -> tuple[LlamaServer, Served]:
    """A server for the model in the folder `model` with what was trained in `tuned`,
    under `name`. Raises MissingPart, NotEnough, ExportFailed, UnsupportedModel,
    Unsupported, and ChatFailed where it would not answer as the engines here, or the
    model computes invalid numbers.
    """
    if not fits_llama_cpp(tuned):
        raise ChatFailed("llama.cpp's server can't run this model here.")
    if model == bundled.folder(workspace):
        bundled.ensure(workspace, progress)
    with gguf_files(workspace, model, tuned, progress) as (file, adapter):
        facts = Facts(file)
        tokenizer, ends = trained_tokenizer(model, tuned)
        front = Front(name, key, tokenizer.chat_template)
        trained, size = facts.trained_context, facts.bytes_per_token
        slots = helpful_slots(trained, size)
        tokens = context_length(trained, size, slots)
        server = fewer_until_it_fits(
            lambda count: LlamaServer(file, count, tokens, adapter, front=front), slots
        )
    try:
        server.next(
            server.encode(_SENTENCE), 0, tuned=True
        )  # raises where the numbers are invalid
        reads = all(_reads(server, tokenizer, messages) for messages in _CHECKED)
        if not (
            reads
            and ends <= server.end_ids()
            and (adapter is None or _uses_adapter(server))
        ):
            raise ChatFailed(
                "llama.cpp's server reads conversations differently from the training."
            )
    except ChatFailed:
        server.close()
        raise
    tools = bool(
        server.call("/props").get("chat_template_caps", {}).get("supports_tools")
    )
    skips, marks = tokenizer.can_skip_thought, tokenizer.control_markers
    return server, Served(
        address=server.address,
        slots=server.slots,
        tools=tools,
        skips_thought=skips,
        marks=marks,
    )


def helpful_slots(trained: int, bytes_per_token: int) -> int:
    """How many answers to give at a time: as many as this computer's cores give faster
    together than in turn, and have room in memory. trained: see `context_length`.
    """
    room = (
        tokens_that_fit(bytes_per_token) // min(trained or _LONG, _LONG)
        if bytes_per_token
        else _MOST
    )
    return max(1, min(_MOST, _FOR_A_CORE * container.cores(), room))


def _reads(server: LlamaServer, tokenizer: ChatTokenizer, messages: Messages) -> bool:
    """Whether the server gives the model the tokens of the training."""
    try:
        expected = tokenizer.prompt_ids([dict(message) for message in messages])
    except BadInput:  # the template accepts no such conversation
        return True
    asked = {"messages": list(messages)}
    ids = server.encode(server.call("/apply-template", asked)["prompt"])
    read = server.call("/v1/chat/completions", {**asked, "max_tokens": 1})["usage"][
        "prompt_tokens"
    ]
    shared = min(
        len(ids), len(expected)
    )  # the text may lack the start token, which the server adds
    return bool(read == len(expected) and ids[-shared:] == expected[-shared:])


def _uses_adapter(server: LlamaServer) -> bool:
    """Whether a plain request is answered differently from the base model's."""
    asked = {"prompt": _SENTENCE, "n_predict": 1, "n_probs": 20, "cache_prompt": False}
    base = server.call("/completion", {**asked, "lora": [{"id": 0, "scale": 0.0}]})
    return bool(
        server.call("/completion", asked)["completion_probabilities"]
        != base["completion_probabilities"]
    )
