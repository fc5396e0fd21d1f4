"""Find in a resolved model what would give the bot's own token to a service that is no bot."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.model.services import services_of
from roas.stack.policy.power import Power
from roas.stack.sources.opening import read_plain, resolve
from roas.stack.sources.withheld import SHORTEST_TOKEN

MOST_BYTES = 1 << 20


def judge_token(model: Mapping[str, Any], token: str) -> Iterator[Power]:
    """Find services that are given the bot's token: by value, wherever it stands."""
    if len(token) < SHORTEST_TOKEN:
        return
    configs = {name for name, value in (model.get("configs") or {}).items() if _contains(value, token)}
    for kind in ("volumes", "networks"):  # of which others than the services learn, such as a server of files
        for name, definition in (model.get(kind) or {}).items():
            if _contains({name: definition}, token):
                yield Power(said("{name} is given the bot's own token", name=name), f"bot_token:{name}")
    for name, service in services_of(model).items():
        if _contains(service, token) or any(config.get("source") in configs for config in service.get("configs") or ()):
            yield Power(said("{name} is given the bot's own token", name=name), f"bot_token:{name}")


def token_holders(environment: Environment, token: str) -> tuple[Path, ...]:
    """Return the files of variables that have the token."""
    return tuple(resolve(path) for path in environment.env_files if _has(path, token))


def judge_bound_token(name: str, source: str, holding: tuple[Path, ...], token: str) -> Iterator[Power]:
    """Find a bind of what has the token, from where it lies: a file, or a folder that has one of those `holding` it."""
    place = resolve(Path(source))
    found = next((path for path in holding if path.is_relative_to(place)), place if _has(place, token) else None)
    if found is not None:
        text = said("{name} is given {found}, which has the bot's own token", name=name, found=found)
        yield Power(text, f"bot_token:{name}")


def _has(path: Path, token: str) -> bool:
    return len(token) >= SHORTEST_TOKEN and token.encode() in read_plain(path, MOST_BYTES)


def _contains(value: object, token: str) -> bool:
    if isinstance(value, Mapping):
        return any(token in str(key) or _contains(item, token) for key, item in value.items())
    if isinstance(value, list):
        return any(_contains(item, token) for item in value)
    return isinstance(value, str) and token in value
