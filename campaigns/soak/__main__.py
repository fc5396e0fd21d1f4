"""`python -m campaigns.soak`: half an hour of deployments, alerts and kills on loopback; ends with 1 for any breach."""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from campaigns.soak.judge import Evidence, breaches
from campaigns.soak.report import write_report
from campaigns.soak.soaking import soak


def main() -> int:
    """Run the soak, print what was seen, and return 1 for any breach."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--every", type=float, default=20.0, help="seconds between deployments (default: %(default)s)")
    parser.add_argument("--results", type=Path, help="write every figure here, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roas-soak-") as folder:
        seen = asyncio.run(soak(Path(folder), given.minutes, given.every))
    if given.results is not None:
        given.results.write_text(json.dumps(_as_dict(seen), indent=2))
    broken = breaches(seen)
    sys.stdout.write(write_report(seen) + "\n")
    for breach in broken:
        sys.stderr.write(f"BREACH {breach}\n")
    return 1 if broken else 0


def _as_dict(seen: Evidence) -> dict[str, object]:
    """Return everything, each series of the metrics under its name and labels."""
    document = asdict(seen) | {"breaches": breaches(seen)}
    counted = seen.counted.samples.items()
    document["counted"] = {f"{name}{dict(labels) or ''}": value for (name, labels), value in counted}
    document["services"] = sorted(seen.services)
    return document


if __name__ == "__main__":
    sys.exit(main())
