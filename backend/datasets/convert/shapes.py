"""The shapes of examples: their fields, and the usual column names of each field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """title: its name for people. required: one field of each group must have a column."""

    title: str
    required: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All its fields."""
        return (*(field for group in self.required for field in group), *self.optional)


SHAPES: dict[str, Shape] = {
    "messages": Shape("conversations (messages, as OpenAI writes them)", (("messages",),), ("system", "tools")),
    "sharegpt": Shape("conversations (from and value, as in ShareGPT)", (("messages",),), ("system", "tools")),
    "alpaca": Shape(
        "tasks and answers (instruction and output, as in Alpaca)",
        (("instruction",), ("output",)),
        ("input", "system", "history"),
    ),
    "prompt_completion": Shape(
        "questions and answers (prompt and completion)", (("prompt",), ("completion",)), ("system", "tools")
    ),
    "question_answer": Shape(
        "questions and answers (question and answer)", (("question",), ("answer",)), ("context", "system")
    ),
    "preference": Shape(
        "a better and a worse answer each (chosen and rejected)",
        (("chosen",), ("rejected",)),
        ("prompt", "messages", "input", "system", "tools"),
    ),
    "kto": Shape(
        "single answers marked good or bad (KTO)",
        (("prompt", "messages"), ("label",)),
        ("completion", "input", "system", "tools"),
    ),
    "text": Shape("plain text", (("text",),)),
}


def named(names: str) -> tuple[str, ...]:
    """The names in a text, divided by spaces."""
    return tuple(names.split())


# In the form of `plain_name`; the first name that a file has is used.
NAMES: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns", "contents"),
    "system": ("system", "system_prompt", "systemprompt", "system_message", "system_instruction"),
    "tools": ("tools", "functions"),
    "instruction": ("instruction", "instructions"),
    "input": ("input", "context"),
    "output": ("output", "response"),
    "history": ("history",),
    "prompt": ("prompt",),
    "completion": ("completion",),
    "chosen": named(
        "chosen chosen_messages accepted preferred preferred_output chosen_response response_chosen "
        "chosen_answer accepted_answer preferred_response preferred_answer winner better"
    ),
    "rejected": named(
        "rejected rejected_messages dispreferred non_preferred nonpreferred not_preferred non_preferred_output "
        "rejected_response response_rejected rejected_answer unaccepted not_chosen loser worse "
        "dispreferred_response dispreferred_answer non_preferred_response non_preferred_answer"
    ),
    "pair_prompt": ("prompt", "question", "query", "instruction", "input", "user"),  # of a preference pair
    "label": ("label", "kto_tag"),
    "context": ("context", "passage", "background", "kontext", "contexte", "contexto"),
    "text": ("text", "content", "document", "body", "article", "markdown"),
    "question": named(
        "question questions query user human user_message user_input ask q prompt input instruction request "
        "source problem customer message customer_message email utterance source_text input_text front frage "
        "fragen anfrage eingabe kunde pregunta preguntas consulta entrada requête requete entrée domanda domande "
        "richiesta pergunta vraag pytanie вопрос запрос питання otázka kérdés întrebare fråga spørgsmål spørsmål "
        "kysymys soru ερώτηση سؤال السؤال שאלה प्रश्न सवाल 问题 問題 提问 質問 질문 câu_hỏi pertanyaan คำถาม"
    ),
    "answer": named(
        "answer answers response reply assistant gpt bot assistant_message completion output a target solution "
        "agent agent_reply target_text output_text back model best_answer expected expected_output ideal summary "
        "label antwort antworten ausgabe respuesta respuestas salida réponse réponses reponse risposta risposte "
        "resposta respostas antwoord odpowiedź ответ відповідь odpověď válasz răspuns svar vastaus cevap yanıt "
        "απάντηση جواب الجواب إجابة תשובה उत्तर जवाब 答案 回答 答え 답변 대답 câu_trả_lời trả_lời jawaban คำตอบ"
    ),
}


def plain_name(column: str) -> str:
    """A column name for comparing: lower case, words joined by _, without marks such as : and *."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column)
    return re.sub(r"[\s_:;*.,?!()#\[\]-]+", "_", apart.casefold()).strip("_")


class Columns:
    """The columns of a record, to be found by the usual names of a field."""

    def __init__(self, columns: Iterable[str]) -> None:
        self._by_name: dict[str, str] = {}
        for column in columns:
            self._by_name.setdefault(plain_name(column), column)

    def find(self, *fields: str) -> dict[str, str]:
        """{field: column} for each of `fields` that has a column."""
        mapping = {}
        for field in fields:
            column = next((self._by_name[name] for name in NAMES[field] if name in self._by_name), None)
            if column is not None:
                mapping[field] = column
        return mapping


def complete(shape: str, mapping: Mapping[str, str]) -> bool:
    """Whether `mapping` has every required field of the shape."""
    return all(any(field in mapping for field in group) for group in SHAPES[shape].required)
