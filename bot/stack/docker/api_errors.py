"""Name what an engine refuses."""

import re

from roas.errors import EnginePartAwayError, EngineUnavailableError
from roas.messages.message import said
from roas.shortages import shortage

# In which words the engine, Compose and their runtimes say that something has run out for a while.
SHORT_OF = (
    (
        r"resource temporarily unavailable|new OS thread|newosproc|pthread_create failed|can't start new thread",
        said("processes or threads"),
    ),
    (r"cannot allocate memory|fatal error: out of memory|runtime: out of memory", said("memory")),
    (r"too many open files", said("open files")),
    (r"no space left on device|disk quota exceeded", said("disk space")),
)
# And that the engine itself answers, but containerd, a shim or BuildKit does not.
PART_AWAY = (
    r"connection error: desc = |containerd\.sock|code = unavailable|: unavailable\b|\bunavailable: "
    r"|ttrpc: (server )?closed|error reading from server|did not receive an exit event|transport is closing"
    r"|(containerd|shim|buildkit\w*) (is not running|closed|exited)|driver not connecting"
)
PART_AWAY_HINT = said("Start it again, for instance by `systemctl restart containerd docker`, then try again.")
LONGEST_REASON = 300
AWAY_HINT = said("Start Docker, or correct DOCKER_HOST; the bot's user must be able to use its socket.")
# Statuses that are about the engine, and not about what it was asked for.
BUSY_STATUSES = frozenset({429, 502, 503, 504})


class ApiError(Exception):
    """An engine refused: its status, and its own words."""

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(explanation)
        self.status = status
        self.explanation = explanation


class ApiNotFoundError(ApiError):
    """An engine does not have what it was asked about."""


def find_passing_fault(text: str, service: str | None = None) -> EngineUnavailableError | None:
    """Return what passes by itself where that is what an engine or Compose says: a shortage, or a part that is away."""
    for words, what in SHORT_OF:
        if (line := _line_with(words, text)) is not None:
            return shortage(what, line, service)
    if (line := _line_with(PART_AWAY, text)) is None:
        return None
    return EnginePartAwayError(
        said("A part of the engine is away: {text}", text=line),
        hint=PART_AWAY_HINT,
        service=service,
    )


def _line_with(pattern: str, text: str) -> str | None:
    found = re.search(rf"^.*?(?:{pattern}).*$", text, re.IGNORECASE | re.MULTILINE)
    return found[0].strip()[:LONGEST_REASON] if found else None
