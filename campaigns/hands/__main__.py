"""`python -m campaigns.hands`: do what people type and what hosts do, and judge each end from outside."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from campaigns.crash.lane import AWAY
from campaigns.crash.playing import Verdict
from campaigns.hands.ground import Ground, opened_ground
from campaigns.hands.playing import Played, clean, play
from campaigns.hands.rounds import Hand, Round, all_rounds
from campaigns.instrumented.gate import PLANTS
from testbed.home_stack import HomeStackError


def main() -> int:
    """Read the command line, play, and return 1 for any breach, or for what could not be played."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.hands", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what all chance is drawn from (default: %(default)s)")
    parser.add_argument("--times", type=int, default=2, help="how often each combination (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=0, help="at most so many rounds")
    parser.add_argument("--minutes", type=float, default=0, help="begin no round after so many minutes")
    parser.add_argument("--match", default="", help="only rounds whose name has this in it")
    parser.add_argument("--plant", choices=PLANTS, default="", help="plant a defect; ends at the first breach")
    parser.add_argument("--results", type=Path, help="where evidence goes (default: a new folder)")
    given = parser.parse_args()
    results = given.results or Path(tempfile.mkdtemp(prefix="roas-hands-results-"))
    results.mkdir(parents=True, exist_ok=True)
    rounds = [one for one in all_rounds(given.seed, given.times) if given.match in str(one)]
    if given.limit:
        rounds = rounds[: given.limit]
    return asyncio.run(_run(rounds, results, given.plant, given.minutes))


async def _run(rounds: list[Round], results: Path, plant: str, minutes: float) -> int:
    begun = time.monotonic()
    end = begun + minutes * 60 if minutes else float("inf")
    played: list[Played] = []
    with (
        tempfile.TemporaryDirectory(prefix="roas-hands-") as folder,
        opened_ground(Path(folder), plant=plant) as ground,
    ):
        await ground.lane.start()
        if wrong := await clean(ground):
            print(f"BROKEN: a clean deployment ends badly: {'; '.join(wrong)}", flush=True)
            return 1
        print(f"{len(rounds)} rounds; a clean deployment takes {ground.lane.length_seconds:.1f} s", flush=True)
        for wanted in rounds:
            if time.monotonic() > end:
                break
            one = await play(ground, wanted)
            played.append(one)
            _tell(len(played), len(rounds), time.monotonic() - begun, one, results)
            if one.verdict is not Verdict.GOOD:
                ground.lane.keep_evidence(results / f"round-{len(played)}")
                if plant or not await _anew(ground):
                    break
    (results / "summary.md").write_text(summary(played))
    print(summary(played), flush=True)
    return int(any(one.verdict is not Verdict.GOOD for one in played))


async def _anew(ground: Ground) -> bool:
    """Begin again with a new stack after a breach, and return whether that is possible."""
    try:
        ground.load_images()
        await ground.lane.start_anew()
        return not await clean(ground)
    except (HomeStackError, RuntimeError, TimeoutError, *AWAY) as error:
        print(f"no new stack could be started: {error!r}", flush=True)
        return False


def _tell(number: int, of: int, at: float, one: Played, results: Path) -> None:
    print(
        f"{at:7.1f} s  {number}/{of}  {one.round}  {one.seconds:.1f} s, {one.deployments} ended  {one.verdict}",
        flush=True,
    )
    for wrong in one.wrong:
        print(f"           {wrong}", flush=True)
    with (results / "rounds.jsonl").open("a") as file:
        line = {
            "round": repr(one.round),
            "verdict": one.verdict.value,
            "seconds": one.seconds,
            "wrong": one.wrong,
            "deployments": one.deployments,
        }
        file.write(json.dumps(line) + "\n")


def summary(played: list[Played]) -> str:
    """Return a table: each hand, how often it was laid, how often all was well, and the longest that took."""
    by_hand: dict[Hand, list[Played]] = defaultdict(list)
    for one in played:
        by_hand[one.round.hand].append(one)
    rows = [
        f"| {hand} | {len(found)} | {sum(one.deployments > 0 for one in found)} "
        f"| {sum(one.verdict is Verdict.GOOD for one in found)} "
        f"| {max(one.seconds for one in found):.1f} |"
        for hand, found in sorted(by_hand.items())
    ]
    head = (
        "| what was done | rounds | with a deployment that began | ended well | the slowest, in seconds after it |\n"
        "|---|---|---|---|---|\n"
    )
    good = sum(one.verdict is Verdict.GOOD for one in played)
    return head + "\n".join(rows) + f"\n\n{good} of {len(played)} rounds ended well.\n"


if __name__ == "__main__":
    sys.exit(main())
