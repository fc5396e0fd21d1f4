"""The last door before Discord: whatever was drawn, no secret is sent, and nothing is longer than Discord takes."""

from collections.abc import Iterator

import discord
import pytest

from roas.redaction import Redactor, hide_everywhere
from roas.ui.drawing import Attachment, Button, Drawing, Picture
from roas.ui.redacted import hidden_drawing, hidden_embeds, hidden_text

SECRET = "Zk-planted_value*77"
# As `plain` writes it.
ESCAPED = "Zk-planted\\_value\\*77"


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """Let the process know one secret."""
    stop = hide_everywhere(Redactor([SECRET]))
    yield
    stop()


@pytest.mark.parametrize("said", [SECRET, ESCAPED])
def test_secret_in_any_part_of_a_message_hidden(said: str) -> None:
    embed = discord.Embed(title=said, description=said, url="https://discord.com/x")
    embed.add_field(name=said, value=f"before {said} after").set_footer(text=said).set_author(name=said)
    hidden = hidden_drawing(
        Drawing(
            "key",
            (embed,),
            content=said,
            buttons=(Button(said, "ack:ALERT-1"),),
            attachments=(Attachment("log.txt", f"x {said} y"),),
            picture=Picture("p.png", b"", said),
        )
    )
    (shown,) = hidden.embeds
    texts = [hidden.content, str(shown.to_dict()), hidden.buttons[0].label, hidden.attachments[0].text]
    texts.append(hidden.picture.description if hidden.picture else said)
    assert all("[redacted]" in text and "planted" not in text for text in texts)
    assert shown.fields[0].value == "before [redacted] after"
    assert (shown.url, hidden.buttons[0].custom_id) == ("https://discord.com/x", "ack:ALERT-1")


def test_message_without_secrets_is_the_same() -> None:
    drawing = Drawing("key", (discord.Embed(title="Deploy v1 to dev", description="**web** is `healthy`"),), "content")
    assert hidden_drawing(drawing).content_hash == drawing.content_hash
    assert hidden_embeds(drawing.embeds)[0] is drawing.embeds[0]


def test_hidden_message_still_fits() -> None:
    short = "q7-Zk9"
    stop = hide_everywhere(Redactor([short]))
    try:
        embed = discord.Embed(description=f"{short} " * 580).add_field(name="x", value=f"{short} " * 140)
        (shown,) = hidden_embeds([embed])
        assert len(shown.description or "") <= 4096
        assert len(shown.fields[0].value or "") <= 1024
        assert len(hidden_text(f"{short} " * 280)) <= 2000
    finally:
        stop()
