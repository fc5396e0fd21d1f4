"""`tools.campaigns.corpus.asked FOLDER`: which powers stacks ask for as they are, without any setting.

Compose says which of them are stacks at all. Each of these is resolved as a plan does it, by the policy that counts
where nobody set one. No engine is asked and nothing is started. A stack that binds a file which its README has people
write counts for nothing: Compose would make a folder of it. It returns 1 where fewer than 98 of 100 others are taken.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roas.configuration.environments import environments
from roas.configuration.settings import Settings
from roas.errors import ComposePolicyError, RoasError
from roas.redaction import Redactor
from roas.stack.policy.power import named
from roas.stack.stacks import Stacks
from testbed.inherited import chosen_programs

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
ENOUGH = 0.98
NO_ENGINE = "unix:///nowhere.sock"


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold what one stack asks for, why it is refused, or what it lacks."""

    name: str
    powers: tuple[str, ...] = ()
    refused: str = ""
    lacks: str = ""


def main() -> int:
    """Resolve every stack, print a line for each and a table, and return 1 where too few are taken."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.corpus.asked", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the stacks are, in folders of their own")
    folder = parser.parse_args().folder.resolve()
    with tempfile.TemporaryDirectory(prefix="roas-asked-") as state:
        found = asyncio.run(_ask(folder, Path(state)))
    print(table(found))
    whole = [item for item in found if not item.lacks]
    taken = sum(not item.refused for item in whole)
    return 0 if whole and taken >= ENOUGH * len(whole) else 1


async def _ask(folder: Path, state: Path) -> list[Asked]:
    found: list[Asked] = []
    for place in stacks_below(folder):
        if not _compose_takes(place):
            continue
        item = await _resolved(place, str(place.relative_to(folder)), state)
        print(f"{item.name}: {item.refused or item.lacks or ', '.join(item.powers) or 'nothing'}", flush=True)
        found.append(item)
    return found


def stacks_below(folder: Path) -> Iterator[Path]:
    """Yield each folder that Compose would take for a stack's."""
    yield from sorted({path.parent for name in NAMES for path in folder.rglob(name)})


def _compose_takes(place: Path) -> bool:
    done = subprocess.run(
        ["docker-compose", "config", "--quiet"],
        cwd=place,
        env={**chosen_programs(), "HOME": "/root", "DOCKER_HOST": NO_ENGINE},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


async def _resolved(place: Path, name: str, state: Path) -> Asked:
    stacks = Stacks(state_dir=state, instance_id="ASKED", policy_allow=(), redactor=Redactor())
    try:
        settings = Settings(_env_file=None, stack_dir=place, state_dir=state, docker_host=NO_ENGINE)
        environment = next(iter(environments(settings).values()))
        stack = await stacks.of(environment).resolve(None, write_contents=False)
        return Asked(name, tuple(sorted(map(named, stack.powers))))
    except ComposePolicyError as error:
        return Asked(name, refused=" ".join(error.message.split()))
    except RoasError as error:
        return Asked(name, lacks=" ".join(error.message.split()))
    finally:
        await stacks.close()


def table(found: list[Asked]) -> str:
    """Return how many are taken as they are, and how many of these ask for each kind of power."""
    whole = [item for item in found if not item.lacks]
    taken = [item for item in whole if not item.refused]
    kinds = Counter(
        kind for item in taken for kind in {power.partition(": ")[2].split(" ")[0] for power in item.powers}
    )
    rows = [f"| {kind} | {count} |" for kind, count in kinds.most_common()]
    asking = sum(bool(item.powers) for item in taken)
    lacking = len(found) - len(whole)
    first = f"{len(taken)} of {len(whole)} stacks are taken as they are, {asking} with powers; {lacking} lack a file."
    return "\n".join((first, "", "| Power | Stacks |", "|---|---|", *rows))


if __name__ == "__main__":
    sys.exit(main())
