"""Texts name commands as people find them, and nothing else that begins with a stroke."""

import discord
import pytest

from roas.ui.command_names import drawing_found_as, found_as, grouped
from roas.ui.drawing import Drawing


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Use /rollback dev, or `/deploy`.", "Use /roas rollback dev, or `/roas deploy`."),
        ("Use /deploy.", "Use /roas deploy."),
        ("/status", "/roas status"),
        ("（/lock）", "（/roas lock）"),
        ("http://host/status and /srv/logs, /logs/x, /status-page, /deploy.yml, and/or", None),
        ("/health", None),
    ],
)
def test_commands_are_named_in_their_group(text: str, shown: str | None) -> None:
    with grouped("roas"):
        assert found_as(text) == (shown or text)
    assert found_as(text) == text


def test_grouped_message_stays_within_limits() -> None:
    embed = discord.Embed(title="/status", description="/logs " * 680)
    embed.add_field(name="/name", value="/deploy " * 120)
    with grouped("roas"):
        drawing = drawing_found_as(Drawing("", (embed,), content="see /history"))
    (renamed,) = drawing.embeds
    assert (drawing.content, renamed.title) == ("see /roas history", "/roas status")
    assert len(renamed.description or "") <= 4096
    assert len(renamed.fields[0].value or "") <= 1024
    assert len(renamed) <= 6000
    assert embed.title == "/status", "what was drawn is left as it is"
