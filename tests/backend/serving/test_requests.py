"""What reaches llama.cpp's server, how its answers come back, and that no field is
ignored silently.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from backend.serving.endpoint import Endpoint
from backend.serving.requests import (
    CHAT,
    COMPLETIONS,
    PATHS,
    RESPONSES,
    Abilities,
    BadField,
    parse,
)
from backend.serving.state import key_hash
from tests.cases import cases

ABLE = Abilities("orders", "Be warm.", marks=("<|im_end|>",))
SK = {"Authorization": "Bearer sk"}
CALLS = Abilities("orders", tools=True)
ASK: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "Where is 4711?"}]},
    COMPLETIONS: {"prompt": "Where"},
    RESPONSES: {"input": "Where is 4711?"},
}
NUMBER = {"type": "integer", "exclusiveMinimum": -9.0, "maximum": -8}
SCHEMA = {
    "type": "object",
    "properties": {"if": NUMBER},
    "required": ["if"],
}  # a name is no keyword
TOOL = {"type": "function", "function": {"name": "find", "parameters": SCHEMA}}
FORM = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


def body(path: str = CHAT, able: Abilities = ABLE, **more: Any) -> dict[str, Any]:
    return parse(path, json.dumps({**ASK[path], **more}).encode(), able).body


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"max_tokens": 10**9}, {"max_tokens": 4096}), ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": None}, {"max_tokens": 512}), ({"seed": -1}, {"seed": -1}), ({"stop": ["x"]}, {"stop": ["x"]}),
        ({"n": 2}, {"n": 2}), ({"response_format": FORM}, {"response_format": FORM}), ({}, {"top_k": 1, "n_probs": 1}),
        ({"response_format": {"type": "text"}}, {}), ({"user": "me", "store": True}, {}), ({"model": "orders"}, {}),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "n_probs": 1, "post_sampling_probs": False}),
        ({"temperature": 1}, {"post_sampling_probs": True}), ({"logprobs": True}, {"top_logprobs": 1, "top_k": 1}),
    ],
)  # fmt: skip
def test_honoured_fields(more: dict[str, Any], expected: dict[str, Any]) -> None:
    made = body(**more)
    assert {name: made[name] for name in expected} == expected
    assert "user" not in made
    assert ("response_format" in made) == ("response_format" in expected)


@pytest.mark.parametrize(("path", "field", "value"), cases("requests", "named"))
def test_other_fields_are_named(path: str, field: str, value: Any) -> None:
    with pytest.raises(BadField) as error:
        body(path, **{field: value})
    assert error.value.field.startswith(field)


@pytest.mark.parametrize("part", cases("requests", "schemas"))
def test_schemas_that_the_server_would_ignore_or_hang_on_are_declined(
    part: dict[str, Any],
) -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{"items": part}]}}}
    with pytest.raises(BadField, match=r"response_format\.schema (has|can't)"):
        body(response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    with pytest.raises(BadField, match="tools"):
        body(
            able=CALLS,
            tools=[
                {"type": "function", "function": {"name": "a", "parameters": schema}}
            ],
        )


def test_the_one_model_answers_by_any_name_and_control_tokens_are_declined() -> None:
    assert body(model="ft:gpt-4o-mini:ours")["model"] == "orders"
    with pytest.raises(BadField, match="messages contains"):
        body(messages=[{"role": "user", "content": "a<|im_end|>b"}])


def test_the_instruction_is_added_on_each_path() -> None:
    assert body()["messages"][0] == {"role": "system", "content": "Be warm."}
    assert body(RESPONSES)["instructions"] == "Be warm."
    assert body(RESPONSES, instructions="Be brief.")["instructions"] == "Be brief."
    turns = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}
    ]
    assert body(RESPONSES, input=turns)["input"] == [
        {"role": "system", "content": "Be brief."}
    ]
    assert "instruction" not in json.dumps(body(COMPLETIONS))


def test_the_form_of_the_examples_is_the_default() -> None:
    able = Abilities("orders", schema=SCHEMA)
    assert body(able=able)["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "response_format" not in body(able=able, response_format={"type": "text"})
    assert body(able=replace(able, skips_thought=True))["chat_template_kwargs"] == {
        "enable_thinking": False
    }
    assert "chat_template_kwargs" not in body(able=able)
    asked = {"format": {"type": "json_schema", "name": "x", "schema": {}}}
    assert (
        body(RESPONSES, able, text=asked)["response_format"]["json_schema"]["schema"]
        == {}
    )


@pytest.mark.parametrize("able", [ABLE, CALLS])
def test_a_tool_choice_that_means_nothing_is_declined(able: Abilities) -> None:
    for choice in (
        "bogus",
        "",
        {"function": {"name": "other"}},
        {"type": "function"},
        "required",
    ):
        with pytest.raises(BadField, match="tool_choice"):
            body(
                able=able,
                tools=[] if choice == "required" else [TOOL],
                tool_choice=choice,
            )
    with pytest.raises(BadField, match="without a name"):
        body(
            able=able,
            tools=[{"type": "function", "function": {"parameters": SCHEMA}}],
            tool_choice="required",
        )


def test_a_function_that_must_be_called_is_a_form_of_the_answer() -> None:
    for choice in ("required", {"type": "function", "function": {"name": "find"}}):
        made = body(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False)
        assert (made["response_format"], "tools" in made) == (FORM, False)


def test_tools_pass_where_the_model_learned_them() -> None:
    tools = [
        {
            "function": {
                "name": "x",
                "parameters": {"$ref": "#/$defs/A", "$defs": {"A": {}}},
            }
        },
        TOOL,
    ]
    named = body(able=CALLS, tools=tools, tool_choice={"function": {"name": "find"}})
    assert (named["tools"], named["tool_choice"], named["response_format"]) == (
        [TOOL],
        "none",
        FORM,
    )
    calls = body(able=CALLS, tools=tools, tool_choice="required")["response_format"][
        "json_schema"
    ]["schema"]["anyOf"]
    assert (
        calls[0]["properties"]["arguments"]["$ref"]
        == "#/anyOf/0/properties/arguments/$defs/A"
    )
    with pytest.raises(BadField, match="tool_choice can"):
        body(RESPONSES, CALLS, tools=tools, tool_choice="required")
    with pytest.raises(BadField, match="tools needs"):
        body(tools=tools, tool_choice="required")
    turns = [
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "x", "tool_call_id": "1"},
    ]
    made = body(able=CALLS, tools=[TOOL], tool_choice="auto", messages=turns)
    assert (made["tools"], made["messages"][1]["tool_call_id"]) == ([TOOL], "1")


TEXT, MAYBE = {"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}


def form_of(able: Abilities = ABLE, **schema: Any) -> Any:
    """The schema that reaches the server. schema: of an object."""
    asked = {
        "type": "json_schema",
        "json_schema": {"schema": {"type": "object", **schema}},
    }
    return body(able=able, response_format=asked)["response_format"]["json_schema"][
        "schema"
    ]


def test_an_optional_property_keeps_its_place_and_is_null_where_it_may_be() -> None:
    properties = {"order_id": MAYBE, "kind": TEXT}
    made = form_of(properties=properties, required=["kind"])
    assert [*made["properties"]] == made["required"] == ["order_id", "kind"]
    nested = form_of(
        properties={"a": {"properties": properties, "required": ["kind"]}},
        required=["a"],
    )
    assert nested["properties"]["a"]["required"] == ["order_id", "kind"]
    nobody = form_of(properties=properties, required="kind")
    assert [form["required"] for form in nobody["anyOf"]] == [
        ["order_id", "kind"],
        ["order_id"],
    ]


def test_an_optional_property_that_is_never_null_keeps_its_place_or_is_left_out() -> (
    None
):
    made = form_of(
        properties={"a": {"$ref": "#/$defs/A"}, "kind": TEXT, "c": TEXT},
        required=["kind"],
        **{"$defs": {"A": {"type": "integer"}}},
    )
    assert [form["required"] for form in made["anyOf"]] == [
        ["a", "kind", "c"], ["kind", "c"], ["a", "kind"], ["kind"],
    ]  # fmt: skip
    assert all([*form["properties"]] == form["required"] for form in made["anyOf"])
    assert made["$defs"] == {"A": {"type": "integer"}}
    many = {f"p{number}": TEXT for number in range(9)}
    assert "anyOf" not in form_of(properties=many), "512 forms"


def test_the_same_properties_get_the_order_of_the_examples() -> None:
    trained = {"type": "object", "properties": {"kind": TEXT, "order_id": TEXT}}
    able = replace(ABLE, trained=trained)
    given = {"order_id": MAYBE, "kind": TEXT}
    assert [*form_of(able, properties=given)["properties"]] == ["kind", "order_id"]
    other = {"order_id": MAYBE, "kind": TEXT, "more": TEXT}
    assert [*form_of(able, properties=other)["properties"]] == [*other]


# What llama.cpp's server sends.
EVENTS = [
    {"type": "response.created", "response": {"id": "r", "object": "response", "status": "in_progress"}},
    {"type": "response.output_item.added", "item": {"content": [], "id": "m", "role": "assistant", "status": "in_progress", "type": "message"}},
    {"type": "response.content_part.added", "item_id": "m", "part": {"type": "output_text", "text": ""}},
    {"type": "response.output_text.delta", "item_id": "m", "delta": "Hi"},
    {"type": "response.output_text.done", "item_id": "m", "text": "Hi"},
    {"type": "response.output_item.added", "item": {"arguments": "", "call_id": "fc_1", "name": "find", "type": "function_call", "status": "in_progress"}},
    {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": "{}"},
    {"type": "response.output_item.done", "item": {"arguments": "{}", "call_id": "fc_1", "name": "find", "type": "function_call", "status": "completed"}},
    {"type": "response.completed", "response": {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}},
]  # fmt: skip


def test_events_of_a_response_are_those_of_the_reference(
    ask: Callable[..., httpx.Response],
) -> None:
    """Also for OpenAI's own package, which reads each into its class."""
    sent = "".join(
        f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in EVENTS
    )
    answer = ask(lambda _: httpx.Response(200, text=sent), RESPONSES, stream=True)
    lines = [line for line in answer.text.split("\n") if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [event["sequence_number"] for event in events] == [*range(len(EVENTS))]
    assert [event.get("output_index") for event in events] == [
        None, 0, 0, 0, 0, 1, 1, 1, None,
    ]  # fmt: skip
    about = [event["response"] for event in (events[0], events[-1])]
    assert {response["model"] for response in about} == {"orders"}
    assert len({response["created_at"] for response in about}) == 1
    responses = pytest.importorskip("openai.types.responses")
    pydantic = pytest.importorskip("pydantic")
    delta = responses.ResponseTextDeltaEvent
    pydantic.TypeAdapter(delta).validate_python(events[3])
    item = responses.ResponseOutputItemAddedEvent
    pydantic.TypeAdapter(item).validate_python(events[5])


Serve = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def ask() -> Callable[..., httpx.Response]:
    """Asks an endpoint before a server that answers as the given function says."""

    def asked(serve: Serve, path: str = CHAT, **more: Any) -> httpx.Response:
        made = Endpoint(httpx.MockTransport(serve), 2, ABLE, key_hash("sk"))
        with TestClient(made.app) as client:
            answer: httpx.Response = client.post(
                path, json={**ASK[path], **more}, headers=SK
            )
        assert made.counts.open == 0
        return answer

    return asked


@pytest.mark.parametrize("stream", [False, True])
def test_failures_of_the_server_are_sentences(
    ask: Callable[..., httpx.Response], stream: bool
) -> None:
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("")

    def declines(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            400, json={"error": {"message": "The schema is wrong.", "code": 400}}
        )

    answer = ask(gone, stream=stream)
    assert (answer.status_code, "restart" in answer.text) == (503, True)
    answer = ask(declines, stream=stream, response_format=FORM)
    error = answer.json()["error"]
    assert (answer.status_code, error["message"], error["param"]) == (
        400,
        "The schema is wrong.",
        "response_format",
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("more", [{}, {"logprobs": True}, {"path": COMPLETIONS}])
def test_invalid_numbers_end_an_answer_and_probabilities_are_for_those_who_ask(
    ask: Callable[..., httpx.Response], stream: bool, more: dict[str, Any]
) -> None:
    for name, number in (("logprob", -0.5), ("prob", 0.5), ("logprob", None)):
        choice = {
            "index": 0,
            "text": "a",
            "message": {},
            "logprobs": {"content": [{name: number}]},
        }
        made = json.dumps({"choices": [choice]})
        made = f"data: {made}\n\n" if stream else made
        answer = ask(
            lambda _, made=made: httpx.Response(200, text=made), stream=stream, **more
        )
        assert ("invalid number" in answer.text, answer.status_code == 503) == (
            not number,
            not (number or stream),
        )
        assert ("content" in answer.text) == ("logprobs" in more and number is not None)


@pytest.mark.parametrize(
    ("status", "number", "failure"),
    [
        (200, -0.1, ""),
        (200, None, "invalid number"),
        (400, None, ""),
        (500, -0.1, "restart"),
    ],
)
def test_the_end_of_each_streamed_answer_is_checked(
    ask: Callable[..., httpx.Response], status: int, number: float | None, failure: str
) -> None:
    """By the probability of one more token, None if that is no number; the server
    refuses where none can follow.
    """
    ends = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        if asked["stream"]:
            pieces = [
                (1, "No", None),
                (0, "Yes", None),
                (0, "", "stop"),
                (1, ".", None),
                (1, "", "stop"),
            ]
            choices = (
                {"index": at, "delta": {"content": text}, "finish_reason": end}
                for at, text, end in pieces
            )
            return httpx.Response(
                200,
                text="".join(
                    f"data: {json.dumps({'choices': [one]})}\n\n" for one in choices
                ),
            )
        ends.append(asked["messages"][-1]["content"])
        return httpx.Response(
            status, json={"choices": [{"logprobs": {"content": [{"logprob": number}]}}]}
        )

    answer = ask(serve, stream=True, n=2).text
    assert ends == (["Yes"] if failure else ["Yes", "No."])
    assert ('"error"' in answer, failure in answer) == (bool(failure), True)
    assert answer.count('"stop"') == 2 * (not failure)


def test_an_answer_that_breaks_off_says_so(ask: Callable[..., httpx.Response]) -> None:
    class Breaks(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b'data: {"choices": []}\n\n'
            raise httpx.ReadError("")

    answer = ask(lambda _: httpx.Response(200, stream=Breaks()), stream=True)
    assert (
        "restart"
        in json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))[
            "error"
        ]["message"]
    )


def test_the_other_addresses() -> None:
    answers = httpx.MockTransport(lambda _: httpx.Response(500))
    with TestClient(Endpoint(answers, 1, ABLE, key_hash("sk")).app) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/v1/models/orders", headers=SK).json()["id"] == "orders"
        assert (
            client.get("/v1/models/other", headers=SK).json()["error"]["code"]
            == "model_not_found"
        )
        missing = client.post("/v1/embeddings", json={}, headers=SK)
        assert (missing.status_code, all(path in missing.text for path in PATHS)) == (
            404,
            True,
        )
