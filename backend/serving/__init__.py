"""An endpoint for other programs, compatible with OpenAI's chat completions.

    endpoint.py   the HTTP server
    requests.py   validated requests
    connections.py   closes those that only wait
    answer.py     one answer, which ends once its client is gone
    job.py        the job "serve"
    state.py      its address, counts, and the hash of its key

Decision: The endpoint answers through the chat process, not through llama.cpp's own server.
Because: its answers are then Try's by construction, control tokens in a question stay text, and models that only
    transformers can answer are served too.
Proof: tests/backend/serving, also with the package openai as a client.
Reconsider when: people need more than one answer at a time; three may wait.

Decision: Every request needs the key, also on this computer. Only its SHA-256 is stored.
Because: other users and web pages can reach a port on loopback.
Proof: tests/backend/serving/test_endpoint.py.
Reconsider when: the system lets only this user reach a port.
"""
