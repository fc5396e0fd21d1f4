"""Look at what Docker really runs: image ids, health, restarts and mounted configuration, by inspect."""

import io
import tarfile
from dataclasses import dataclass

import docker
import docker.errors
from docker.models.containers import Container

from demo.stage import PROJECT_LABEL, Stage

GREETING = "/config/greeting.txt"


class NotProvedError(Exception):
    """What Docker shows is not what was promised; the message lists the differences."""


@dataclass(frozen=True)
class Running:
    """What Docker says of the one container of a service."""

    container_id: str
    image_id: str
    state: str
    health: str
    greeting: str


@dataclass(frozen=True)
class Expected:
    """What the web service is promised to be."""

    version: str
    image_id: str
    greeting: str


def inspect_project(stage: Stage, project: str) -> dict[str, Running]:
    """Inspect every container of a project; a service with more than one is no longer whole."""
    client = stage.engine.client()
    try:
        found: dict[str, Running] = {}
        for container in client.containers.list(
            all=True, ignore_removed=True, filters={"label": f"{PROJECT_LABEL}={project}"}
        ):
            service = container.labels["com.docker.compose.service"]
            if service in found:
                raise NotProvedError(f"{service} has more than one container: a leftover")
            state = container.attrs["State"]
            found[service] = Running(
                container_id=str(container.id),
                image_id=container.attrs["Image"],
                state=state["Status"],
                health=state.get("Health", {}).get("Status", "none"),
                greeting=_greeting(container) if service == "web" else "",
            )
        return found
    finally:
        client.close()


def prove(stage: Stage, expected: Expected) -> tuple[Running, Running]:
    """Return web and store where they are as promised; raise NotProvedError where anything is not."""
    running = inspect_project(stage, stage.project)
    if missing := {"web", "store"} - running.keys():
        raise NotProvedError(f"no container runs for {', '.join(sorted(missing))}")
    web, store = running["web"], running["store"]
    wanted = {
        f"web's image is {expected.version}": (web.image_id, expected.image_id),
        "web's greeting": (web.greeting, expected.greeting),
        "web's state": (web.state, "running"),
        "web's health": (web.health, "healthy"),
        "store's image": (store.image_id, stage.image_ids["store"]),
        "store's health": (store.health, "healthy"),
    }
    faults = [f"{what}: expected {right}, found {found}" for what, (found, right) in wanted.items() if found != right]
    if faults:
        raise NotProvedError("; ".join(faults))
    return web, store


def prove_bot(stage: Stage, version: str) -> Running:
    """Return the one bot where it is of this version and well; raise NotProvedError where it is not."""
    bot = inspect_project(stage, stage.name).get("discord-bot")
    if bot is None:
        raise NotProvedError("no bot is there")
    wanted = (stage.image_ids[f"bot {version}"], "running", "healthy")
    if (found := (bot.image_id, bot.state, bot.health)) != wanted:
        raise NotProvedError(f"the bot: expected {wanted}, found {found}")
    return bot


def _greeting(container: Container) -> str:
    try:
        chunks, _ = container.get_archive(GREETING)
    except docker.errors.APIError:
        return "(not there)"
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        return file.read().decode().strip() if file else "(not a file)"
