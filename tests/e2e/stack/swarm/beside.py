"""What is played on other stacks of the Swarm while the story goes on, and judged by tests of its own."""

from concurrent.futures import Future, wait
from dataclasses import dataclass

from tools.campaigns.swarm.ground import FAILING_JOB, STACK
from tools.campaigns.swarm.rounds import Kind, Played, Round

JOB_WRITTEN = f"after execution: update services {STACK}_migrate"
WEB_WRITTEN = f"after execution: update services {STACK}_web"
ROUNDS = (Round(Kind.BOT, JOB_WRITTEN, again=WEB_WRITTEN), Round(Kind.BOT, JOB_WRITTEN, FAILING_JOB))


@dataclass(frozen=True)
class Beside:
    """Hold what will be known of each: how rounds ended, and whether all went as it has to."""

    deaths: Future[list[Played]] | None
    meddled: Future[None] | None

    def wait(self) -> None:
        """Wait until all has been played: what follows concerns every stack."""
        wait([item for item in (self.deaths, self.meddled) if item is not None])
