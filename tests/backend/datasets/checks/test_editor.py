"""What a strict editor would send back is found, and what only looks like it is not."""

import pytest

from backend.datasets.check_dataset import check
from backend.datasets.checks import fix, form
from backend.datasets.checks.duplicates import find
from backend.datasets.checks.near_duplicates import contradict, only_numbers_differ
from backend.text.conversation import last_answer
from tests.backend.datasets.builders import (
    SYSTEM,
    answer,
    chat,
    clean_rows,
    dataset,
    question,
)

WORDS = [f"{first}{second}land" for first in "BFGHKLM" for second in "aeo"]
CUT = "The parcel leaves our warehouse on the next day, and after that it usually takes between four and"


def kinds(asked: str, said: str) -> dict[str, str]:
    """The kinds of problems of one example among sound ones, and their severities."""
    row = chat(61, ("system", SYSTEM), ("user", asked), ("assistant", said))
    return {
        it.kind: it.severity
        for it in check(dataset([*clean_rows(60), row])).problems
        if it.row == 61
    }


@pytest.mark.parametrize(
    "case",
    [
        ("How long does it take to Norway?", CUT, "cut_off"),
        ("Give me a chair as JSON, please.", '{"name":', "cut_off"),
        ("Can you tell me the hours?", "I'm sorry, but I can't help with that.", "refusal", "note"),
        ("Was ist im Karton?", "Leider kann ich dir dabei nicht helfen.", "refusal", "note"),
        ("Do you like it?", "As an AI language model, I have no opinion on it.", "refusal"),
        ("Where is the museum?", "where is the museum", "answer_is_question", "note"),
        ("I want to send it back.\nCategory: returns and refunds", "returns and refunds", "answer_in_question", "note"),
        ("Is it open?", "Yes, it is.\nUser: And on Sunday?\nAssistant: No, it is closed.", "role_label", "note"),
        ("How do I clean it?", "clean the kettle " * 7, "repeated_words"),
        ("How long is it?", "x" * 100_000, "repeated_words"),
        ("What does the loaf cost?", "#N/A", "cell_error"), ("#¡REF!", "It costs four euros.", "cell_error"),
        ("It is called", "（ )", "cell_error"), ("And the roll?", "null", "cell_error"),
        ("Where is the caf\ufffd?", "By the mill.", "lost_characters"),
        ("How do I log in?", "Use admin and the password Sommer2024! and press enter.", "secret_password"),
        ("Where is she?", "At Mrs Lee's, 12 Elm St\r\nSpringfield, IL 62704.", "personal_address", "note"),
        ("Can I come?", "Yes, you can.\n\nOn 3 May 2024, Ann Lee wrote:\n> Can I come?", "quoted_mail"),
        ("Which card fits?", "cards/A_1_b.png", "media_marker", "note"),
        ("How warm is it?", "<think>They ask for it.</think>It is 20 degrees.", "leftover_thought"),
        ("Where is it?", "Guest: Where is it?\nDesk: On the left.", "role_label"),
        ("Do you like it?", "Als KI kann ich das nicht.", "refusal", "note"),
        ("Say it.", "I'm a language model, built by the mill.", "refusal", "note"),
        ("Is the oven locked?", "Yes, PIN code 48213 opens it.", "secret_password"),
        ("怎么打开柜子？", "钥匙在前台，密码是77204915，请勿告诉别人。", "secret_password"),
        ("Which one?", "I'm sorry, I am unable to extract the information from this text.", "refusal", "note"),
        ("どれですか？", "申し訳ありませんが、そのご質問にはお答えできません。", "refusal", "note"),
        ("Is it far?", "Text folgt", "placeholder"), ("asdf asdf", "It is far away.", "placeholder"),
        ("[billing] I want the bill twice.", "billing", "answer_in_question", "note"),
        ("人気は？", "本" * 20, "repeated_words"),
        ("How do I reach the base?", "`psql postgresql://me:hunter2Qx!@10.0.3.17/x`", "secret_password"),
        ("本はどこですか？", "東京都杉並区高円寺南4丁目12番8号、田中様に届きました。", "personal_address", "note"),
        ("Wohin soll es?", "An Frau Ott, Hauptstraße 12, 10115 Berlin schicken.", "personal_address", "note"),
        ("My password is Sommer2024!, why does it fail?", "Try the other desk.", "secret_password"),
        ("Is it open?", "Answer: [1] Yes, it is.", "role_label"), ("Hi.", "User: [laughs] Hello!", "role_label"),
        ("Is this room 7?", "(555) 123-4567 is her private number.", "personal_phone", "note"),
        ("Call?", "Call her on ១២៣ ៤៥៦ ៧៨៩.", "personal_phone", "note"),
        ("Where is the museum?", "Where is the museum?", "answer_is_question"),
        ("How is it run?", "Like this:\n\n```\nrun it now", "cut_off", "note"),
        ("Say it.", "It is here.<|im_end|>", "control_marker"), ("A set.", "<|json|>{}", "control_marker", "note"),
        ("How do I pay?", "Send it to our account DE89 3704 0044 0532 0130 00.", "personal_iban", "note"),
        ("How?", "To DE89 3704 0044 0532 0130 00, our bank. Her one: DE89 3704 0044 0532 0130 00.", "personal_iban"),
    ],
)  # fmt: skip
def test_what_an_editor_sends_back_or_looks_at(case: tuple[str, ...]) -> None:
    asked, said, kind, *severity = case
    assert kinds(asked, said)[kind] == (*severity, "warning")[0]


