"""An agent looks, plans and proposes over stdio by the protocol's own client; there is no tool that says yes."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.e2e.wire.bot_process import ROOT
from tests.integration.sandbox.channel import outcome, press

pytestmark = [pytest.mark.wire, pytest.mark.timeout(240)]


@asynccontextmanager
async def agent(settings: dict[str, str]) -> AsyncIterator[ClientSession]:
    """Start `roas mcp` as an agent does."""
    command = StdioServerParameters(command=sys.executable, args=["-m", "roas", "mcp"], env=settings, cwd=ROOT)
    async with stdio_client(command) as streams, ClientSession(*streams) as session:
        await session.initialize()
        yield session


async def call(session: ClientSession, tool: str, **arguments) -> tuple[bool, str]:
    """Return whether a tool succeeded, and its text."""
    result = await session.call_tool(tool, arguments)
    return not result.is_error, result.content[0].text


async def test_agent_proposes_and_a_person_says_yes(bot, bot_settings, people, shop):
    command = ["sh", "-c", "echo the token is $$API_TOKEN; exec /serve"]
    shop.write(alone=True, web={"environment": {"API_TOKEN": "a-secret-of-the-shop"}, "command": command})
    async with agent(bot_settings) as session:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"status", "history", "logs", "plan", "propose"}
        assert {name for name, tool in tools.items() if not tool.annotations.read_only_hint} == {"propose"}

        good, text = await call(session, "plan", environment="dev", version="v1")
        assert good, text
        assert json.loads(text)["services"][0]["action"] == "create"
        assert shop.containers("dev") == []

        good, text = await call(session, "propose", environment="dev", version="v1", reason="the tests are green")
        assert good, text
        shown = await people.wait_for_message(
            lambda message: "New version for dev: v1" in message.text and "is created" in message.text,
            deadline_seconds=30,
        )
        assert "the tests are green" in shown.text
        assert "agent." in shown.text
        await press(people, "dora", shown, "take")
        await people.wait_for_message(lambda message: "v1 → dev: succeeded" in message.text, deadline_seconds=150)

        good, text = await call(session, "history", environment="dev")
        deployment = json.loads(text)["deployments"][0]
        assert "succeeded" in (await outcome(people, deployment["id"])).text
        good, text = await call(session, "status", environment="dev")
        assert json.loads(text)["environments"][0]["release"]["version"] == "v1"
        good, text = await call(session, "logs", environment="dev", service="web")
        assert good, text
        assert ("the token is" in text, "a-secret-of-the-shop" in text) == (True, False), text

        for tool, arguments, words in (
            ("plan", {"environment": "moon", "version": "v1"}, "no environment"),
            ("propose", {"environment": "dev", "version": "--yes", "reason": ""}, ""),
            ("logs", {"environment": "dev", "service": "../bot"}, "runs no service"),
        ):
            good, text = await call(session, tool, **arguments)
            assert (good, words in text) == (False, True), text
