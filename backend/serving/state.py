"""What both sides of an endpoint share: where its address and its counts are, and its
key. No heavy imports.
"""

import hashlib
import secrets

LOOPBACK = "127.0.0.1"
# In the job's folder, once the endpoint is ready: {url, requests, tokens,
# tokens_per_second, open}.
STATE = "endpoint.json"


def new_key() -> str:
    """A random key; shown once and never stored."""
    return f"sk-{secrets.token_urlsafe(32)}"


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
