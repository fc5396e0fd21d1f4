"""Judge, hash and renew stored models by today's policy, settings and credentials."""

import copy
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from roas.errors import unreadable_file
from roas.models.environment import Environment
from roas.redaction import is_credential
from roas.stack.docker.engine import EngineClients
from roas.stack.model.services import ADOPTED_HASH, services_of
from roas.stack.model.store import ModelStore
from roas.stack.resolution.resolver import StackResolver
from roas.stack.sources.opening import read_regular, resolve

# For so long an answer counts: a deployment asks once for each of its services.
FRESH_SECONDS = 15.0
MOST_BYTES = 4 << 20
# The model has the variables in it; the rest only says how the settings were found, or what other environments have,
# against which each plan is judged anew.
NOT_COVERED = frozenset(
    {
        *("variables", "ignored_files", "project_is_given", "requires", "soak", "siblings", "withheld"),
        *("part_of", "hosts", "waves"),
    },
)


class ReleasePolicy:
    """Judge stored models by the settings of this process."""

    def __init__(self, clients: EngineClients, resolver: StackResolver, models: ModelStore) -> None:
        self._clients = clients
        self._resolver = resolver
        self._models = models
        self._allowed: dict[tuple[str, str], float] = {}

    async def check(self, environment: Environment, model_hash: str) -> None:
        """Raise ComposePolicyError where a release asks for what is not allowed, or not any more."""
        judged = environment.name, model_hash
        now = time.monotonic()
        if now - self._allowed.get(judged, -FRESH_SECONDS) < FRESH_SECONDS:
            return
        model = await self._clients.local(lambda: self._models.load(model_hash))
        holdings = await self._resolver.holdings(environment)
        await self._resolver.check_stored(model, environment, holdings)
        self._allowed = {key: at for key, at in self._allowed.items() if now - at < FRESH_SECONDS} | {judged: now}


def hash_inputs(model: Mapping[str, Any], environment: Environment, allowed: tuple[str, ...], key: bytes) -> str:
    """Hash each by its name, with a key, so that nobody can guess it from the hash. Raises ComposeFileError."""
    covered: dict[str, object] = {
        field.name: getattr(environment, field.name) for field in fields(environment) if field.name not in NOT_COVERED
    }
    secrets = _secrets(model, resolve(environment.folder), key)
    covered |= {"policy_allow": sorted(allowed)} | {f"secrets.{name}": content for name, content in secrets}
    texts = {name: json.dumps(value, sort_keys=True, default=_plain) for name, value in covered.items()}
    return json.dumps({name: hmac.digest(key, text.encode(), "sha256").hex()[:32] for name, text in texts.items()})


def _plain(value: object) -> object:
    """Write a set in an order that is the same in each process."""
    return sorted(map(str, value)) if isinstance(value, frozenset) else str(value)


def _secrets(model: Mapping[str, Any], folder: Path, key: bytes) -> list[tuple[str, str]]:
    """Hash the secrets that are mounted as they lie: of the others, a model has copies by content."""
    mounted = {entry["source"] for fields in services_of(model).values() for entry in fields.get("secrets") or ()}
    found = (
        (str(name), (definition or {}).get("file"))
        for name, definition in (model.get("secrets") or {}).items()
        if name in mounted
    )
    return [(name, _keyed_hash(Path(str(source)), folder, key)) for name, source in found if source]


def _keyed_hash(path: Path, folder: Path, key: bytes) -> str:
    """Hash what a secret's file holds; one that the bot may not read counts as where it lies."""
    try:
        content = read_regular(path, resolve(path), folder, MOST_BYTES)[1]
    except PermissionError:
        return f"unreadable: {path}"
    except FileNotFoundError:  # refused already where a service has it
        return f"missing: {path}"
    except OSError as error:
        raise unreadable_file(path, error) from error
    return hmac.digest(key, content, "sha256").hex()


def with_credentials_of(model: Mapping[str, Any], today: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a model with today's credentials, and the credentials (`service: variable`) that today does not know."""
    renewed: dict[str, Any] = copy.deepcopy(dict(model))
    services_today = services_of(today)
    unknown: list[str] = []
    for name, service in services_of(renewed).items():
        today_has = _variables(services_today.get(name) or {})
        own = service.get("environment") or {}
        before = dict(own)
        for variable in filter(is_credential, map(str, list(own))):
            if variable in today_has:
                own[variable] = today_has[variable]
            else:
                unknown.append(f"{name}: {variable}")
        if own != before:  # containers from before it was adopted have the old ones
            (service.get("x-deploy") or {}).pop(ADOPTED_HASH, None)
    return renewed, tuple(unknown)


def _variables(service: Mapping[str, Any]) -> Mapping[str, Any]:
    return {str(variable): value for variable, value in (service.get("environment") or {}).items()}
