"""Find what is wrong after a round: each invariant is a function of the facts alone."""

from collections.abc import Callable, Iterator

from roas.models.deployment import Deployment, Outcome
from testbed.compose_labels import HASH_LABEL, NUMBER_LABEL, ONE_OFF_LABEL, PROJECT_LABEL, SERVICE_LABEL, of_service
from testbed.home_stack import BOT_SERVICE, PROJECT
from tools.campaigns.container_rules import described, ill, misnamed
from tools.campaigns.crash.facts import Facts
from tools.campaigns.crash.journal import HEALTH_CHANGED, Written

FRESH_SECONDS = 3.0
# A standby checks every second who leads.
NOTICE_SECONDS = 3.0
WRITTEN_BY_OWNER = frozenset(
    {
        "deployment_phase_changed",
        "service_progressed",
        "release_created",
        "release_activated",
        "deployment_finished",
    }
)


def breaches(facts: Facts) -> tuple[str, ...]:
    """Describe every breach; none means that the round ended as it must."""
    return tuple(f"{name}: {text}" for name, judge in INVARIANTS.items() for text in judge(facts))


def _has_ended(facts: Facts) -> Iterator[str]:
    yield from (f"{item} has no end" for item in facts.journal.unfinished)


def _has_consistent_outcome(facts: Facts) -> Iterator[str]:
    """What failed or was cancelled may have touched nothing; what succeeded or was rolled back is where it says."""
    release = facts.journal.release
    for deployment in facts.journal.deployments:
        if deployment.outcome is Outcome.FAILED:
            text = deployment.problem.message if deployment.problem else "no word why"
            if deployment.touched:
                yield f"{deployment.id} failed and left it to an operator: {text}"
    last = facts.journal.deployments[-1] if facts.journal.deployments else None
    if last is not None and last.finished and release is not None and release.number != _should_run(last):
        yield f"{last.id} {last.outcome}, but the environment is on {release.label}"


def _should_run(deployment: Deployment) -> int | None:
    return deployment.to_release if deployment.outcome is Outcome.SUCCEEDED else deployment.from_release


def _one_bot(facts: Facts) -> Iterator[str]:
    bots = of_service(facts.containers, BOT_SERVICE)
    if len(bots) != 1:
        yield f"{len(bots)} containers of {BOT_SERVICE}: {', '.join(map(described, bots))}"
    for bot in bots:
        if bot.state != "running" or bot.health != "healthy":
            yield f"it does not run well: {described(bot)}"
        if bot.pid in facts.killed:
            yield f"{bot.name} was killed and is not known to be dead yet"


def _labels(facts: Facts) -> Iterator[str]:
    numbers: set[tuple[str, str]] = set()
    for container in facts.containers:
        service, number = container.labels.get(SERVICE_LABEL, ""), container.labels.get(NUMBER_LABEL, "")
        if container.labels.get(PROJECT_LABEL) != PROJECT or not service or not number:
            yield f"{container.name} is not known as a part of {PROJECT}"
            continue
        if container.labels.get(ONE_OFF_LABEL, "False") != "False":
            yield f"{container.name} is a one-off"
        yield from misnamed(container)
        if (service, number) in numbers:
            yield f"two containers are number {number} of {service}"
        numbers.add((service, number))
        wanted = facts.hashes.get(service)
        if wanted and container.labels.get(HASH_LABEL) not in wanted:
            yield f"{container.name} has another configuration than the release"


def _whole(facts: Facts) -> Iterator[str]:
    release = facts.journal.release
    if release is None:
        if facts.journal.deployments:
            yield "the environment is on no release"
        return
    for service in release.services:
        containers = of_service(facts.containers, service.name)
        fitting = [c for c in containers if c.image == service.image.image_id]
        if len(fitting) != service.replicas:
            yield f"{len(fitting)} of {service.name} are of {release.label}: {', '.join(map(described, containers))}"
        for container in containers:
            yield from ill(container)


def _no_leftovers(facts: Facts) -> Iterator[str]:
    release = facts.journal.release
    known = {service.name: service.replicas for service in release.services} if release else {}
    for container in facts.containers:
        service = container.labels.get(SERVICE_LABEL, "")
        if known and service not in known:
            yield f"a container of no service: {described(container)}"
    for service, replicas in known.items():
        if len(of_service(facts.containers, service)) > replicas:
            yield f"too many of {service}: {', '.join(map(described, of_service(facts.containers, service)))}"
    yield from (f"{environment} is still locked" for environment in facts.journal.locks)


def _lease(facts: Facts) -> Iterator[str]:
    """The bot that runs must be the leader, with a recent heartbeat."""
    bots, beat = of_service(facts.containers, BOT_SERVICE), facts.journal.heartbeat
    if facts.journal.lease is None:
        yield "there is no leader"
    elif beat is None or beat.container_id not in {bot.id for bot in bots}:
        yield "the leader does not run"
    elif facts.journal.heartbeat_age_seconds > FRESH_SECONDS:
        yield f"the leader has sent no heartbeat for {facts.journal.heartbeat_age_seconds:.0f} s"


def _one_writer(facts: Facts) -> Iterator[str]:
    """Only the owner writes; `lock_changed` says who that is from there on."""
    owner = ""
    for change in facts.journal.written:
        if change.owner:
            owner = change.owner
        elif change.type in WRITTEN_BY_OWNER and owner and change.instance_id != owner:
            yield f"{change.instance_id} wrote {change.type} (#{change.sequence}) after {owner} had taken over"


def _one_leader(facts: Facts) -> Iterator[str]:
    """A bot that transferred leadership records no health any more, once it had the time to notice.

    Leadership of a dead bot is taken without its knowledge. So only what the new leader, alive, wrote after it counts.
    """
    leader, since = "", 0.0
    late: list[Written] = []
    for change in facts.journal.written:
        if change.owner and not change.deployment_id:
            leader, since, late = change.owner, change.at, []
        elif change.instance_id == leader:
            yield from (
                f"{written.instance_id} wrote {written.type} (#{written.sequence}) while {leader} led"
                for written in late
            )
            late = []
        elif leader and change.type == HEALTH_CHANGED and change.at - since > NOTICE_SECONDS:
            late.append(change)


def _announced(facts: Facts) -> Iterator[str]:
    yield from facts.unannounced


INVARIANTS: dict[str, Callable[[Facts], Iterator[str]]] = {
    "ended": _has_ended,
    "honest end": _has_consistent_outcome,
    "one bot": _one_bot,
    "labels": _labels,
    "whole": _whole,
    "no leftovers": _no_leftovers,
    "leader lease": _lease,
    "one writer": _one_writer,
    "one leader": _one_leader,
    "intent before act": _announced,
}
