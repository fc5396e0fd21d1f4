"""Find the containers that were given a value as a variable, whatever its name; the value itself goes nowhere."""

from roas.engine.api_errors import ApiNotFoundError
from roas.engine.docker_client import EngineClient
from roas.engine.labels import PROJECT
from roas.messages.message import said


def find_holders(client: EngineClient, value: str) -> tuple[tuple[str, str], ...]:
    """Return id and description of every running container with that value."""
    found = []
    for listed in client.containers():
        try:
            inspected = client.inspect_container(str(listed["Id"]))
        except ApiNotFoundError:
            continue
        variables = inspected["Config"].get("Env") or []
        if any(one.partition("=")[2] == value for one in variables):
            project = (inspected["Config"].get("Labels") or {}).get(PROJECT, "")
            name = str(inspected["Name"]).removeprefix("/")
            found.append((str(inspected["Id"]), _named(name, project)))
    return tuple(found)


def _named(name: str, project: str) -> str:
    if not project:
        return said("container {name}", name=name)
    return said("container {name} of project {project}", name=name, project=project)
