"""Tests lie by what they need, and below that by what they are about."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kinds import ENGINE_FIXTURES, KINDS, is_other_program

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
# What is no folder of the bot's or beside it, and what such tests are about.
SUBJECTS = {
    "acceptance": "bot/app/application.py",
    "browser": "sandbox/page",
    "discord_bot": "bot/discord_bot.py",
    "handover": "bot/deploy/handover",
    "packaging": "pyproject.toml",
    "plugin": "docs/plugin.md",
    "plugin/host": "docs/plugin.md",
    "shipped": "docker-compose.yml",
    "wire": "bot/service.py",
}

# An outer net touches Discord's wire, the command line, files and Docker, and outlives every change of the product's
# own parts. These still hold on to such parts: none is added, and what lets go of them is struck out.
KNOWS_THE_PRODUCT = {
    "acceptance": (
        "alert_effects conftest counts deployment_effects event_scene hosts killable_deployment one_stack "
        "people test_approval_matrix test_backup_ways test_behind_proxy test_beside_compose test_canary "
        "test_counts test_data_backups test_engine_away test_engine_away_from_data test_event_effects "
        "test_exact_rollback test_figures test_five_hosts test_generated_approvals test_jobs_on_rollback "
        "test_kept_releases test_killed_canary test_maintenance_faults test_manual_start test_many_hosts "
        "test_moving test_new_powers test_observation test_operations test_outcomes test_own_environment "
        "test_parallel_start test_paused_rollouts test_promotion test_provenance test_proxy_configuration "
        "test_proxy_failures test_recovery_beside_deployments test_refusals test_refused_stacks test_scaling "
        "test_shortages test_ssh_host test_swarm_counts test_true_plans test_update_order test_watching "
        "trouble"
    ),
    "campaigns": "test_canary",
    "cli": "living_bot mortal_command test_state_owner",
    "handover": "test_canary_handover test_typed_commands versions",
    "wire": "killable_bot stopping_bot test_killed_between_clicks",
}
IMPORTS_THE_PRODUCT = re.compile(r"^\s*(?:from|import) (?:roas|cogs)\b", re.MULTILINE)


def subject_of(folder: str) -> Path:
    """Return what a folder of tests is about: a folder of the bot, one beside it, or what is named above."""
    named = SUBJECTS.get(folder, folder)
    places = (ROOT / named, ROOT / "tools" / named, ROOT / "bot" / named)
    return next((place for place in places if place.exists()), places[-1])


def test_folders_are_kinds_and_what_is_tested():
    folders = {path.parent.relative_to(TESTS) for path in FILES} - {Path()}
    assert {folder.parts[0] for folder in folders} == set(KINDS)
    below = {"/".join(folder.parts[1:]) for folder in folders if folder.parts[1:]}
    assert sorted(folder for folder in below if not subject_of(folder).exists()) == []
    assert sorted(SUBJECTS.keys() - below) == [], "these are folders of tests no more"


def test_tests_lie_in_a_kind():
    assert [path for path in FILES if path.name.startswith("test_") and path.parent == TESTS] == []


def test_no_kind_needs_one_after_it():
    """Who reads a unit test needs no other to understand it."""
    found = []
    for path in FILES:
        kind = path.relative_to(TESTS).parts[0]
        after = KINDS[KINDS.index(kind) + 1 :] if kind in KINDS else KINDS
        names = {f"tests.{item}" for item in after}
        text = path.read_text()
        if not any(name in text for name in names):
            continue  # to parse all tests takes as long as to run hundreds of them
        for node in ast.walk(ast.parse(text)):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if any(module == name or module.startswith(f"{name}.") for name in names):
                found.append(f"{path.relative_to(ROOT)}: {module}")
    assert found == []


def test_outer_net_knows_no_more_of_the_product():
    files = [path for path in FILES if path.is_relative_to(TESTS / "e2e")]
    found = {path.relative_to(TESTS / "e2e") for path in files if IMPORTS_THE_PRODUCT.search(path.read_text())}
    listed = {Path(folder, f"{name}.py") for folder, names in KNOWS_THE_PRODUCT.items() for name in names.split()}
    assert sorted(found - listed) == [], "ask by the wire, the command line, a file or Docker instead"
    assert sorted(listed - found) == [], "these know nothing of it any more: strike them out"


def asked_for(tree: ast.AST) -> set[str]:
    """Return what tests and fixtures of a file ask for, by the names of their arguments or by a mark."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    asking = [
        function
        for function in functions
        if function.name.startswith("test_") or any("fixture" in ast.unparse(by) for by in function.decorator_list)
    ]
    named = {argument.arg for function in asking for argument in function.args.args}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    marks = [call for call in calls if ast.unparse(call.func).endswith("usefixtures")]
    return named | {item.value for mark in marks for item in mark.args if isinstance(item, ast.Constant)}


def test_unit_tests_ask_for_no_engine():
    texts = {path: path.read_text() for path in (TESTS / "unit").rglob("*.py")}
    found = {
        str(path.relative_to(ROOT)): asked
        for path, text in texts.items()
        if any(name in text for name in ENGINE_FIXTURES) and (asked := asked_for(ast.parse(text)) & ENGINE_FIXTURES)
    }
    assert found == {}


@pytest.mark.parametrize(
    ("arguments", "executable", "other"),
    [
        ([sys.executable, "-c", "pass"], None, False),
        (["anything"], sys.executable, False),
        (["docker", "ps"], None, True),
        ("echo shell", None, True),
        (Path("/bin/true"), None, True),
        ([sys.executable], "/bin/sh", True),
    ],
    ids=["python", "python by name", "docker", "shell", "path", "other by name"],
)
def test_other_programs_are_known(arguments, executable, other):
    assert is_other_program(arguments, executable) is other


STARTS = """
import asyncio, contextlib, subprocess, sys

def test_plain():
    with contextlib.suppress(Exception):
        subprocess.run(["true"])

async def test_by_asyncio():
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()

def test_python():
    subprocess.run([sys.executable, "-c", "pass"], check=True)
"""


def test_unit_test_that_starts_a_program_fails(tmp_path):
    for name in ("__init__.py", "kinds.py", "unit/__init__.py", "unit/conftest.py"):
        target = tmp_path / "tests" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((TESTS / name).read_text())
    (tmp_path / "tests" / "unit" / "test_it.py").write_text(STARTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "tests"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    said = [line.partition(" - ")[0] for line in done.stdout.splitlines() if line.startswith(("ERROR ", "FAILED "))]
    assert sorted(said) == [
        "ERROR tests/unit/test_it.py::test_by_asyncio",
        "ERROR tests/unit/test_it.py::test_plain",
    ], done.stdout