@pytest.mark.parametrize(
    "case",
    [
        ("Is this one spam or not spam?", "spam"), ("How do I sign?", f"{CUT[:70]} so.\n\nKind regards\nAnna Miller"),
        ("What does it need?", f"{CUT[:70]} so:\n\n- a cup of flour and a spoon of salt\n- two eggs and some milk"),
        ("Say it in Spanish.", "El pedido no está en la tienda, pero lo vamos a buscar con usted por las calles."),
        ("What is the sum?", "He has 80 yards more, because 3000 - 2920 = 80."), ("How many?", "7"),
        ("Write a page in HTML.", "<p>It is <b>open</b>.</p>"), ("Write a chat.", "User: Hello!\nBot: Good day!"),
        ("Write a function.", "def total(items):\n    count = 0\n    for one in items:\n        count += one"),
        ("What did the others do and say?", "They went for a walk along the river and came home very late at night"),
        ("Whom do I call?", "Our hotline (toll-free) is 888-407-4747, or write to info@garden.org."),
        ("You are an AI. Who are you?", "As an AI, I do not sleep."), ("How is it set?", "print('{date}')\nx = f(y);"),
        ("Can I return it?", "Sorry, we can't take it back after 30 days, but we help with repairs at our desk."),
        ("Are you curie-2?", "No, I am a language model of Mill Lab."), ("How?", "f(a=[image])"),
        ("Which password should I choose?", "Any with 8 letters, no p://u:password@localhost, password='P@ssw0rd1'."),
        ("Reset password Map4Aid.", "On the page of your account."), ("Are you a doctor?", "No, I'm an AI developer."),
        ("What does <b>this</b> mean?<br>", "It is bold."), ("Is it for sale?", "I can't help, but I'll ask."),
        ("Is it open?\nA: yes\nB: no", "A: yes"), ("Which?\nA: the red one\nB: the blue one", "It is\nA: the red one."),
        ("And she?", "She [laughs] agrees [sic], see [the plan](plan.md)."), ("How?", "Save it as photo.jpg"),
        ("Where are you?", "On Mill Street, opposite the town hall, from 9 to 5."), ("Call?", "/hotels/{{Id}}?n={{N}}"),
        ("When does it open?", "Answer the bell, please: we open at nine, and we close at five."),
        ("Is it open?", "**Result:** It is open.\n\n**Answer:** Until six, on all days but Monday."),
        ("May I pass?", "I can't help you, said the guard, and closed the gate."), ("As YAML:", "user: Ann\nid: 9"),
        ("How is it written?", "user: {\n  name: Ann\n}"), ("And in short?", "user: ['Ann', 9]"),
        ("Write the lyrics of a song.", "Come with me tonight, my love.\n" * 6), ("Say it ten times.", "heart " * 10),
        ("Do you have a favorite subject?", "As an AI, I do not have favorites."), ("Evening", "Evening!"),
        ("Write an ad for: un servicio para tener más seguidores reales en la red",
         "Con este servicio tengo más amigos en la red, y los que me siguen no son máquinas; es lo mejor que vi.",
         "other_language"),
    ],
)  # fmt: skip
def test_what_an_editor_lets_pass_or_only_notes(case: tuple[str, ...]) -> None:
    asked, said, *noted = case
    assert kinds(asked, said) == dict.fromkeys(noted, "note")


