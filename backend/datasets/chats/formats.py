"""The formats of conversations that are read: one table. `source` is where each is documented."""

from __future__ import annotations

from backend.datasets.chats.format import ChatFormat

_ASSISTANT = {"human": "user", "prompter": "user", "user": "user", "assistant": "assistant", "system": "system"}

# Lists inside one conversation, or next to the conversations; a document's examples are in none of these.
IN_CONVERSATIONS = ("chat_messages", "comments", "profile_pictures")

FORMATS: tuple[ChatFormat, ...] = (
    ChatFormat(
        "a ChatGPT export",
        "https://github.com/mitkury/chatgpt-export-parser/blob/main/docs/chatgpt-data-export-format.md",
        needs=("mapping.*.children",),
        messages=("mapping.*",),
        author=("message.author.role",),
        roles={**_ASSISTANT, "tool": "", "system": ""},
        text=("message.content.parts[]",),
        time=("message.create_time",),
        id="id",
        parent="parent",
        leaf="current_node",
        only={
            "message.content.content_type": ("text", "multimodal_text"),
            "message.recipient": ("all",),
        },
        never=("message.metadata.is_visually_hidden_from_conversation",),
    ),
    ChatFormat(
        "a Claude export",
        "https://github.com/Sinity/polylogue/blob/master/docs/providers/claude-ai.md",
        needs=("chat_messages[].sender",),
        messages=("chat_messages[]",),
        author=("sender",),
        roles=_ASSISTANT,
        text=("content[type=text].text", "text"),
        time=("created_at",),
        id="uuid",
        parent="parent_message_uuid",
        leaf="current_leaf_message_uuid",
    ),
    *(
        ChatFormat(
            "a Telegram chat",
            "https://telegram.org/blog/export-and-more",
            needs=("messages[].from_id", "messages[].date"),
            records=records,
            messages=("messages[]",),
            author=("from_id",),
            name=("from",),
            text=("text[]", "text"),
            joint="",
            time=("date_unixtime", "date"),
            only={"type": ("message",)},
            never=("forwarded_from", "via_bot"),
            pauses=True,
        )
        for records in ("", "chats.list[]")
    ),
    ChatFormat(
        "a Discord channel",
        "https://github.com/Tyrrrz/DiscordChatExporter",
        needs=("channel.id", "messages[].author.id", "messages[].timestamp"),
        messages=("messages[]",),
        author=("author.id",),
        name=("author.nickname", "author.name"),
        text=("content",),
        time=("timestamp",),
        only={"type": ("Default", "Reply")},
        pauses=True,
    ),
    ChatFormat(
        "a Slack channel",
        "https://slack.com/help/articles/220556107-How-to-read-Slack-data-exports",
        needs=("ts", "type", "text"),
        thread="thread_ts",
        author=("user", "bot_id"),
        name=("user_profile.display_name", "user_profile.real_name", "username"),
        text=("text",),
        time=("ts",),
        only={"type": ("message",), "subtype": ("thread_broadcast", "me_message", "file_share", "bot_message")},
        markup="slack",
        pauses=True,
    ),
    *(
        ChatFormat(
            "a Zendesk export",
            "https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_comments/",
            needs=("requester_id", "comments[].author_id"),
            records=records,
            messages=("comments[]",),
            author=("author_id",),
            roles=_ASSISTANT,
            asker="requester_id",
            text=("plain_body", "body", "html_body"),
            time=("created_at",),
            only={"public": (True,)},
            markup="html",
        )
        for records in ("", "tickets[]")
    ),
    ChatFormat(
        "the comments of a Zendesk ticket",
        "https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_comments/",
        needs=("comments[].author_id", "comments[].public"),
        messages=("comments[]",),
        author=("author_id",),
        text=("plain_body", "body", "html_body"),
        time=("created_at",),
        only={"public": (True,)},
        markup="html",
    ),
    *(
        ChatFormat(
            "an Intercom export",
            "https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations/conversation",
            needs=("source.author.type", "conversation_parts.conversation_parts"),
            records=records,
            messages=("source", "conversation_parts.conversation_parts[]"),
            author=("author.type",),
            roles={
                **dict.fromkeys(("user", "lead", "contact"), "user"),
                **dict.fromkeys(("admin", "team"), "assistant"),
            },
            text=("body",),
            only={"part_type": ("comment", "open", "close", "assignment")},
            markup="html",
        )
        for records in ("", "conversations[]")
    ),
    ChatFormat(
        "OpenAssistant's trees",
        "https://huggingface.co/datasets/OpenAssistant/oasst1",
        needs=("message_tree_id", "prompt.role", "prompt.text"),
        messages=("prompt.~replies",),
        author=("role",),
        roles=_ASSISTANT,
        text=("text",),
        id="message_id",
        parent="parent_id",
        rank="rank",
        never=("deleted",),
    ),
    ChatFormat(
        "OpenAssistant's messages",
        "https://huggingface.co/datasets/OpenAssistant/oasst1",
        needs=("message_tree_id", "message_id", "role", "text"),
        thread="message_tree_id",
        author=("role",),
        roles=_ASSISTANT,
        text=("text",),
        id="message_id",
        parent="parent_id",
        rank="rank",
        never=("deleted",),
    ),
)
