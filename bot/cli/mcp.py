"""`mcp`: serve agents over stdio by the Model Context Protocol: they look, plan and propose; people say yes."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from roas.app.foundation import open_foundation
from roas.cli.connection import open_connection
from roas.cli.history import DeploymentList
from roas.cli.logs import service_containers
from roas.cli.running import ExitCode, Session, find_environment, open_journal, run_command
from roas.cli.status import find_status
from roas.concurrency import run_concurrently
from roas.errors import InvalidRequestError, RoasError
from roas.extras import MCP, load
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.redaction import hide
from roas.state.documents import hidden_json
from roas.version import __version__

MOST_LINES, MOST_DEPLOYMENTS = 500, 50
INSTRUCTIONS = """These tools look at Docker Compose stacks, plan deployments, and propose versions to the people in the
team's channel. A proposal is a message there: a person says yes to it, or no. Nothing here deploys anything."""


class Tools:
    """Answer an agent by what the command line answers a person, without secrets."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def status(self, environment: str = "") -> str:
        """Tell how environments are: services, release, holds, and the deployment under way. All by default."""
        return hidden_json(await find_status(self._session, environment or None))

    async def history(self, environment: str = "", limit: int = 10) -> str:
        """List the last deployments, the newest first: who, what, when, how they ended, and why."""
        if environment:
            find_environment(self._session.settings, environment)
        async with open_journal(self._session) as state:
            found = await state.deployments.list(environment or None, limit=max(1, min(limit, MOST_DEPLOYMENTS)))
        return hidden_json(DeploymentList(found))

    async def logs(self, environment: str, service: str, lines: int = 100) -> str:
        """Return the last lines that each container of a service has logged."""
        async with open_foundation(self._session.settings, instance_prefix="CLI", read_only=True) as base:
            target = find_environment(self._session.settings, environment)
            stack = base.stacks.of(target)
            found = await service_containers(stack, target, service)
            count = max(1, min(lines, MOST_LINES))
            texts = await run_concurrently(stack.read_log(item.id, lines=count) for item in found)
            named = (f"=== {item.called}\n{text}" for item, text in zip(found, texts, strict=True))
            return base.redactor.redact("\n".join(named))

    async def plan(self, environment: str, version: str, services: tuple[str, ...] = ()) -> str:
        """Plan a deployment, without starting it: what it would change, service by service."""
        request = DeploymentRequest(
            environment, DeploymentKind.DEPLOY, self._session.user, version=version, services=services
        )
        async with open_connection(self._session, read_only=True) as connection:
            return hidden_json(await connection.client.plan(request))

    async def propose(self, environment: str, version: str, reason: str, services: tuple[str, ...] = ()) -> str:
        """Propose a version to the people in the channel, and say why. A person has to say yes to it there."""
        request = DeploymentRequest(
            environment, DeploymentKind.DEPLOY, self._session.user, version=version, services=services, reason=reason
        )
        async with open_connection(self._session, read_only=True) as connection:
            return hidden_json(await connection.client.propose(request))


async def _serve(session: Session) -> int:
    server_class = load(MCP, InvalidRequestError, "server.mcpserver").MCPServer
    tool_error = load(MCP, InvalidRequestError, "server.mcpserver.exceptions").ToolError
    annotations = load(MCP, InvalidRequestError, "types").ToolAnnotations

    def answering(tool: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
        @wraps(tool)
        async def answer(*arguments: Any, **named: Any) -> str:
            try:
                return await tool(*arguments, **named)
            except RoasError as error:
                raise tool_error(hide(error.whole)) from error

        return answer

    tools = Tools(session)
    server = server_class("roas", instructions=INSTRUCTIONS, version=__version__)
    for tool in (tools.status, tools.history, tools.logs, tools.plan, tools.propose):
        only_reads = annotations(read_only_hint=tool != tools.propose, destructive_hint=False)
        server.add_tool(answering(tool), annotations=only_reads, structured_output=False)
    await server.run_stdio_async()
    return ExitCode.SUCCEEDED


def mcp() -> None:
    """Serve an agent over stdin and stdout: status, history, logs, plan, propose. No tool says yes to anything."""
    run_command(_serve)
