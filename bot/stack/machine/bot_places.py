"""Read where bots keep their state: from the engine for containers that exist, from a model for those to come."""

from collections.abc import Iterable, Mapping
from typing import Any

from roas.models.facts import BotPlace, Mount
from roas.stack.containers.snapshots import inspect_or_none
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient

STATE_VARIABLE = "STATE_DIR"
# The defaults of Settings, for a bot whose environment does not set them.
DEFAULT_STATE_DIR = "state"
DEFAULT_PORT = 8000
TOKEN_VARIABLES = frozenset({"DISCORD_TOKEN", "DISCORD_TOKEN_FILE"})


async def find_bot_places(engine: Engine, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
    """Return where a bot in each container keeps its state and answers; missing containers are skipped."""

    def ask(client: EngineClient) -> dict[str, BotPlace]:
        found = {container_id: inspect_or_none(client, container_id) for container_id in container_ids}
        return {value: place_of_container(inspected) for value, inspected in found.items() if inspected is not None}

    return await engine.call(ask)


def place_of_container(inspected: Mapping[str, Any]) -> BotPlace:
    """Read a place from what inspecting a container returned."""
    config = inspected["Config"]
    variables = dict(variable.partition("=")[::2] for variable in config.get("Env") or ())
    mounts = tuple(
        Mount(
            str((mount.get("Name") if mount["Type"] == "volume" else None) or mount.get("Source", "")),
            str(mount["Destination"]),
            bool(mount.get("RW")),
            str(mount["Type"]),
        )
        for mount in inspected.get("Mounts") or ()
    )
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = tuple(
        (str(name), str(value["IPAddress"])) for name, value in networks.items() if value.get("IPAddress")
    )
    folder = _state_dir(variables, config.get("WorkingDir") or "/")
    return BotPlace(folder, mounts, _port(variables), addresses, frozenset(variables))


def has_variables_of_bot(variables: Iterable[str]) -> bool:
    """Return whether variables of these names are a bot's: where its state is, and its token or the file with that."""
    names = frozenset(variables)
    return STATE_VARIABLE in names and bool(names & TOKEN_VARIABLES)


def keeps_state_in(place: BotPlace, folder: str) -> bool:
    """Return whether a container has that folder of the machine as its state, or mounted for itself to write."""
    named = STATE_VARIABLE in place.variables and place.state_source == folder
    return named or any(mount.source == folder and mount.writable for mount in place.mounts)


def variables_of_service(model: Mapping[str, Any], service: str) -> Mapping[str, str] | None:
    """Return the environment of a service of a resolved model; None where the model has no such service."""
    fields = (model.get("services") or {}).get(service)
    if fields is None:
        return None
    return {str(key): str(value) for key, value in (fields.get("environment") or {}).items()}


def mounts_of_service(model: Mapping[str, Any], service: str) -> tuple[Mount, ...]:
    """Return what a service of a resolved model mounts; the source of a named volume is its name."""
    volumes = model.get("volumes") or {}
    mounted = model["services"][service].get("volumes") or ()
    return tuple(
        Mount(_source(item, volumes), str(item["target"]), not item.get("read_only"), str(item.get("type", "bind")))
        for item in mounted
    )


def _source(mount: Mapping[str, Any], volumes: Mapping[str, Any]) -> str:
    source = str(mount.get("source", ""))
    if mount.get("type") != "volume":
        return source
    return str((volumes.get(source) or {}).get("name") or source)


def _state_dir(variables: Mapping[str, str], working_dir: str) -> str:
    named = variables.get(STATE_VARIABLE) or DEFAULT_STATE_DIR
    return named if named.startswith("/") else f"{working_dir.rstrip('/')}/{named}"


def _port(variables: Mapping[str, str]) -> int:
    named = variables.get("HTTP_PORT", "")
    return int(named) if named.isdigit() else DEFAULT_PORT
