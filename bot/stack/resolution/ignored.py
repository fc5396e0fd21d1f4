"""Say what `docker compose` in the stack's folder would take or do, and a deployment does not."""

from collections.abc import Iterator, Mapping
from typing import Any

from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.model.services import services_of

HOOKS = ("post_start", "pre_stop")


def ignored_files(environment: Environment) -> tuple[str, ...]:
    """Return what to say of files that `docker compose` in the stack's folder would take, and a deployment does not."""
    if not environment.ignored_files:
        return ()
    used, ignored = (
        ", ".join(path.name for path in paths) for paths in (environment.compose_files, environment.ignored_files)
    )
    return (
        said(
            "{ignored} is not used: the files of {environment} are {used}.",
            ignored=ignored,
            environment=environment.name,
            used=used,
        ),
    )


def ignored_hooks(model: Mapping[str, Any]) -> Iterator[str]:
    """Say which hooks nobody runs: Compose does so itself, and of ours it only creates containers."""
    for name, service in services_of(model).items():
        if hooks := ", ".join(key for key in HOOKS if service.get(key)):
            yield said(
                "{name} has {hooks}, which this bot does not run: it starts and stops containers by the engine.",
                name=name,
                hooks=hooks,
            )
