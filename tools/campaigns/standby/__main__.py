"""`tools.campaigns.standby`: lose nodes while people use two bots of which one leads, again and again; judge each end.

Lost is the node of the leader, of the standby, of a task, or of the Raft's leader, by SIGKILL of all its processes or
by SIGSTOP for one or two minutes; or two of three nodes, which come back. Or the bots are updated. It is so in each
phase of a deployment, before a write to the Swarm, while somebody has to approve, in a freeze, and at rest. `--results`
keeps what was played.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tools.campaigns.kept_rounds import KeptRounds
from tools.campaigns.standby.ground import Ground, ground
from tools.campaigns.standby.losses import How, Who
from tools.campaigns.standby.rounds import Phase, Played, Round, all_rounds, first_run, play

LOG_LINES = 400


def main() -> int:
    """Play rounds; returns 1 where an end was not an honest one."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.standby", description=__doc__)
    parser.add_argument("--phase", choices=list(Phase), action="append", help="only then; may be given again")
    parser.add_argument("--who", choices=list(Who), action="append", help="only they; may be given again")
    parser.add_argument("--how", choices=list(How), action="append", help="only so")
    parser.add_argument("--seed", type=int, default=1, help="by which the order is drawn (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=0, help="at most so many rounds")
    parser.add_argument("--minutes", type=float, default=0, help="begin no round after so many minutes")
    parser.add_argument("--lanes", type=int, default=1, help="Swarms side by side (default: %(default)s)")
    parser.add_argument("--results", type=Path, help="folder in which rounds are kept; what went well is not repeated")
    given = parser.parse_args()
    rounds = [
        item
        for item in all_rounds()
        if item.phase in (given.phase or Phase) and item.who in (given.who or Who) and item.how in (given.how or How)
    ]
    random.Random(given.seed).shuffle(rounds)  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="roas-standby-") as folder:
        results = given.results or Path(folder, "results")
        done = {key for key, line in KeptRounds(results).last().items() if not line["wrong"]}
        left = [item for item in rounds if str(item) not in done]
        campaign = Campaign(left[: given.limit or None], results, given.minutes)
        played = asyncio.run(campaign.play(Path(folder), given.lanes))
    broken = [item for item in played if item.wrong]
    print(f"{len(played)} rounds, {len(broken)} broken; ends: {dict(Counter(item.outcome for item in played))}")
    return int(bool(broken))


class Campaign:
    """Play rounds in several lanes, each on a Swarm of its own."""

    def __init__(self, rounds: list[Round], results: Path, minutes: float) -> None:
        self._left = rounds
        self._total = len(rounds)
        self._results = results
        self._kept = KeptRounds(results)
        self._until = time.monotonic() + 60 * minutes if minutes else float("inf")
        self._played: list[Played] = []

    async def play(self, folder: Path, lanes: int) -> list[Played]:
        """Play what is left, and return it."""
        async with asyncio.TaskGroup() as group:
            for lane in range(lanes):
                group.create_task(self._lane(folder / f"lane{lane}"))
        return self._played

    async def _lane(self, folder: Path) -> None:
        async with ground(folder) as made:
            await first_run(made)
            while self._left and time.monotonic() < self._until:
                played = await play(made, self._left.pop(0), len(self._played))
                self._note(made, played)

    def _note(self, made: Ground, played: Played) -> None:
        self._played.append(played)
        how = f"BROKEN: {'; '.join(played.wrong)}" if played.wrong else "good"
        times = {"noticed": played.noticed, "led": played.led, "ended": played.ended}
        shown = ", ".join(f"{name} {value:.1f} s" for name, value in times.items() if value is not None)
        number = f"{len(self._played)}/{self._total}"
        print(f"{number} {played.round}: {played.outcome or 'no outcome'} ({shown}): {how} ({played.seconds:.0f} s)")
        sys.stdout.flush()
        self._kept.add(
            str(played.round), {"outcome": played.outcome, "why": played.why, "wrong": played.wrong, **times}
        )
        if played.wrong:
            logs = [f"{task.node.hostname}:\n{task.log(LOG_LINES)}" for task in made.bots.tasks()]
            steps = [f"{item.at:.2f} {item.container} {item.when} {item.step}" for item in made.gate.reports]
            place = self._results / f"{len(self._played)}-{time.strftime('%H%M%S')}.txt"
            place.write_text("\n".join([str(played), *steps, *logs]))


if __name__ == "__main__":
    sys.exit(main())
