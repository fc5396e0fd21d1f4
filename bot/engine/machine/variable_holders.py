"""Find the containers that were given a value as a variable, whatever its name; the value itself goes nowhere."""

import docker
from docker.errors import NotFound

from roas.engine.labels import PROJECT


def find_holders(client: docker.DockerClient, value: str) -> tuple[tuple[str, str], ...]:
    """Return id and description of every running container with that value."""
    found = []
    for listed in client.containers.list(sparse=True):
        try:
            inspected = client.api.inspect_container(str(listed.id))
        except NotFound:
            continue
        variables = inspected["Config"].get("Env") or []
        if any(one.partition("=")[2] == value for one in variables):
            project = (inspected["Config"].get("Labels") or {}).get(PROJECT, "")
            name = str(inspected["Name"]).removeprefix("/")
            found.append((str(inspected["Id"]), f"container {name}" + (f" of project {project}" if project else "")))
    return tuple(found)
