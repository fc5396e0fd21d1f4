"""Keep a line of each stack in the results folder, and make a table of them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tools.campaigns.corpus.playing import AGAIN, Adoption, Played, Verdict

FILE_NAME = "stacks.jsonl"
WANTED = 0.95
NOT_COUNTED = frozenset({Verdict.NOT_FOR_COMPOSE, Verdict.NO_GROUND, Verdict.NO_IMAGE})


def add(results: Path, played: Played) -> None:
    """Write how one stack went."""
    results.mkdir(parents=True, exist_ok=True)
    with (results / FILE_NAME).open("a") as file:
        file.write(json.dumps(asdict(played)) + "\n")


def share(played: Sequence[Played]) -> float:
    """Return how many of the stacks that Compose takes can be planned by what `roas init` wrote."""
    taken = [item for item in played if item.verdict not in NOT_COUNTED]
    return sum(service.verdict is Verdict.PLANS for service in taken) / max(1, len(taken))


def is_good(played: Sequence[Played]) -> bool:
    """Return whether enough stacks plan, none crashed, no plan was untrue, and what is typed again changes nothing."""
    crashed = any(item.verdict is Verdict.CRASHED for item in played)
    untrue = any(item.adoption is Adoption.UNTRUE for item in played)
    repeated = any(
        done.keys() - {"jobs"} for item in played for step, done in item.typed.items() if step.endswith(AGAIN)
    )
    return share(played) >= WANTED and not (crashed or untrue or repeated)


def summary(played: Sequence[Played]) -> str:
    """Return the table."""
    lines = ["| Stack | Repository | Services | Plan | First deployment |", "|---|---|---:|---|---|"]
    for item in played:
        said = f": {item.said}" if item.said else ""
        adopted = "; ".join((str(item.adoption), *item.notes))
        lines.append(f"| {item.name} | {item.repository} | {item.services} | {item.verdict}{said} | {adopted} |")
    lines += ["", *_typed(played)]
    verdicts = Counter(str(item.verdict) for item in played)
    adoptions = Counter(str(item.adoption) for item in played)
    lines.append("")
    lines.append(", ".join(f"{count} {what}" for what, count in verdicts.most_common()))
    lines.append(", ".join(f"{count} {what}" for what, count in adoptions.most_common()))
    lines.append(f"{share(played):.1%} of those that Compose takes can be planned")
    return "\n".join(lines) + "\n"


def _typed(played: Sequence[Played]) -> list[str]:
    """Return the table of what each command did: to how many containers, and in how many stacks."""
    steps = list(dict.fromkeys(step for item in played for step in item.typed))
    lines = [
        "| Typed | Stacks | Recreated | Started | Jobs run | Of another version |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for step in steps:
        seen = [item.typed[step] for item in played if step in item.typed]
        counts = [
            f"{sum(len(item.get(what, ())) for item in seen)} (in {sum(what in item for item in seen)})"
            for what in ("recreated", "started", "jobs", "moved")
        ]
        lines.append(f"| {step} | {len(seen)} | {' | '.join(counts)} |")
    return lines
