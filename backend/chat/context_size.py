"""How much of a conversation the contexts of llama.cpp remember: what the model can read, or what memory allows."""

from __future__ import annotations

_SHARE = 0.25  # of the free memory, for what the contexts remember
_LEAST = 2048


def tokens_that_fit(bytes_per_token: int) -> int:
    """How many tokens contexts can remember in the memory that they may take; 0 if unknown."""
    import psutil

    return int(psutil.virtual_memory().available * _SHARE / bytes_per_token) if bytes_per_token else 0


def context_length(trained: int, bytes_per_token: int, contexts: int) -> int:
    """Tokens for each of `contexts`. trained: how many the model was trained to read, 0 if unknown."""
    fits = tokens_that_fit(bytes_per_token) // contexts
    return min(trained or _LEAST, max(_LEAST, fits - fits % 256))
