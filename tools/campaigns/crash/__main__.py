"""`tools.campaigns.crash`: kill the bots while they replace each other, hundreds of times, and judge each end."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tools.campaigns.crash.campaign import Campaign, CampaignOptions
from tools.campaigns.crash.rounds import Kind
from tools.campaigns.instrumented.gate import PLANTS


def main() -> int:
    """Read the command line, run the campaign, and return 1 for any breach, or for what was not played."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.crash", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what all chance is drawn from (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=200, help="random moments (default: %(default)s)")
    parser.add_argument("--only", choices=list(Kind), action="append", help="kinds of rounds; may be given again")
    parser.add_argument("--plant", choices=PLANTS, default="", help="plant a defect; ends at the first breach")
    parser.add_argument("--lanes", type=int, choices=(1, 2), default=2, help="stacks at a time (default: %(default)s)")
    parser.add_argument("--match", default="", help="only rounds whose name, as it is told, has this in it")
    parser.add_argument("--limit", type=int, default=0, help="at most so many rounds, drawn by the seed")
    parser.add_argument("--minutes", type=float, default=0, help="begin no round after so many minutes")
    parser.add_argument("--keep", action="store_true", help="keep logs and journal of each stack at the end, too")
    parser.add_argument("--no-downgrades", action="store_true", help="leave out the release before")
    parser.add_argument(
        "--results", type=Path, help="where evidence goes (default: a new folder); what was played there is not again"
    )
    given = parser.parse_args()
    results = given.results or Path(tempfile.mkdtemp(prefix="roas-crash-results-"))
    results.mkdir(parents=True, exist_ok=True)
    options = CampaignOptions(
        seed=given.seed,
        random_rounds=given.rounds,
        kinds=tuple(given.only or Kind),
        plant=given.plant,
        lanes=given.lanes,
        match=given.match,
        limit=given.limit,
        minutes=given.minutes,
        results=results,
        keep=given.keep,
        downgrades=not given.no_downgrades,
    )
    return asyncio.run(Campaign(options).run())


if __name__ == "__main__":
    sys.exit(main())
