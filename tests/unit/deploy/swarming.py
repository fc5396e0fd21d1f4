"""An engine of dictionaries that is a Swarm, which loses its quorum and has it back."""

from collections.abc import Iterable

from roas.errors import NoQuorumError
from roas.models.swarm import QuorumLosses, SwarmFacts, SwarmNode
from roas.stack.service_comparison import WantedService
from tests.unit.deploy.fake_engine import FakeEngine

TIMES = 4  # more often than any phase is tried again


def managers(reached: int, *, states: Iterable[str] = ("ready", "ready", "ready")) -> SwarmFacts:
    """Show three managers, of which so many reach each other."""
    reachable = ["reachable"] * reached + ["unreachable"] * 3
    shown = tuple(
        SwarmNode(f"n{at}", f"node{at}", state, reachability=reachable[at], is_leader=not at)
        for at, state in enumerate(states)
    )
    return SwarmFacts("s", "n0", shown)


class Swarming(FakeEngine):
    """Be a Swarm that loses its quorum in some calls, and has it back a few looks at its managers later."""

    replaces_by_itself = True
    shares_with_compose = False
    needs_quorum = True
    losses = QuorumLosses()
    looks_away = 0
    lost_in: str = ""
    left = 0

    def lose(self, call: str, times: int = TIMES) -> None:
        self.lost_in, self.left = call, times

    def _called(self, name: str, subject: str = "") -> None:
        super()._called(name, subject)
        if name == self.lost_in and self.left:
            self.left -= 1
            self.lost()
            raise NoQuorumError("The Swarm has no leader.")

    def lost(self, seconds: float = 0.0) -> None:
        self.losses = QuorumLosses(self.losses.times + 1, self.losses.seconds + seconds)
        self.looks_away = 2

    def quorum_losses(self) -> QuorumLosses:
        return self.losses

    async def swarm(self) -> SwarmFacts:
        self.looks_away -= 1
        return managers(1 if self.looks_away > 0 else 3)

    async def written_services(self) -> frozenset[str]:
        return frozenset(one.service for one in self.running.values())

    async def wanted_services(self, model, containers=None, *, as_it_is=False) -> dict[str, WantedService]:
        found = await super().wanted_services(model, containers, as_it_is=as_it_is)
        self._called("wanted_services")
        return dict(found)
