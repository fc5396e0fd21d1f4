"""`logs`: what the containers of a service write."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from roas.app.foundation import open_foundation
from roas.cli.running import EnvironmentName, ExitCode, Session, find_environment, run_command
from roas.concurrency import pause, run_concurrently
from roas.errors import InvalidRequestError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.stack.stack import Stack

MOST_LINES = 5000
FOLLOW_SECONDS = 1.0
# What is read again with each round, so that a secret of several lines is seen whole.
OVERLAP = timedelta(seconds=10)

ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="Which service.")]
Lines = Annotated[
    int, typer.Option("--lines", "-n", min=1, max=MOST_LINES, help="How many lines at most, for each container.")
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")]


def logs(environment: EnvironmentName, service: ServiceName, lines: Lines = 200, follow: Follow = False) -> None:
    """Show the last log lines of a service, without secrets; with --follow, what it writes from then on, too."""
    run_command(lambda session: _logs(session, environment, service, lines, follow=follow))


async def _logs(session: Session, name: str, service: str, lines: int, *, follow: bool) -> int:
    environment = find_environment(session.settings, name)
    async with open_foundation(session.settings, instance_prefix="CLI", read_only=True) as base:
        stack = base.stacks.of(environment)
        containers, new, since = await service_containers(stack, environment, service), NewLines(), None
        while True:
            asked_at = datetime.now(UTC)
            read = await run_concurrently(stack.read_log(item.id, lines=lines, since=since) for item in containers)
            texts = dict(zip((item.called for item in containers), read, strict=True))
            for container, line in new.of_round(texts):
                session.terminal.say(f"{container} | {base.redactor.redact(line)}")
            if not follow:
                return ExitCode.SUCCEEDED
            await pause(FOLLOW_SECONDS)
            lines, since = MOST_LINES, asked_at - OVERLAP
            containers = [item for item in await stack.containers() if item.service == service]


async def service_containers(stack: Stack, environment: Environment, service: str) -> list[ContainerSnapshot]:
    """Return the containers of a service. Raises InvalidRequestError where there is none."""
    there = await stack.containers()
    found = sorted((container for container in there if container.service == service), key=lambda item: item.number)
    if not found:
        known = ", ".join(sorted({container.service for container in there}))
        hint = f"There are: {known}." if known else "Nothing runs there."
        raise InvalidRequestError(f"{environment.name} runs no service {service!r}.", hint=hint)
    return found


class NewLines:
    """Tell the lines that are new from those that were read before: each begins with its time."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._first: dict[str, str] = {}

    def of_round(self, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield each container's name with a line that no earlier round had.

        A task of a Swarm begins with what the task before it wrote.
        """
        lines = {name: [line for line in text.split("\n") if line] for name, text in texts.items()}
        for name, of_container in lines.items():
            first = self._first.setdefault(name, of_container[0]) if of_container else ""
            # What has no time is said of the log: it cannot be read, or another task goes on with it.
            told = (line for line in of_container if line >= first or not line[:1].isdigit())
            yield from ((name, line) for line in told if line not in self._before)
        self._before = {line for of_container in lines.values() for line in of_container}
