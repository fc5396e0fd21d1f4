"""Whatever is put in, what comes out is within Discord's limits."""

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roas.messages.message import joined, said
from roas.ui.drawing import (
    FIELD_VALUE,
    NOTHING,
    TOTAL,
    add_field,
    clip,
    code,
    code_block,
    fit,
    lines,
    marked_up,
    marked_up_line,
    one_line,
    plain,
)


@given(st.text(max_size=300), st.integers(min_value=1, max_value=100))
def test_clipped_text_within_limit(text: str, limit: int) -> None:
    assert len(clip(text, limit)) <= limit


@given(st.text(alphabet="\\*ab", max_size=40), st.integers(min_value=4, max_value=20))
def test_clip_never_splits_escape(text: str, limit: int) -> None:
    shown = clip(discord.utils.escape_markdown(text), limit)
    if shown.endswith("…"):
        body = shown[:-1]
        assert (len(body) - len(body.rstrip("\\"))) % 2 == 0


@given(st.lists(st.text(max_size=50), max_size=70), st.integers(min_value=30, max_value=500))
def test_joined_lines_fit_and_count_rest(parts: list[str], limit: int) -> None:
    text = lines(parts, limit)
    assert len(text) <= limit
    if text != "\n".join(parts):
        assert "more" in text


@given(st.text(max_size=3000), st.integers(min_value=20, max_value=1024))
def test_code_block_fits_and_cannot_be_closed(text: str, limit: int) -> None:
    block = code_block(text, limit)
    assert len(block) <= limit
    assert block.count("```") == 2


def test_code_block_keeps_end() -> None:
    """The last lines matter most."""
    assert "the cause" in code_block("x" * 5000 + "\nthe cause", 200)


@pytest.mark.parametrize("value", ["", "   ", "\n"])
def test_empty_field_never_posted(value: str) -> None:
    embed = discord.Embed()
    add_field(embed, value, value)
    assert embed.fields[0].value == NOTHING
    assert embed.fields[0].name == NOTHING


def test_26th_field_dropped_and_long_values_clipped() -> None:
    embed = discord.Embed()
    for _number in range(30):
        add_field(embed, "n" * 300, "v" * 2000)
    assert len(embed.fields) == 25
    assert all(len(field.value or "") <= FIELD_VALUE for field in embed.fields)


def test_embeds_of_message_within_6000_characters() -> None:
    embeds = [discord.Embed(title="t" * 300, description="d" * 5000) for _number in range(12)]
    fitted = fit(embeds)
    assert len(fitted) == 10
    assert sum(len(embed) for embed in fitted) <= TOTAL


def test_foreign_text_neither_formats_nor_pings() -> None:
    shown = plain("@everyone **bold** [a](https://example.org) `x`")
    assert "@everyone" not in shown
    assert "\\*\\*bold" in shown
    assert "\\`x\\`" in shown


def test_link_text_cannot_hide_target() -> None:
    shown = plain("[a](https://example.org) **b** [c](https://example.com)")
    assert "](" not in shown
    assert "\\*\\*b\\*\\*" in shown


def test_code_span_cannot_be_closed() -> None:
    assert code("a`b`c").count("`") == 2
    assert code("") == f"`{NOTHING}`"


def test_one_line_has_no_newline() -> None:
    assert "\n" not in one_line("a\nb\r\nc", 100)


def test_quoted_commands_are_code_and_fields_are_escaped() -> None:
    """What others wrote ends no code span, and is no markdown outside of one."""
    hint = said("Set TO_KEEP, then `docker rm -f {name}`: {reason}", name="a_b`c", reason="*no* `room`")
    assert marked_up(hint) == "Set TO\\_KEEP, then `docker rm -f a_bʼc`: \\*no\\* \\`room\\`"
    assert marked_up("by `hand`") == "by \\`hand\\`"
    assert marked_up(joined(" ", (said("See `roas status`."), said("Done.")))) == "See `roas status`. Done."


def test_marked_up_line_is_one_line_and_its_code_ends() -> None:
    long = said("Read\nthis: `docker compose logs {name}`", name="web" * 20)
    assert marked_up_line(long, 40) == "Read this: `docker compose logs webweb…`"
    assert len(marked_up_line(long, 40)) <= 40
    assert marked_up_line("by\n`hand`", 40) == "by \\`hand\\`"
    listed = joined("\n", [said("Not allowed:"), *(said("  - {name}", name=name) for name in ("web", "\\ api"))])
    assert marked_up_line(listed, 80) == "Not allowed: \\- web \\- \\\\ api"
