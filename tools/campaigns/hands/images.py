"""The versions of the hands' stack: bots as they ship, or with a planted defect, and a Redis beside them."""

from collections.abc import Mapping, Sequence

import docker
import yaml

from testbed.home_stack import BOT_SERVICE, IMAGE, ROOT
from testbed.stack_images import redis_image
from tools.campaigns.crash.images import BAD, COMMANDS, GOOD, STORE

REDIS = "redis"
PLANTED = ("python", "-m", "tools.campaigns.instrumented.planted")
TAGS = [f"{name}:{version}" for version in (*GOOD, BAD) for name in (IMAGE, STORE)]
REDIS_TAG = "roas-testbed/redis:local"
# A check costs a tenth of a second of a core: often enough that a round is short, and no more.
CHECKED = {"interval": "5s", "start_interval": "200ms"}
BOT_CHECKED = {"interval": "2s", "start_interval": "500ms"}


def versions(plant: str) -> Mapping[str, Sequence[str] | None]:
    """Return what each version's bot runs: what it ships with, unless a defect is planted."""
    return dict.fromkeys(GOOD, PLANTED if plant else None) | {BAD: COMMANDS[BAD]}


def with_redis(client: docker.DockerClient) -> tuple[Mapping[str, Mapping[str, object]], Mapping[str, object]]:
    """Return the shipped Redis, its data in memory, and the bot that needs it as the shipped one does."""
    shipped = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    redis = shipped[REDIS] | {
        "image": redis_image(client),
        "healthcheck": shipped[REDIS]["healthcheck"] | CHECKED,
        "tmpfs": ["/data:uid=999,gid=1000"],
    }
    del redis["volumes"]
    needs = {"store": {"condition": "service_healthy"}, REDIS: {"condition": "service_healthy"}}
    healthcheck = shipped[BOT_SERVICE]["healthcheck"] | BOT_CHECKED
    bot = {"depends_on": needs, "x-deploy": shipped[BOT_SERVICE]["x-deploy"], "healthcheck": healthcheck}
    # As many releases as usual: a rollback may follow a rollback.
    return {REDIS: redis, BOT_SERVICE: bot}, {"REDIS_URL": "redis://redis:6379/0", "RELEASES_KEPT": "10"}