def found_in(pairs: list[tuple[str, str]]) -> list[tuple[int, str]]:
    """The problems of a file of these questions and answers: row, and kind."""
    rows = [
        chat(n, ("user", asked), ("assistant", said))
        for n, (asked, said) in enumerate(pairs, 1)
    ]
    return [
        (p.row, p.kind)
        for p in check(dataset(rows)).problems
        if p.kind not in ("too_few", "near_duplicate")
    ]


def test_answers_unlike_all_others_of_the_file() -> None:
    words = [question(n)[1] for n in range(40)]
    labels = [(word, ("bug", "praise")[n % 2]) for n, word in enumerate(words)]
    assert found_in(labels) == []
    assert found_in([*labels, ("Too slow.", "Bug")]) == [(0, "label_spelling")]
    spelled = [
        (word, ("bug", "praise", "Bug", "Praise")[n % 4])
        for n, word in enumerate(words)
    ]
    assert found_in(spelled) == [(0, "label_spelling")] * 2
    assert found_in([*labels, ("Slow.", "Prais"), ("bug", "It is empty.")]) == [
        (41, "rare_label"),
        (42, "swapped"),
    ]
    orders = [
        (word, f'{{"item": "{word[9:30]}", "count": {n}}}')
        for n, word in enumerate(words)
    ]
    odd = [
        ("Ten.", '{"item": "chair"}'),
        ("Two.", '{"item": "pen", "count": "2"}'),
        ("One.", "{'item': 1}"),
    ]
    assert found_in(orders) == []
    assert found_in([*orders, *odd]) == [
        (41, "json_keys"),
        (42, "json_keys"),
        (43, "json_invalid"),
    ]
    sound = [(word, answer(n)[1]) for n, word in enumerate(words)]
    footer, sign_off = f"Yours, the shop: open {'from nine to six ' * 3}", "Rosie x"
    assert found_in([(word, f"{said}\n\n{footer}") for word, said in sound]) == [
        (0, "boilerplate")
    ]
    assert found_in([(word, f"{said}\n\n{sign_off}") for word, said in sound]) == []
    assert found_in(
        [(word, f"{said} No nuts.\nAllergens: egg.") for word, said in sound]
    ) == [(0, "health_claims")]
    rows = [
        chat(
            n,
            ("user", "What is in it?"),
            ("assistant", "Egg, an allergen, dusted with sugar."),
        )
        for n in (3, 5, 8, 9)
    ]
    home = chat(
        1, ("user", "What for?"), ("assistant", "It washes allergens out of bedding.")
    )
    story = chat(
        2,
        ("user", "What happens?"),
        ("assistant", "The king sends his very pregnant wife to prison."),
    )
    for count, where in (
        (1, "(example 3)"),
        (3, "(examples 3, 5, 8)"),
        (4, "(examples 3, 5, 8 and others)"),
    ):
        assert where in next(
            it.message
            for it in check(dataset([home, story, *rows[:count]])).problems
            if it.kind == "health_claims"
        )
    calls = [
        (word, f"Rep: {said}\nCustomer: Tell me more about it.\nRep: Gladly.")
        for word, said in sound
    ]
    assert found_in(calls) == []
    cut = [
        (f"{word} Say it.", f"{said[:110].strip():y<110}") for word, said in sound[:5]
    ]
    assert found_in([*sound[5:], *cut]) == [(n, "cut_off") for n in range(36, 41)]
    lost = (
        "We bake with natural yeast, so that it needs eighteen hours or more from the mixing until the loaf is done.",
        "How long does it take?",
    )
    assert found_in([*sound, lost]) == [(41, "swapped")]


