"""The words that people write before a question and its answer, or before what each speaker says."""

from __future__ import annotations

import re
from dataclasses import dataclass

# (question, answer), each with its other spellings after a bar.
_PAIRS = (
    ("q|question", "a|answer|ans"),
    ("ｑ|質問", "ａ|回答"),
    ("f|frage", "a|antwort"),
    ("q|question", "r|réponse|reponse"),
    ("p|pregunta", "r|respuesta"),
    ("p|pergunta", "r|resposta"),
    ("d|domanda", "r|risposta"),
    ("v|vraag", "a|antwoord"),
    ("p|pytanie", "o|odpowiedź"),
    ("в|вопрос", "о|ответ"),
    ("питання", "відповідь"),
    ("otázka", "odpověď"),
    ("kérdés", "válasz"),
    ("întrebare", "răspuns"),
    ("fråga|spørgsmål|spørsmål", "svar"),
    ("kysymys", "vastaus"),
    ("soru|s", "cevap|c"),
    ("ερώτηση", "απάντηση"),
    ("سؤال|س", "جواب|ج|إجابة"),
    ("שאלה", "תשובה"),
    ("प्रश्न|सवाल", "उत्तर|जवाब"),
    ("问|问题|問|問題|質問", "答|答案|回答|答え"),
    ("질문|문", "답변|답"),
    ("câu hỏi|hỏi", "trả lời|đáp"),
    ("prompt", "completion|response|reply"),
    ("instruction", "response|output"),
    ("input", "output"),
    ("front", "back"),
    ("term", "definition"),
    ("problem", "solution"),
)
_TURNS = (
    ("user|human|me", "assistant|ai|bot|chatbot|model|gpt|chatgpt|claude|gemini"),
    ("customer|client|visitor|caller", "agent|support|assistant|advisor|representative|rep|operator"),
    ("kunde|kundin", "berater|beraterin|mitarbeiter|mitarbeiterin|support|service"),
    ("client|cliente", "conseiller|agent|agente|asistente|assistente|support"),
    ("student|pupil", "teacher|tutor"),
    ("patient", "doctor|therapist"),
)
_SYSTEM = "system|system prompt"
_CONTEXT = "context|kontext|contexte|contexto"
_LABEL = (
    r"[ \t>#*_•-]{{0,8}}?(?:\d{{1,4}}[.)]\s+)?(?P<open>\*\*|__)?\s*(?:{words})(?:\s*\#?\d{{1,4}})?\s*"
    r"(?P<close>\*\*|__)?\s*{mark}(?P<after>\*\*|__)?[ \t]*"
)
_LETTER_MARK = r"[:：]"


@dataclass(frozen=True)
class Family:
    """The labels of one kind of text. turns: the labels are speakers, so a conversation can have several turns."""

    question: re.Pattern[str]
    answer: re.Pattern[str]
    turns: bool = False


def _pattern(names: str, letter_mark: str) -> re.Pattern[str]:
    letters = [word for word in names.split("|") if len(word) == 1 and word.isascii()]
    longer = [word for word in names.split("|") if word not in letters]
    parts = []
    if longer:
        parts.append(_LABEL.format(words="|".join(map(re.escape, longer)), mark=r"(?:[:：．]|\s[-–—](?=\s))"))
    if letters:
        groups = _LABEL.format(words="|".join(letters), mark=letter_mark)
        parts.append(re.sub(r"\?P<(\w+)>", r"?P<\g<1>_letter>", groups))
    return re.compile(rf"(?:{'|'.join(parts)})", re.IGNORECASE)


def families(letter_mark: str = _LETTER_MARK) -> list[Family]:
    """Every family. letter_mark: the pattern of what may follow a label of one letter, as in "Q." or "A)"."""
    pairs = [Family(_pattern(q, letter_mark), _pattern(a, letter_mark)) for q, a in _PAIRS]
    return pairs + [Family(_pattern(q, letter_mark), _pattern(a, letter_mark), True) for q, a in _TURNS]


def speakers(question: str, answer: str) -> Family:
    """The family of a conversation between two people of these names."""
    first, second = (
        re.compile(rf"[ \t>*_-]{{0,8}}{re.escape(name)}\s*[:：][*_]*[ \t]*") for name in (question, answer)
    )
    return Family(first, second, turns=True)


SYSTEM = _pattern(_SYSTEM, _LETTER_MARK)
CONTEXT = _pattern(_CONTEXT, _LETTER_MARK)


def after_label(pattern: re.Pattern[str], text: str) -> str | None:
    """The rest of `text` after the label at its start; None without one."""
    match = pattern.match(text)
    if match is None:
        return None
    groups = {name.removesuffix("_letter"): value for name, value in match.groupdict().items() if value}
    rest = text[match.end() :].strip()
    if "open" in groups and not {"close", "after"} & set(groups) and rest.endswith(groups["open"]):
        rest = rest.removesuffix(groups["open"]).rstrip()  # the whole line is bold
    return rest
