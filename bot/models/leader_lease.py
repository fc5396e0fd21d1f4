"""Describe which bot leads for a journal, and what the bots beside it say of themselves."""

from dataclasses import dataclass
from enum import StrEnum

from roas.messages.message import said
from roas.models.health import ContainerSnapshot

# What a bot's /health says as `status` once it has lost its journal.
JOURNAL_LOST = "journal lost"
# The same, while the journal cannot be read, which may pass.
JOURNAL_UNREADABLE = "journal unreadable"
# The same, while the leader of its journal is a bot of another stack.
STATE_SHARED = "state folder of another stack"


@dataclass(frozen=True, slots=True)
class LeaderLease:
    """Record which process is the leader; `token` grows with every owner.

    `lease_until` is in seconds of the machine's boot clock, which all containers of a machine share, and means nothing
    under another `boot_id`.
    """

    instance_id: str
    token: int
    boot_id: str
    lease_until: float


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """Identify a process: `started` is in clock ticks since boot, so that a reused PID is noticed.

    The number means something within its `namespace` only.
    """

    pid: int
    started: int
    namespace: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Record the state of a bot, or of a command line that runs a deployment.

    It is the only thing that a process may write without owning anything. The last one of a process that was told to
    stop says that it `stopped`. `config_hash` says of which release its
    container is, and `project` in which Compose project. Older versions leave out what they do not know.
    """

    instance_id: str
    boot_id: str
    beat_at: float
    container_id: str = ""
    config_hash: str = ""
    version: str = ""
    gateway_ready: bool = False
    cogs_loaded: bool = False
    process: ProcessMark | None = None
    project: str = ""
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class BotReadiness:
    """Say whether a bot could lead if it had to."""

    gateway_ready: bool
    cogs_loaded: bool


@dataclass(frozen=True, slots=True)
class JournalLoss:
    """Record how a bot lost its journal, in which container it is, and which deployments it interrupted for that.

    `rescued` is where a copy is of what the bot still had open.
    """

    message: str
    hint: str
    container: str = ""
    interrupted: tuple[str, ...] = ()
    rescued: str = ""


class Standing(StrEnum):
    """The verdict on a container; `unproven` is one that runs and has not answered yet."""

    PEER = "peer"
    FOREIGN = "foreign"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class PeerVerdict:
    """Hold the verdict on a container, and why it is not a peer."""

    container: ContainerSnapshot
    standing: Standing
    reason: str = ""

    @property
    def text(self) -> str:
        """Return the message about a container that is left alone."""
        return said(
            "{container} is not provably a bot on this journal and was left alone: {reason}.",
            container=self.container.name,
            reason=self.reason,
        )
