"""Say what is wrong with a stack, by what Docker, the channel and the command line show; no journal is opened."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.compose_labels import SERVICE_LABEL, of_service
from testbed.home_stack import BOT_SERVICE
from tools.campaigns.container_rules import ill, misnamed
from tools.campaigns.crash.facts import ContainerFacts

# Of these, images are of a version.
VERSIONED = (BOT_SERVICE, "store", "web")
SERVICES = (*VERSIONED, "redis")
WELL = frozenset({"healthy", "unverified"})
RESTARTED = "has restarted"


@dataclass(frozen=True, slots=True)
class View:
    """Hold what there is to see: containers, the versions of images by their ids, answers of the command line, posts.

    `status` is one environment of `roas status --json`, `ended` the deployments of `roas history --json` that have an
    outcome, `told` how often the channel has the outcome of each. `asked` is one that must be among them. After
    somebody did `by_hand` what changes versions, they may differ where status and an alert (`alerted`) say so.
    """

    containers: tuple[ContainerFacts, ...]
    versions: Mapping[str, str]
    status: Mapping[str, Any] | None = None
    ended: tuple[str, ...] = ()
    told: Mapping[str, int] | None = None
    asked: str = ""
    by_hand: bool = False
    alerted: bool = False
    # Deployments that have ended, and whose live message does not say so.
    unfinished: tuple[str, ...] = ()


def breaches(view: View) -> tuple[str, ...]:
    """Describe every breach; none means that all is well."""
    return tuple(f"{name}: {text}" for name, judge in INVARIANTS.items() for text in judge(view))


def docker_breaches(view: View) -> tuple[str, ...]:
    """Describe what Docker alone shows to be wrong: nothing else need be asked while there is any."""
    return tuple(f"{name}: {text}" for name in BY_DOCKER for text in INVARIANTS[name](view))


def _one_of_each(view: View) -> Iterator[str]:
    """Every service has one container that runs, is healthy where that is checked, and has its own name."""
    for service in SERVICES:
        found = of_service(view.containers, service)
        if len(found) != 1:
            yield f"{len(found)} containers of {service}"
        for container in found:
            yield from ill(container)
            yield from misnamed(container)


def _no_others(view: View) -> Iterator[str]:
    for container in view.containers:
        if container.labels.get(SERVICE_LABEL) not in SERVICES:
            yield f"{container.name} is of no service"


def _one_version(view: View) -> Iterator[str]:
    versions = (
        view.versions.get(container.image, "an unknown image")
        for container in view.containers
        if container.labels.get(SERVICE_LABEL) in VERSIONED
    )
    found = Counter(versions)
    if len(found) > 1 and not view.by_hand:
        yield f"services of several versions run: {dict(found)}"


def _status_agrees(view: View) -> Iterator[str]:
    """The command line says what Docker shows: which images run, that all is well, that nothing is under way."""
    if view.status is None:
        yield "the command line does not answer"
        return
    status = view.status
    if status.get("active") is not None or status.get("lock") is not None:
        yield "status says that a deployment is under way"
    health = status.get("health") or {}
    verdict, services = health.get("verdict"), health.get("services", ())
    ill = [f"{service['service']} {service['reason']}" for service in services if service["verdict"] not in WELL]
    # A restart is told for a while, however well the service is by now.
    restarted = verdict == "degraded" and ill and all(RESTARTED in item for item in ill)
    if verdict not in WELL and not restarted:
        yield f"status says {verdict}: {'; '.join(ill) or status.get('fault')}"


def _differences_named(view: View) -> Iterator[str]:
    """What runs is of the release that status names; or else, after a hand, status and an alert say what is not."""
    status = view.status or {}
    drift = {item["service"] for item in (status.get("health") or {}).get("drift", ())}
    runs = {container.labels.get(SERVICE_LABEL): container.image for container in view.containers}
    release = status.get("release") or {"services": (), "version": ""}
    for service in release["services"]:
        name, wanted = service["name"], service["image"]["image_id"]
        if wanted != runs.get(name) and not (view.by_hand and name in drift):
            yield f"status says {name} is of {release['version']}, and {_version(view, runs.get(name, ''))} runs"
    updated = {str(container.labels.get(SERVICE_LABEL)) for container in view.containers if container.cpu_shares}
    if updated - drift:
        yield f"status does not say that {', '.join(sorted(updated - drift))} was changed in place"
    if drift and not view.by_hand:
        yield f"status says that {', '.join(sorted(drift))} was changed by hand"
    if drift and not view.alerted:
        yield f"no alert says that {', '.join(sorted(drift))} was changed by hand"


def _version(view: View, image: str) -> str:
    return view.versions.get(image, "another")


def _told_once(view: View) -> Iterator[str]:
    told = view.told or {}
    for item in view.ended:
        if told.get(item, 0) != 1:
            yield f"the outcome of {item} is in the channel {told.get(item, 0)} times"
    for name in view.unfinished:
        yield f"the live message of {name} is not that of its end"
    if view.asked and view.asked not in view.ended:
        yield f"history does not say that {view.asked} has ended"


INVARIANTS: dict[str, Callable[[View], Iterator[str]]] = {
    "one of each": _one_of_each,
    "no others": _no_others,
    "one version": _one_version,
    "status": _status_agrees,
    "differences": _differences_named,
    "channel": _told_once,
}
BY_DOCKER = ("one of each", "no others", "one version")
