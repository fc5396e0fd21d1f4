"""Choose what each round does: every hand at every moment of every kind of deployment, in an order drawn by seed."""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import product


class Hand(StrEnum):
    """What is done to the stack; the value is how it is told."""

    COMPOSE_RESTART = "docker compose restart discord-bot"
    COMPOSE_RESTART_ALL = "docker compose restart"
    COMPOSE_STOP = "docker compose stop, then start"
    COMPOSE_DOWN = "docker compose down, then up -d of the version that ran"
    COMPOSE_UP = "docker compose up -d"
    COMPOSE_RECREATE = "docker compose up -d --force-recreate"
    COMPOSE_BUILD = "docker compose up -d --build"
    COMPOSE_PULL = "docker compose pull --ignore-pull-failures"
    COMPOSE_KILL_WEB = "docker compose kill web, then start"
    COMPOSE_RM_WEB = "docker compose rm -fs web, then up -d of it by roas compose"
    DOCKER_KILL_BOT = "docker kill of the bot, then docker start"
    DOCKER_RM_BOT = "docker rm -f of the bot, then up -d of the version that ran"
    DOCKER_PAUSE_BOT = "docker pause of the bot for 3 s"
    DOCKER_PAUSE_WEB = "docker pause of web for 3 s"
    DOCKER_UPDATE = "docker update of the bot"
    DOCKER_RENAME_WEB = "docker rename of web, and back"
    SYSTEM_PRUNE = "docker system prune -af, then docker load"
    ROAS_STATUS = "roas status, history, doctor and releases at once"
    ROAS_CANCEL = "roas cancel"
    ROAS_DEPLOY_AGAIN = "a second roas deploy while the first runs"
    ROAS_LOCK = "roas lock, then unlock"
    REBOOT = "dockerd stopped and started, live-restore off"
    POWER_CUT = "dockerd and all containers killed"
    ENGINE_KILLED = "dockerd killed alone for 3 s, live-restore off"
    ENGINE_RESTART = "dockerd restarted, live-restore on"
    ENGINE_STALLS = "dockerd suspended for 5 s"
    STATE_UNREADABLE = "the state folder unreadable for 5 s"
    STATE_READ_ONLY = "the state folder mounted read-only for 5 s"
    DISK_FULL = "the state folder's disk full for 5 s"
    DISK_SLOW = "each fsync takes half a second for 5 s"
    CLOCK_AHEAD = "the bot's clock a day ahead, and back after 5 s"
    CLOCK_BEHIND = "the bot's clock a day behind, and back after 5 s"
    DISCORD_ERRORS = "Discord answers 500 for a while"
    DISCORD_AWAY = "Discord's gateway gone for 5 s"
    REDIS_DIES = "Redis' process killed"
    WEB_FAILS = "web's health check fails"


# After these, services may be of another version or configuration than the release has: status and an alert say so.
BY_HAND = frozenset(
    {
        Hand.COMPOSE_UP,
        Hand.COMPOSE_RECREATE,
        Hand.COMPOSE_BUILD,
        Hand.COMPOSE_DOWN,
        Hand.DOCKER_RM_BOT,
        Hand.DOCKER_UPDATE,
    }
)


class Moment(StrEnum):
    """When the hand comes."""

    IDLE = "nothing under way"
    START = "as a bot starts"
    YES = "in the second before the yes"
    EARLY = "early"
    MIDDLE = "in execution"
    LATE = "two bots there"
    AFTER = "a second after the end"


class Kind(StrEnum):
    """What is deployed meanwhile."""

    GOOD = "a good version"
    BAD = "a version whose bot never starts"
    BACK = "a rollback by hand"


# Where nothing is under way, or no longer, it makes no difference what was deployed.
UNDER_WAY = (Moment.YES, Moment.EARLY, Moment.MIDDLE, Moment.LATE)


# At these nothing is deployed.
ALONE = (Moment.IDLE, Moment.START)


@dataclass(frozen=True, slots=True)
class Round:
    """Describe one round; `shift`, from 0 to 1, says how far into its moment the hand comes."""

    hand: Hand
    moment: Moment
    kind: Kind
    shift: float = 0.0

    @property
    def may_fail(self) -> bool:
        """Return whether the deployment may fail: its images were gone, or web broke, or was taken, in a rollback."""
        is_web = self.hand in {Hand.WEB_FAILS, Hand.COMPOSE_RM_WEB, Hand.COMPOSE_KILL_WEB}
        return (is_web and self.kind is Kind.BACK) or self.hand is Hand.SYSTEM_PRUNE

    def __str__(self) -> str:
        under_way = "" if self.moment in ALONE else f" of {self.kind}"
        return f"{self.hand} ({self.moment}{under_way})"


def all_rounds(seed: int, times: int = 1) -> list[Round]:
    """Return every combination, `times` times, each time with other moments, in an order drawn by the seed."""
    dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
    rounds = []
    for _ in range(times):
        for hand, moment, kind in product(Hand, Moment, Kind):
            shift = round(dice.random(), 3)
            if moment in UNDER_WAY or kind is Kind.GOOD:
                rounds.append(Round(hand, moment, kind, shift))
    dice.shuffle(rounds)
    return rounds


def covering_first(rounds: Iterable[Round], reached: Collection[tuple[Hand, Moment]] = ()) -> list[Round]:
    """Return the rounds so that those come first by which every hand comes at every moment, if it has not yet."""
    seen = set(reached)
    first: list[Round] = []
    others: list[Round] = []
    for item in rounds:
        pair = (item.hand, item.moment)
        (others if pair in seen else first).append(item)
        seen.add(pair)
    return first + others
