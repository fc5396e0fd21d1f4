"""`python -m tools.campaigns.hands`: do what people type and what hosts do, and judge each end from outside."""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tools.campaigns.hands.campaign import HandsCampaign, HandsOptions
from tools.campaigns.hands.plants import play_plants
from tools.campaigns.hands.races import races, run_races
from tools.campaigns.hands.rounds import all_rounds


def main() -> int:
    """Read the command line, play, and return 1 for any breach, or for what could not be played."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.hands", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what all chance is drawn from (default: %(default)s)")
    parser.add_argument("--times", type=int, default=1, help="how often each combination (default: %(default)s)")
    parser.add_argument("--lanes", type=int, default=2, help="how many stacks at a time (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=0, help="at most so many rounds")
    parser.add_argument("--minutes", type=float, default=0, help="begin no round after so many minutes")
    parser.add_argument("--match", default=[], nargs="*", help="only rounds whose name has one of these in it")
    parser.add_argument("--races", type=int, default=0, help="race so many commands of Compose with a bot of its own")
    parser.add_argument("--plants", action="store_true", help="plant each defect, and see that its round turns red")
    parser.add_argument("--results", type=Path, help="where rounds of this code are kept (default: a new folder)")
    given = parser.parse_args()
    results = given.results or Path(tempfile.mkdtemp(prefix="roas-hands-results-"))
    if given.races:
        logging.disable(logging.CRITICAL)
        with tempfile.TemporaryDirectory(prefix="roas-races-") as folder:
            chosen = races(given.seed, given.races)
            playing = run_races(Path(folder), chosen, given.lanes, results=results, minutes=given.minutes)
            return int(not asyncio.run(_until_stopped(playing)))
    if given.plants:
        return int(not asyncio.run(_until_stopped(play_plants(results, given.match))))
    words = given.match or [""]
    rounds = [item for item in all_rounds(given.seed, given.times) if any(word in str(item) for word in words)]
    options = HandsOptions(results, given.lanes, given.minutes)
    return int(not asyncio.run(_until_stopped(HandsCampaign(rounds[: given.limit or None], options).run())))


async def _until_stopped(playing: Coroutine[Any, Any, bool]) -> bool:
    """Play until the end, or until SIGTERM: engines are stopped and disks are unmounted then, too."""
    task = asyncio.ensure_future(playing)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
