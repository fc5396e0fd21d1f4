"""Slash commands, autocomplete, buttons and forms through the real client and a real socket."""

from __future__ import annotations

import pytest

from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from sandbox.server import Sandbox
from sandbox.views import Message
from tests.integration.sandbox.small_bot import SmallBot

pytestmark = pytest.mark.wire


async def test_command_answer_seen_by_everybody(bot: SmallBot, people: SandboxClient) -> None:
    answer = await people.answer(await people.slash("dora", "hello", name="anna", loud=True))

    assert answer.acknowledged
    assert answer.acknowledged_after is not None
    assert answer.acknowledged_after < 3
    assert answer.original is not None
    assert answer.original.embeds[0]["description"] == "ANNA"
    assert [message.id for message in await people.messages()] == [answer.original.id]
    assert answer.original.author == "ROAS Bot"
    assert await people.violations() == []


async def test_locale_is_users(bot: SmallBot, people: SandboxClient) -> None:
    await people.set_locale("anna", "zh-TW")

    answer = await people.answer(await people.slash("anna", "hello", name="x"))
    other = await people.answer(await people.slash("anna", "hello", name="x", locale="de"))

    assert "zh-TW" in answer.original.text
    assert "de" in other.original.text


async def test_subcommand_takes_options(bot: SmallBot, people: SandboxClient) -> None:
    answer = await people.answer(await people.slash("dora", "group inner", count=3))

    assert answer.original.content == "inner 3"


