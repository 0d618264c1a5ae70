"""An endpoint for other programs, compatible with OpenAI's API.

Decision: llama.cpp's own server answers (backend/chat/served.py) behind a guard of
    ours; the engine of Try, with fewer abilities, where that server can't run the
    model.
Because: programs ask for JSON schemas, stop texts, several answers and tool calls, and
    for several answers at a time.
Proof: tests/backend/serving; its slow test asks through nine programs' own clients.
Reconsider when: the chat process itself answers in parallel, in JSON schemas and with
    tool calls.

Decision: A field that is not honoured is an error with its name. max_tokens is capped:
    it is a limit, and finish_reason says where it cut.
Because: a program that believes in a schema which nobody enforced fails later, and
    elsewhere.
Proof: tests/backend/serving/test_requests.py.
Reconsider when: clients send more fields than they need.

Decision: A message that contains one of the model's control tokens is declined.
Because: llama.cpp's server would read it as one, and a quotation would end the message.
Proof: tests/backend/serving/test_requests.py.
Reconsider when: that server can read messages as plain text.

Decision: Every request needs the key, also on this computer. Only its SHA-256 is
    stored.
Because: other users and web pages can reach a port on loopback.
Proof: tests/backend/serving/test_endpoint.py.
Reconsider when: the system lets only this user reach a port.
"""
