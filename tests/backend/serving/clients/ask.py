"""Asks an endpoint through each installed client, as its own documentation does: python
ask.py URL KEY MODEL.

Prints a JSON object: for each client and kind of request "ok", or what went wrong.
Imports nothing of the project, since the clients need versions of their own.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

URL, KEY, MODEL = sys.argv[1:4]
QUESTION = "I would like 3 boxes of apples, please."
TURNS: Any = [{"role": "user", "content": QUESTION}]


class Order(BaseModel):
    """An order."""

    intent: str
    quantity: int | None


def openai_client() -> dict[str, Callable[[], Any]]:
    import openai

    client = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)
    chat = client.chat.completions
    return {
        "chat": lambda: (
            chat.create(model=MODEL, messages=TURNS, max_tokens=10**6)
            .choices[0]
            .message.content
        ),
        "stream": lambda: "".join(
            part.choices[0].delta.content or ""
            for part in chat.create(model=MODEL, messages=TURNS, stream=True)
            if part.choices
        ),
        "parse": lambda: (
            chat.parse(model=MODEL, messages=TURNS, response_format=Order)
            .choices[0]
            .message.parsed
        ),
        "json_object": lambda: json.loads(
            chat.create(
                model=MODEL, messages=TURNS, response_format={"type": "json_object"}
            )
            .choices[0]
            .message.content
            or ""
        ),
        "completions": lambda: (
            client.completions.create(model=MODEL, prompt="Sky", max_tokens=4)
            .choices[0]
            .text
        ),
        "responses": lambda: (
            client.responses.create(model=MODEL, input=QUESTION).output_text
        ),
        "responses.parse": lambda: (
            client.responses.parse(
                model=MODEL, input=QUESTION, text_format=Order
            ).output_parsed
        ),
        "responses.stream": lambda: "".join(
            event.delta
            for event in client.responses.create(
                model=MODEL, input=QUESTION, stream=True
            )
            if event.type == "response.output_text.delta"
        ),
        "models": lambda: client.models.retrieve(client.models.list().data[0].id).id,
        "n, stop, logprobs": lambda: (
            chat.create(
                model=MODEL,
                messages=TURNS,
                n=2,
                stop=["}"],
                logprobs=True,
                top_logprobs=2,
                seed=-1,
                temperature=1,
            )
            .choices[1]
            .logprobs
        ),
        "forced function": lambda: (
            chat.create(
                model=MODEL,
                messages=TURNS,
                tools=[openai.pydantic_function_tool(Order)],
                tool_choice={"type": "function", "function": {"name": "Order"}},
            )
            .choices[0]
            .message.tool_calls
        ),
    }


def langchain_openai() -> dict[str, Callable[[], Any]]:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url=URL, api_key=KEY, model=MODEL)  # type: ignore[arg-type]
    ways = ("json_schema", "function_calling", "json_mode")
    return {
        "chat": lambda: model.invoke(QUESTION).content,
        "stream": lambda: "".join(str(part.content) for part in model.stream(QUESTION)),
        **{
            way: lambda way=way: model.with_structured_output(Order, method=way).invoke(
                QUESTION
            )  # type: ignore[misc]
            for way in ways
        },
    }


def litellm() -> dict[str, Callable[[], Any]]:
    import litellm

    def ask(**more: Any) -> Any:
        return litellm.completion(
            model=f"openai/{MODEL}", api_base=URL, api_key=KEY, messages=TURNS, **more
        )

    return {
        "chat": lambda: ask().choices[0].message.content,
        "stream": lambda: "".join(
            part.choices[0].delta.content or "" for part in ask(stream=True)
        ),
        "structured": lambda: Order.model_validate_json(
            ask(response_format=Order).choices[0].message.content
        ),
    }


def instructor() -> dict[str, Callable[[], Any]]:
    import instructor
    import openai

    client = openai.OpenAI(base_url=URL, api_key=KEY)

    def ask(mode: Any) -> Any:
        made = instructor.from_openai(client, mode=mode)
        return made.chat.completions.create(
            model=MODEL, messages=TURNS, response_model=Order, max_retries=0
        )

    modes = instructor.Mode
    return {
        mode.value: lambda mode=mode: ask(mode)
        for mode in (modes.TOOLS, modes.JSON, modes.JSON_SCHEMA)
    }  # type: ignore[misc]


def pydantic_ai() -> dict[str, Callable[[], Any]]:
    from pydantic_ai import Agent, NativeOutput, PromptedOutput
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=URL, api_key=KEY))

    async def stream() -> str:
        async with Agent(model).run_stream(QUESTION) as result:
            return "".join([part async for part in result.stream_text(delta=True)])

    return {
        "chat": lambda: Agent(model).run_sync(QUESTION).output,
        "stream": lambda: asyncio.run(stream()),
        "tool output": lambda: (
            Agent(model, output_type=Order).run_sync(QUESTION).output
        ),
        "native output": lambda: (
            Agent(model, output_type=NativeOutput(Order)).run_sync(QUESTION).output
        ),
        "prompted": lambda: (
            Agent(model, output_type=PromptedOutput(Order)).run_sync(QUESTION).output
        ),
    }


def llm() -> dict[str, Callable[[], Any]]:
    from llm.default_plugins.openai_models import Chat

    model = Chat(MODEL, model_name=MODEL, api_base=URL, supports_schema=True)
    return {
        "chat": lambda: model.prompt(QUESTION, key=KEY, stream=False).text(),
        "stream": lambda: "".join(model.prompt(QUESTION, key=KEY)),
        "schema": lambda: Order.model_validate_json(
            model.prompt(QUESTION, key=KEY, schema=Order).text()
        ),
    }


def main() -> None:
    found: dict[str, str] = {}
    for client in (
        openai_client,
        langchain_openai,
        litellm,
        instructor,
        pydantic_ai,
        llm,
    ):
        name = client.__name__.removesuffix("_client")
        try:
            kinds = client()
        except ImportError as error:
            found[name] = f"not installed: {error}"
            continue
        for kind, ask in kinds.items():
            try:
                found[f"{name}: {kind}"] = "ok" if ask() else "no answer"
            except Exception as error:
                found[f"{name}: {kind}"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