@pytest.mark.parametrize(
    ("command", "options", "reason"),
    [
        ("nothing", {}, "no command /nothing"),
        ("hello", {}, "requires option 'name'"),
        ("hello", {"name": "x", "nope": 1}, "no option 'nope'"),
        ("group inner", {"count": 9}, "count"),
        ("hidden", {}, "default-member-permissions"),
    ],
)
async def test_unsendable_input_never_reaches_bot(
    bot: SmallBot, people: SandboxClient, command: str, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(ControlError, match=reason):
        await people.slash("dora", command, **options)
    assert bot.received == []


async def test_hidden_command_can_be_forced(bot: SmallBot, people: SandboxClient) -> None:
    """So that the bot's own check can be tested."""
    answer = await people.answer(await people.slash("bob", "hidden", even_if_hidden=True))

    assert answer.original.content == "you may not"


async def test_autocomplete_suggests(bot: SmallBot, people: SandboxClient) -> None:
    choices = await people.autocomplete("dora", "hello", "name", "ann")

    assert [choice.value for choice in choices] == ["anna", "annika"]
    with pytest.raises(ControlError, match="no option 'loud' that completes"):
        await people.autocomplete("dora", "hello", "loud", "x")


async def test_ephemeral_answer_private_to_user(bot: SmallBot, people: SandboxClient) -> None:
    answer = await people.answer(await people.slash("dora", "secret"))

    assert answer.ephemeral
    assert [message.content for message in await people.messages(as_user="dora")] == ["only for you"]
    assert await people.messages(as_user="anna") == []
    assert await people.messages() == []


async def test_deferred_answer_final_after_edit(bot: SmallBot, people: SandboxClient) -> None:
    sent = await people.slash("dora", "slow")
    first = await people.answer(sent, until="acknowledged")
    assert first.loading
    with pytest.raises(TimeoutError, match=r"complete answer.*deferred"):
        await people.answer(sent, deadline_seconds=0.1)

    bot.go_on.set()
    final = await people.answer(sent)
    assert final.original.content == "done at last"
    assert not final.original.loading

    def has_more(message: Message) -> bool:
        return message.content == "and one more thing"

    more = await people.wait_for_message(has_more, as_user="dora")
    assert more.ephemeral
    assert (await people.answer(sent)).message == more


async def test_no_answer_in_3_seconds_fails(bot: SmallBot, people: SandboxClient) -> None:
    sent = await people.slash("dora", "late")
    answer = await people.answer(sent)
    assert answer.error == "The application did not respond"
    assert not answer.acknowledged

    bot.go_on.set()
    error = await bot.next_error()
    assert (error.status, error.code) == (404, 10062)
    assert await people.messages() == []
    # Being late is no malformed request.
    assert await people.violations() == []


async def test_token_expires_after_15_minutes(bot: SmallBot, people: SandboxClient) -> None:
    sent = await people.slash("dora", "slow")
    await people.answer(sent, until="acknowledged")
    await people.advance(15 * 60)

    bot.go_on.set()
    error = await bot.next_error()
    assert (error.status, error.code) == (401, 50027)


async def test_second_acknowledgement_refused(bot: SmallBot, people: SandboxClient) -> None:
    sent = await people.slash("dora", "twice")

    error = await bot.next_error()
    assert (error.status, error.code) == (400, 40060)
    assert (await people.answer(sent)).original.content == "first"


async def test_refused_answer_keeps_interaction_open(bot: SmallBot, people: SandboxClient) -> None:
    sent = await people.slash("dora", "long")

    error = await bot.next_error()
    assert (error.status, error.code) == (400, 50035)
    await people.advance(3)
    assert not (await people.answer(sent)).acknowledged
    violation = (await people.violations())[0]
    assert violation["errors"] == ["data.embeds: Embed size exceeds maximum size of 6000"]


async def test_buttons_edit_message(bot: SmallBot, people: SandboxClient) -> None:
    offered = (await people.answer(await people.slash("dora", "buttons"))).original
    assert [(button.label, button.disabled) for button in offered.buttons] == [
        ("Yes", False),
        ("Quiet", False),
        ("Off", True),
    ]

    quiet = await people.answer(await people.click("bob", offered, "quiet"))
    assert quiet.kind == "deferred_update"
    assert quiet.original.content == "edited quietly"
    pressed = await people.answer(await people.click("anna", offered.id, "yes"))
    assert pressed.original.id == offered.id
    assert pressed.original.content == "yes by anna"
    assert pressed.original.buttons == []
    assert pressed.original.edited_at is not None


async def test_disabled_or_missing_button_raises(bot: SmallBot, people: SandboxClient) -> None:
    offered = (await people.answer(await people.slash("dora", "buttons"))).original

    with pytest.raises(ControlError, match="disabled"):
        await people.click("dora", offered, "off")
    with pytest.raises(ControlError, match="no component 'gone'"):
        await people.click("dora", offered, "gone")
    with pytest.raises(ControlError, match="no message 1 "):
        await people.click("dora", 1, "yes")


async def test_select_menus_and_forms_work(bot: SmallBot, people: SandboxClient) -> None:
    offered = (await people.answer(await people.slash("dora", "buttons"))).original
    with pytest.raises(ControlError, match="choose 1 to 1"):
        await people.select("dora", offered, "choose", ["green"])
    chosen = await people.answer(await people.select("dora", offered, "choose", ["blue"]))
    assert chosen.original.content == "chose ['blue']"

    asked = await people.slash("dora", "form")
    assert (await people.answer(asked)).modal["title"] == "Why"
    told = await people.answer(await people.submit(asked, reason="it is time"))
    assert told.original.content == "because it is time"
    assert await people.violations() == []


async def test_ephemeral_message_not_pressable_by_others(bot: SmallBot, people: SandboxClient) -> None:
    message = (await people.answer(await people.slash("dora", "secret"))).original

    with pytest.raises(ControlError, match="that this user can see"):
        await people.click("anna", message, "anything")


async def test_members_and_roles_in_interaction(bot: SmallBot, people: SandboxClient, sandbox: Sandbox) -> None:
    seen: list[set[int]] = []

    @bot.listen("on_interaction")
    async def look(interaction: object) -> None:
        seen.append({role.id for role in interaction.user.roles})

    await people.answer(await people.slash("anna", "secret"))
    await people.set_roles("anna", "hotfix")
    await people.answer(await people.slash("anna", "secret"))
    await people.add_user("new", "alert")
    await people.answer(await people.slash("new", "secret"))

    everyone, roles = sandbox.guild_id, sandbox.roles
    assert seen == [
        {everyone, roles["approver"], roles["deployer"]},
        {everyone, roles["hotfix"]},
        {everyone, roles["alert"]},
    ]
