"""What the author of an e-mail wrote is separated from quotations and signatures, in
any language.
"""

from pathlib import Path

import pytest

from backend.datasets.chats import mail_text
from backend.datasets.chats.clean import html
from backend.datasets.chats.mail import is_mail, mail_messages
from backend.datasets.chats.mail_text import ADDRESS, own_words, repeated_ends
from backend.datasets.read.load import ReadOptions, load
from tests.cases import cases


@pytest.mark.parametrize(("text", "said", "quoted"), cases("chats", "mails"))
def test_quotations_and_signatures(text: str, said: str, quoted: str) -> None:
    assert own_words(text)[:2] == (said, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "Please send me:\n\n- the key\n- the lock\n\nand on 4.3.2024 we open:\nall of it.",
        "Name: Anna\nOrder: 4711 of 2024\nDate: 4.3.2024 09:12\n\nWhere is it?",
        "We meet on 4 March 2024 at 9:12:\n\nin the hall.", "From: time to time I write\nmore.", "One\n---\nTwo",
        "Write to a@b.org if you like.\n\nTom",
    ],
)  # fmt: skip
def test_what_is_no_quotation_stays(text: str) -> None:
    assert own_words(text) == (text, "", "")


def test_lines_and_addresses_have_limits() -> None:
    long = "a" * 3_000 + " <a@b.org> wrote:"
    assert own_words(f"{long}\n> Open?\n\nYes.")[0] == f"{long}\n\nYes."
    assert ADDRESS.findall("a" * 100 + "@b.org") == ["a" * 64 + "@b.org"]
    assert ADDRESS.findall("a" * 10_000 + "@") == []


def test_many_lines_that_may_begin_a_quotation_are_looked_at_a_few_times_each() -> None:
    class Line(str):
        looked = 0

        def startswith(self, *args: object) -> bool:
            Line.looked += 1
            return super().startswith(*args)  # type: ignore[arg-type]

    text = "On 4.3.2024:\n\nno\n\n" * 200 + "> Open?\n\nEnd."
    mail_text._divide([Line(line) for line in text.split("\n")])
    assert Line.looked < 10 * text.count("\n")


def mail_with(subject: str, body: str = "Open?", kind: str = "plain") -> list[bytes]:
    head = (
        f"From: a@x.org\nTo: t@x.org\nSubject: {subject}\nContent-Type: text/{kind}\n\n"
    )
    return (head + body).encode().split(b"\n")


def only_record(lines: list[bytes]) -> dict[str, object]:
    ((_, record),) = [one for batch in mail_messages(lines) for one in batch]
    assert isinstance(record, dict)
    return record


def test_of_a_subject_only_the_beginning_counts() -> None:
    assert only_record(mail_with("Re[2]: AW : Door"))["thread"] == "Door"
    assert only_record(mail_with("x" * 5_000))["thread"] == "x" * 1_000
    assert only_record(mail_with("re" + " " * 5_000 + "!"))["thread"] == "re"


def test_only_whole_tags_count_in_html() -> None:
    ((question, answer),) = mail_messages(
        mail_with("x", 'Yes<div dir="ltr" class="gmail_quote">Open?</div>', "html")
    )
    assert [question[1]["text"], answer[1]["text"]] == ["Open?", "Yes"]
    assert "Open?" in str(
        only_record(mail_with("x", "Yes<div <p gmail_quote>Open?</div>", "html"))[
            "text"
        ]
    )
    assert (
        only_record(mail_with("x", "Yes" + "<div " * 1_000, "html"))["text"]
        == ("Yes" + "<div " * 1_000).strip()
    )
    assert html("Is 1 <a <3 or> 2?") == "Is 1 <a <3 or> 2?"
    assert html("<a" * 1_000) == "<a" * 1_000
    assert html('See <a href="x">this</a><br/>') == "See this"


def test_of_the_lines_in_which_most_mails_of_an_author_end_only_a_sign_off_stays() -> (
    None
):
    mails = [f"Answer {number}.\n\nRegards\nMia\nMill Lane 4" for number in range(3)]
    signed = [f"Answer {number}.\n\nRegards\nMia" for number in range(3)]
    assert repeated_ends([*mails, "Short."]) == [*signed, "Short."]
    assert repeated_ends(signed) == signed
    assert repeated_ends([f"{mail}\nMill Lane\nStow" for mail in signed]) == [
        f"{mail}\nMill Lane" for mail in signed
    ]
    assert repeated_ends([f"{n}!\nmia@mill.org\nStow" for n in "abc"]) == [
        "a!",
        "b!",
        "c!",
    ]
    small_print = "This message is only for the person to whom it is addressed; tell us if you are not."
    assert repeated_ends([f"{mail}\n{small_print}" for mail in signed]) == signed
    assert repeated_ends(mails[:2]) == mails[:2]
    assert repeated_ends(["Yes."] * 5) == ["Yes."] * 5


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"From 179@xxx Mon Mar 04 09:12:00 +0000 2024\nFrom: a@b.org\nTo: c@d.org\nSubject: x\n\nhi", True),
        (b"Received: by x\n with y\nFrom: a@b.org\r\nSubject: x\r\n\r\nhi", True),
        (b"From: Anna\nTo: Tom\n\nA play in one act.", False),
        (b"From " + b"00:00" * 1_000 + b"a 09:12:00 2024\nFrom: a@b.org\nTo: c@d.org\nSubject: x\n\nhi", False),
        (b"From here on the story goes.\nSubject: none", False), (b"question,answer\nFrom: a,b\n", False),
        (b"", False),
    ],
)  # fmt: skip
def test_what_begins_as_an_email_does(head: bytes, expected: bool) -> None:
    assert is_mail(head) is expected


def test_an_unreadable_mail_costs_no_other(tmp_path: Path) -> None:
    def mail(sender: str, text: str, charset: str = "utf-8") -> bytes:
        head = f"From x@y Mon Mar 04 09:12:00 2024\nFrom: {sender}\nTo: t@x.org\nSubject: =?utf-8?q?Caf=C3=A9?=\n"
        return (
            head + f"Content-Type: text/plain; charset={charset}\n\n{text}\n\n"
        ).encode()

    path = tmp_path / "box.mbox"
    path.write_bytes(
        mail("a@x.org", "Open?") + mail("a@x.org", "Still?", "no-such-charset") + mail("b@x.org", "Yes")
        + b"From x@y Mon Mar 04 09:12:00 2024\nFrom: \xff\xfe<<>>\nContent-Type: ;;;\n\n\xff\n\n"
    )  # fmt: skip
    data = load(path, options=ReadOptions(imitate=["b@x.org"]))
    assert [message["content"] for message in data.rows[0].messages] == [
        "Open?\nStill?",
        "Yes",
    ]