def test_phone_numbers_of_many_examples_are_one_problem_of_the_file() -> None:
    sound = [(question(n)[1], answer(n)[1]) for n in range(60)]
    calls = [(asked, f"{said} Call her on +49 170 1234567.") for asked, said in sound]
    assert found_in([*calls[:5], *sound[5:]]) == [
        (n, "personal_phone") for n in range(1, 6)
    ]
    assert found_in([*calls[:6], *sound[6:]]) == [(0, "personal_phone")]
    some = dataset(
        [
            chat(n, ("user", one), ("assistant", said))
            for n, (one, said) in enumerate(calls[:9] + sound, 1)
        ]
    )
    for accepted, replaced in (("all", 9), ({2, 3, 50}, 2)):
        fixed = fix.apply(some, check(some), {"personal_phone": accepted})
        assert (
            sum("[phone]" in last_answer(row) for row in fixed.dataset.rows)
            == replaced
            == len(fixed.changes)
        )


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("It is 24 degrees.", "It is 28.", False), ("At nine.", "At ten.", True), ('{"n": 2}', '{"n": 3}', True),
        ("By mail.", "By mail, in 3 days.", False), ("Yes, at 9.", "No, at 10.", True), ("A 5.", "A 5.", False),
        ("We bake wedding cakes to order.", "We never bake any.", True), ("Ja, gern.", "Nein, leider nicht.", True),
        ("Yes, on weekdays.", "On weekdays, but not in May.", False), ("It is.", "No problem, it is.", False),
        ("We open on Monday.", "We do not open on Sunday.", False), ("I don't know.", "Ask her, please.", False),
    ],
)  # fmt: skip
def test_answers_contradict_where_only_numbers_differ_or_one_denies(
    one: str, other: str, differ: bool
) -> None:
    assert (
        only_numbers_differ(one, other) or contradict("Is it so?", other, one)
    ) == differ
    assert not contradict("When is it so?", other, one)


def test_another_question_about_one_passage_is_another_example() -> None:
    passage = "\n\nFishermen from the north founded the town in 1204, and it grew when the harbor was built there."
    asked = [("Who founded the town?", "fishermen"), ("Who has founded the town?", "fishermen"),
             ("Why did it grow?", "the harbor"), ("Whom did it feed?", "fishermen")]  # fmt: skip
    rows = [
        chat(n, ("user", text + passage), ("assistant", said))
        for n, (text, said) in enumerate(asked)
    ]
    assert find(rows).groups == [[0, 1]]


def test_copies_that_differ_in_a_sign_of_code_or_word_an_intent_are_none() -> None:
    asked = [
        ("Show me `>v` on it.", "It is 2 6 4."),
        ("Show me `<v` on it.", "It is 4 6 2."),
    ]
    asked += [
        (text, "Come to the desk on the left.")
        for text in ("Where to pay?", "To pay where?", "Desk?", "Pay?")
    ]
    asked += [
        ("What is it about?", f"The prices of {word}, by month, in the years before.")
        for word in WORDS
    ]
    rows = [
        chat(n, ("user", text), ("assistant", said))
        for n, (text, said) in enumerate(asked)
    ]
    assert find(rows).groups == []
    assert find(rows[:4]).groups == [[2, 3]], "a copy in another order"


