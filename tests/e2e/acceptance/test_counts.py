"""What a deployment asks of Compose, the engine and the journal, beside what it asks at intervals."""

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from roas.app.application import Application
from roas.models.deployment import DeploymentKind
from roas.models.events import HealthCheckRequested
from roas.stack.containers.watch import POLL_SECONDS
from tests.e2e.acceptance.counts import Counts, counted
from tests.e2e.acceptance.people import People, request
from tests.e2e.acceptance.stack import REPOSITORY, Stack

SERVICES = 5


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    return counted(monkeypatch)


async def test_costs_of_a_deployment(people: People, stack: Stack, counts: Counts) -> None:
    service = {"image": f"{REPOSITORY}:v1", "network_mode": "none", "stop_grace_period": "1s"}
    stack.write({f"service-{number:02}": service for number in range(SERVICES)})
    with counts.of_one() as new:
        await people.succeed("v1")
    polls = SERVICES * int(counts.seconds / POLL_SECONDS)
    assert new["jailed config"] == 1, "plan, checks and release are of one resolution"
    assert (new["compose config"], new["compose up"]) == (1, 1), "hashed once, created together"
    assert new["POST start"] == SERVICES
    assert new["GET info"] == 1, "for all checks"
    assert new["GET stats"] == 0, "nobody asks what is used"
    # Once when it was started and once for the event of that; when all are verified, and again before the outcome is
    # said; and twice by the collector, when the first runs and when it is over.
    assert new["GET json"] <= 6 * SERVICES + polls
    assert new["commits"] <= 30 + 3 * SERVICES + counts.seconds
    with counts.of_one() as same:
        await people.succeed("v1")
    polls = SERVICES * int(counts.seconds / POLL_SECONDS)
    assert not any(same[item] for item in ("jailed config", "compose config", "compose up", "compose version"))
    assert same["POST start"] == 0
    assert same["GET info"] <= 2, "for the plan, and for all checks"
    # What there is as execution begins, when all are verified, and again before the outcome is said; and by the
    # collector how they are, and what hands changed. Who made it is in the engine's list.
    assert same["GET json"] <= 6 * SERVICES + polls
    assert same["commits"] <= 24 + counts.seconds
    # Nothing of it grows with the services: these have one image, whose names are asked for once.
    assert same["GET other"] + same["POST other"] <= 34 + counts.seconds
    await costs_of_looking(people.application, counts)


async def costs_of_looking(application: Application, counts: Counts) -> None:
    """What is shown to people asks about each container as often as it must, and nothing else grows with them."""
    environment = application.environments["dev"]
    await application.bus.drain()  # what the collector looks at after a deployment
    await application.collector.collect_all_metrics(environment)
    with counts.of_one() as status:
        await application.collector.collect_all_metrics(environment)
    assert status["GET json"] == 2 * SERVICES, "its state, and whether hands changed it"
    assert status["GET stats"] == SERVICES
    assert status["GET other"] <= 8
    with counts.of_one() as plan:
        await application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v1"))
    assert plan["GET json"] == SERVICES, "whether hands changed it; the rest is in the engine's list"
    assert plan["GET stats"] == 0
    assert plan["GET other"] <= 14


# What each further service costs at an engine: what hands change of a container is in no list.
GROWTH = {
    "plan": {"GET json": 1},
    "status": {"GET json": 2, "GET stats": 1},  # what it is; and whether hands changed it
    "look": {"GET json": 1},
}
SIZES = (4, 50)


async def test_growth_with_services(people: People, stack: Stack, counts: Counts) -> None:
    """Whatever the engine lists is asked for once, however many services there are."""
    small, large = [await asked_of(size, people, stack, counts) for size in SIZES]
    further = SIZES[1] - SIZES[0]
    growth = {
        name: {what: each for what in asked if (each := round((asked[what] - small[name][what]) / further))}
        for name, asked in large.items()
    }
    # Where it takes longer, the collector looks once more.
    assert growth.pop("nothing to change")["GET json"] in {4, 5}
    assert growth == GROWTH


async def asked_of(size: int, people: People, stack: Stack, counts: Counts) -> dict[str, Counter[str]]:
    """Deploy so many services, and count what is asked of the engine about them from then on."""
    service = {"image": f"{REPOSITORY}:v1", "network_mode": "none", "stop_grace_period": "1s"}
    stack.write({f"service-{number:02}": service for number in range(size)})
    await people.succeed("v1")
    application, environment = people.application, people.application.environments["dev"]
    await application.bus.drain()  # what the collector looks at after a deployment
    found = {}

    async def look() -> None:
        application.bus.publish(HealthCheckRequested(environment="dev", source="test"))
        await application.bus.drain()

    works: dict[str, Callable[[], Awaitable[object]]] = {
        "plan": lambda: application.orchestrator.plan(request(DeploymentKind.DEPLOY, "dev", "v1")),
        "status": lambda: application.collector.collect_all_metrics(environment),
        "look": look,
        "nothing to change": lambda: people.succeed("v1"),
    }
    for name, work in works.items():
        with counts.of_one() as asked:
            await work()
        found[name] = Counter({what: count for what, count in asked.items() if what.startswith(("GET", "POST"))})
    return found
