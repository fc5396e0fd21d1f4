"""Find the Compose projects of an engine, and the one that a stack's folder runs as already."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from roas.configuration.stack_files import plain_name, usual_project
from roas.models.environment import Environment
from roas.models.facts import FoundProject
from roas.stack.docker.labels import CONFIG_FILES, ENV_FILES, ONE_OFF, PROJECT, SERVICE, WORKING_DIR
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.services import real_name
from roas.stack.sources.opening import resolve


def find_projects(client: EngineClient) -> tuple[FoundProject, ...]:
    """Return the projects of which there is a container or a volume, sorted by name."""
    containers: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    volumes: dict[str, list[str]] = defaultdict(list)
    for container in client.containers(all=True, filters={"label": PROJECT}):
        containers[container["Labels"][PROJECT]].append(container)
    for volume in client.volumes(filters={"label": PROJECT}).get("Volumes") or ():
        volumes[volume["Labels"][PROJECT]].append(str(volume["Name"]))
    return tuple(
        FoundProject(
            name=name,
            folders=frozenset(folder for entry in containers[name] if (folder := entry["Labels"].get(WORKING_DIR))),
            files=_listed(containers[name], CONFIG_FILES),
            env_files=_listed(containers[name], ENV_FILES),
            containers=tuple(sorted(_name(entry) for entry in containers[name])),
            volumes=tuple(sorted(volumes[name])),
            services=frozenset(
                str(entry["Labels"].get(SERVICE, ""))
                for entry in containers[name]
                if entry["Labels"].get(ONE_OFF) != "True"
            ),
        )
        for name in sorted({*containers, *volumes})
    )


def networks_and_volumes(client: EngineClient, model: Mapping[str, Any], project: str) -> dict[str, str]:
    """Return the networks and volumes of a model that are there, with what tells each from another of its name."""
    networks, volumes = (
        {real_name(key, value, project) for key, value in (model.get(kind) or {}).items()}
        for kind in ("networks", "volumes")
    )
    found = {
        f"network {network['Name']}": str(network["Id"])
        for network in (client.networks() if networks else ())
        if network["Name"] in networks
    }
    return found | {
        f"volume {volume['Name']}": f"{volume.get('Driver')} {volume.get('CreatedAt')}"
        for volume in ((client.volumes().get("Volumes") or ()) if volumes else ())
        if volume["Name"] in volumes
    }


def ended_services(client: EngineClient, project: str) -> tuple[str, ...]:
    """Return the services of a project that ended with code 0 and that nothing starts again."""
    own = {"label": f"{PROJECT}={project}", "status": "exited"}
    found = (client.inspect_container(container["Id"]) for container in client.containers(all=True, filters=own))
    return tuple(
        sorted(
            {
                str(item["Config"]["Labels"].get(SERVICE, ""))
                for item in found
                if item["State"]["ExitCode"] == 0
                and item["HostConfig"]["RestartPolicy"]["Name"] in {"", "no", "on-failure"}
                and item["Config"]["Labels"].get(ONE_OFF) != "True"
            }
        )
    )


def runs_already_as(
    environment: Environment, projects: Iterable[FoundProject], ours: Callable[[], Collection[str]]
) -> FoundProject | None:
    """Return the project that an environment's folder runs as already, where its own is another and has nothing.

    It is known by the label of its folder, or by the name that `docker compose` takes there. `ours` are the projects of
    all environments, asked only where one is found: each of them is meant to be beside the others.
    """
    found = {project.name: project for project in projects}
    if environment.project_is_given or environment.project in found:
        return None
    folder = resolve(environment.folder)
    usual = usual_project(folder, environment.compose_files, environment.env_files)
    for name, project in sorted(found.items(), key=lambda item: (item[0] != usual, item[0])):
        places = {resolve(Path(place)) for place in project.folders}
        is_here = folder in places or (name == usual and not _is_elsewhere(name, folder, places))
        if is_here and name not in ours():
            return project
    return None


def _is_elsewhere(name: str, folder: Path, places: Collection[Path]) -> bool:
    """Return whether a project only has the name of our folder by chance: it is that of another folder, too."""
    return name == plain_name(folder.name) and any(place.is_dir() for place in places)


def _listed(containers: Iterable[Mapping[str, Any]], label: str) -> tuple[str, ...]:
    newest = max(containers, key=lambda container: int(container.get("Created") or 0), default=None)
    text = "" if newest is None else str(newest["Labels"].get(label) or "")
    return tuple(part for part in text.split(",") if part)


def _name(container: Mapping[str, Any]) -> str:
    return str((container.get("Names") or [container["Id"][:12]])[0]).removeprefix("/")