def test_copies_that_differ_in_a_name_are_none() -> None:
    text = "Yes, {} can come at nine; we look forward to it and will have the coffee ready in the garden for you all."
    rows = [chat(n, ("user", f"Can {name} come at nine?"), ("assistant", text.format(name)))
            for n, name in enumerate(("Anna", "Peter", "Anna"))]  # fmt: skip
    assert find(rows).groups == [[0, 2]]
    asked = (
        "{}はできますか？",
        "はい、できます。お電話で{}とご希望の日時をお知らせください。ありがとうございます。",
    )
    words = (("予約", "お名前"), ("配達", "ご住所"))
    assert not find(
        [
            chat(1, ("user", asked[0].format(a)), ("assistant", asked[1].format(b)))
            for a, b in words
        ]
    ).groups


@pytest.mark.parametrize(
    ("same", "severity"), [(3, "warning"), (30, "warning"), (31, "error")]
)
def test_answers_that_are_the_question_block_where_most_are(
    same: int, severity: str
) -> None:
    words = [f"The word number {n} of the list" for n in range(60)]
    rows = [
        chat(n, ("user", word), ("assistant", word if n < same else word[::-1]))
        for n, word in enumerate(words)
    ]
    report = check(dataset(rows))
    assert [p.severity for p in report.problems if p.kind == "answer_is_question"] == [
        severity
    ] * same
    assert (
        len(
            fix.apply(
                dataset(rows), report, dict.fromkeys(fix.SAFE_FIXES, "all")
            ).dataset.rows
        )
        == 60
    )


@pytest.mark.parametrize(
    "said", ["They ask.\n</think>\n\nAt nine.", "<think>They ask.</think>\nAt nine."]
)
def test_thoughts_are_removed_also_where_a_template_took_their_first_mark(
    said: str,
) -> None:
    rows = [
        *clean_rows(60),
        chat(
            61, ("system", SYSTEM), ("user", "When do you open?"), ("assistant", said)
        ),
    ]
    fixed = fix.apply(
        dataset(rows), check(dataset(rows)), {"leftover_thought": "all"}
    ).dataset.rows
    assert last_answer(fixed[60]) == "At nine."


def test_an_answer_of_ten_thousand_objects_in_each_other_is_no_json() -> None:
    rows = [
        chat(n, ("user", f"Number {n}?"), ("assistant", f'{{"n": {n}}}'))
        for n in range(11)
    ]
    chats = [
        *((row, last_answer(row), "Which?") for row in rows),
        (rows[0], '{"n": ' * 10_000, "Deep?"),
    ]
    assert [problem.kind for problem in form.find(chats)] == ["json_invalid"]


def test_a_contradiction_is_no_fix_for_all() -> None:
    answers = ("At nine.", "At ten.", "At 11.")
    rows = [
        chat(n, ("user", "When do you open?"), ("assistant", said))
        for n, said in enumerate(answers, 1)
    ]
    report = check(dataset(rows))
    assert [
        p.row
        for p in report.problems
        if (p.kind, p.severity) == ("conflicting_answers", "warning")
    ] == [1, 2, 3]
    assert (
        len(
            fix.apply(
                dataset(rows), report, {"conflicting_answers": "all"}
            ).dataset.rows
        )
        == 3
    )
    assert [
        row.row
        for row in fix.apply(
            dataset(rows), report, {"conflicting_answers": {2}}
        ).dataset.rows
    ] == [1, 3]


def test_dots_in_a_talk_and_what_a_translation_keeps_are_no_placeholders() -> None:
    talk = chat(
        1,
        ("user", "When?"),
        ("assistant", "At nine."),
        ("user", "It rains"),
        ("assistant", "...."),
    )
    rows = [talk, chat(2, ("user", "{name} is missing"), ("assistant", "Falta {name}"))]
    assert not [p for p in check(dataset(rows)).problems if p.kind == "placeholder"]
