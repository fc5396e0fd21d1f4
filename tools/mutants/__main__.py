"""Change single lines of the rooms that decide, and see whether a test notices: the share of killed mutants.

    pip install cosmic-ray pytest-cov
    python -m tools.mutants cover               # which test runs which line, in .coverage
    python -m tools.mutants run deploy state    # 40 mutants of each room; --write puts the shares into recorded.json

Run it in a clone of its own: the files are changed in place, one after the other, and written back. A mutant is one
of cosmic-ray's, on a line that a test runs; each is run against the tests that run its line. A room's sample is drawn
with a seed; a shorter one is the beginning of a longer one. The record is written after each mutant.
"""

import argparse
import json
import random
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).with_name("recorded.json")
ROOMS = {"deploy": "bot/deploy", "state": "bot/state", "policy": "bot/stack/policy", "leadership": "bot/leadership"}
TESTS = [
    *(f"tests/unit/{name}" for name in ("deploy", "state", "leadership", "stack", "api", "app", "recovery")),
    "tests/unit/candidates",
    "tests/integration/state",
]
COMPARED = ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Is_IsNot", "IsNot_Is")
COUNTED = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "BitAnd_BitOr")
# What mostly makes another program of it: of the many that cosmic-ray has, one for each thing that is written.
OPERATORS = [
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ZeroIterationForLoop",
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARED),
    *(f"ReplaceBinaryOperator_{name}" for name in COUNTED),
]
SEED, SAMPLE, LIMIT_SECONDS = 62, 40, 240


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """Say which occurrence of what an operator changes in a file becomes another, and on which line it is."""

    file: str
    line: int
    operator: str
    occurrence: int
    text: str


def cover() -> int:
    """Run the tests, and note which test runs which line."""
    measured = [f"--cov={folder}" for folder in ROOMS.values()]
    return _pytest("-n", "2", *measured, "--cov-context=test", "--cov-report=", *TESTS)


def covered() -> dict[tuple[str, int], list[str]]:
    """Return the tests that run each line; what runs when a file is imported belongs to none."""
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    question = "SELECT path, context, numbits FROM line_bits JOIN file ON file.id = file_id JOIN context c ON c.id = "
    with closing(sqlite3.connect(ROOT / ".coverage")) as data:
        for path, context, bits in data.execute(f"{question}context_id WHERE context != ''"):
            file = str(Path(path).relative_to(ROOT))
            test = context.rpartition("|")[0]
            for place, byte in enumerate(bits):
                for bit in range(8):
                    if byte >> bit & 1:
                        found[file, place * 8 + bit].add(test)
    return {where: sorted(tests) for where, tests in found.items()}


def mutants(folder: str, lines: dict[tuple[str, int], list[str]]) -> Iterator[Mutant]:
    """Yield the mutants of a folder on lines that tests run."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        file, source = str(path.relative_to(ROOT)), path.read_text()
        texts, nodes = source.splitlines(), list(ast_nodes(get_ast(source)))
        for name in OPERATORS:
            operator = get_operator(f"core/{name}")()
            starts = [start for node in nodes for start, _end in operator.mutation_positions(node)]
            for occurrence, (line, _column) in enumerate(starts):
                if (file, line) in lines:
                    yield Mutant(file, line, name, occurrence, texts[line - 1].strip())


def sample(folder: str, lines: dict[tuple[str, int], list[str]], size: int) -> list[Mutant]:
    """Draw a room's mutants; each line gives one at most."""
    by_line: dict[tuple[str, int], list[Mutant]] = defaultdict(list)
    for mutant in mutants(folder, lines):
        by_line[mutant.file, mutant.line].append(mutant)
    drawn = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    chosen = [drawn.choice(found) for _where, found in sorted(by_line.items())]
    drawn.shuffle(chosen)
    return chosen[:size]


def is_killed(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Write a mutant into its file, run the tests of its line, and write the file back."""
    path, room = ROOT / mutant.file, mutant.file.split("/")[-2]
    before = path.read_text()
    mutated = mutate_code(before, get_operator(f"core/{mutant.operator}")(), mutant.occurrence)
    asked = ROOT / ".mutant-tests"
    asked.write_text("\n".join(sorted(tests, key=lambda test: f"/{room}/" not in test)))
    try:
        path.write_text(mutated)
        return _pytest("-x", "-p", "no:randomly", f"@{asked}") != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(before)
        asked.unlink()


def _pytest(*arguments: str) -> int:
    limit = None if "--cov-report=" in arguments else LIMIT_SECONDS
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=ROOT, check=False, timeout=limit, stdout=None if limit is None else subprocess.DEVNULL
    ).returncode


def run(rooms: Sequence[str], size: int, *, write: bool) -> None:
    """Judge the sample of each room, and print the survivors."""
    lines = covered()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for room in rooms:
        survivors: list[dict[str, object]] = []
        for number, mutant in enumerate(sample(ROOMS[room], lines, size), 1):
            if not is_killed(mutant, lines[mutant.file, mutant.line]):
                survivors.append(asdict(mutant))
                print("survived:", *asdict(mutant).values(), flush=True)
            killed = number - len(survivors)
            print(f"{room}: {killed} of {number} killed", flush=True)
            judged = {"commit": head[:8], "seed": SEED, "sample": number, "killed": killed, "survived": survivors}
            if write:
                recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
                RECORDED.write_text(json.dumps(recorded | {room: judged}, indent=1) + "\n")


def main() -> int:
    """Carry out what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("what", choices=("cover", "run"))
    parser.add_argument("rooms", nargs="*", choices=[*ROOMS, []], default=list(ROOMS))
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--write", action="store_true", help="put the shares into recorded.json")
    asked = parser.parse_args()
    if asked.what == "cover":
        return cover()
    run(asked.rooms, asked.sample, write=asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
