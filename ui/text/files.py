"""The encodings and columns of a file, in words."""

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "cp1257": "Windows-1257 (Baltic)",
    "iso8859-15": "ISO 8859-15 (Western Europe)",
    "koi8-r": "KOI8-R (Cyrillic)",
    "mac-roman": "Mac Roman",
    "cp437": "DOS 437",
    "cp850": "DOS 850",
    "shift-jis": "Shift JIS (Japanese)",
    "euc-jp": "EUC-JP (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
    "big5": "Big5 (Chinese)",
    "euc-kr": "EUC-KR (Korean)",
}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
FIELDS = {
    "messages": "Conversation",
    "question": "Question",
    "answer": "Answer",
    "context": "Text it is about",
    "system": "Instructions",
    "tools": "Tools",
    "instruction": "Task",
    "input": "Text it is about",
    "output": "Answer",
    "history": "Earlier turns",
    "prompt": "Question",
    "completion": "Answer",
    "chosen": "Better answer",
    "rejected": "Worse answer",
    "label": "Good or bad",
    "text": "Text",
}
READINGS = {
    "question_answer": "Examples: questions with answers",
    "messages": "Examples: conversations",
    "text": "A text: learn how it is written",
}
