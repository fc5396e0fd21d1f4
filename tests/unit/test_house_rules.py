"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.retry_figures import retry_figures
from tests.unit.sources import children, tree_of
from tests.unit.text_decisions import text_decisions
from tests.unit.waiting_by_hand import backs_off_by_hand, ends_tasks_by_hand, sleeps_by_another_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "https://github.com/roas-bot/roas-bot"
SOURCES = sorted(path for folder in ("bot", "cogs") for path in (ROOT / folder).rglob("*.py"))


@pytest.fixture(scope="module")
def trees():
    """Read each source once for all rules."""
    return {path: tree_of(path) for path in SOURCES}


def test_no_sleep_used_for_waiting():
    helper = ROOT / "bot" / "concurrency.py"  # whose `pause` is between two rounds only, see below
    sleeping = [
        f"{path}:{n}"
        for path in SOURCES
        if path != helper
        for n, line in enumerate(path.read_text().split("\n"), 1)
        if "sleep(" in line
    ]
    assert sleeping == []


def test_every_task_has_owner():
    dropped = re.compile(r"^\s*(asyncio\.)?(create_task|ensure_future)\(")
    found = [
        f"{path}:{n}"
        for path in SOURCES
        for n, line in enumerate(path.read_text().split("\n"), 1)
        if dropped.match(line)
    ]
    assert found == []


def test_durations_monotonic_timestamps_aware():
    # The wall clock is for what bears the wall clock's time; a comment on the line says so.
    naive = re.compile(r"time\.time\(\)(?!.*#)|utcnow\(|datetime\.now\(\)(?!\.astimezone)")
    found = [
        f"{path}:{n}"
        for path in SOURCES
        for n, line in enumerate(path.read_text().split("\n"), 1)
        if naive.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-lowest.lock", "requirements-dev.lock", "pyproject.toml", "Dockerfile"]
)
def test_package_sources_not_in_repository(name):
    assert "://" not in (ROOT / name).read_text().replace(PROJECT, "")


def test_tracebacks_hide_local_variables():
    """Even before logging is configured."""
    program = (
        "from roas.log import get_logger\n"
        "def fail():\n    secret = 'local-' + 'value'\n    raise RuntimeError('planted')\n"
        "try:\n    fail()\nexcept RuntimeError as error:\n    get_logger('x').error('broke', exc_info=error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "planted" in done.stderr
    assert done.stdout == ""
    assert "local-value" not in done.stderr


# discord.py opens one by the `setup` of the package; the next is the program, which Ctrl-C ends while it loads. The
# command line loads what a command needs, and all of the bot only where none runs. What an extra brings is loaded by
# `extras.py`, once a setting asks for it.
FRONT_DOORS = {
    Path("bot") / name for name in ("__init__.py", "__main__.py", "cli/__init__.py", "cli/connection.py", "extras.py")
}
# By which modules are loaded other than by a statement, whatever they are called where they are used.
LOADERS = frozenset({"__import__", "exec_module", "import_module", "iter_modules", "load_module", "run_module"})


def _dotted(node: ast.AST) -> str:
    """Return a name as it is written, with what it is an attribute of; as `ast.unparse` does, but in a moment."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
    return ""


def _within_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in functions, each node once, also where one is in another."""
    left = [(tree, False)]
    while left:
        node, within = left.pop()
        if within:
            yield node
        within = within or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        left += [(child, within) for child in children(node)]


def _late_imports(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the imports within functions, and each name of what imports in another way."""
    yield from (node for node in _within_functions(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) | ast.Constant(value=name):
                if isinstance(name, str) and name in LOADERS:
                    yield node


def test_nothing_is_imported_after_the_load(trees):
    """Two threads that load one package wait for each other; after an upgrade on the disk, versions would mix."""
    late = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in trees.items()
        if path.relative_to(ROOT).parts[0] in {"bot", "cogs"} and path.relative_to(ROOT) not in FRONT_DOORS
        for node in _late_imports(tree)
    }
    assert late == set()


@pytest.mark.parametrize(
    ("code", "is_late"),
    [
        ("def f():\n    import jwt", True),
        ("def f():\n    from roas import jwt", True),
        ("from importlib import import_module", True),
        ("from importlib import import_module as load", True),
        ("import importlib as loading\nloading.import_module('jwt')", True),
        ("import importlib\nload = importlib.import_module", True),
        ("getattr(importlib, 'import_module')('jwt')", True),
        ("load = __import__", True),
        ("import builtins\nbuiltins.__import__('jwt')", True),
        ("[*pkgutil.iter_modules()]", True),
        ("import runpy\nrunpy.run_module('jwt')", True),
        ("spec.loader.exec_module(made)", True),
        ("import jwt", False),
        ("from importlib import metadata", False),
        ("importlib.util.resolve_name(name, package)", False),
    ],
)
def test_late_imports_are_found(code, is_late):
    assert bool([*_late_imports(ast.parse(code))]) is is_late


@pytest.mark.parametrize("name", ["bot", "cogs"])
def test_package_has_one_name(name):
    """By another name it would be loaded a second time, with a second copy of every class."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "`import roas`" in done.stderr or "the extension is `roas`" in done.stderr


# What passes the time of a test's own clock; the fixture puts the clock forward for one test.
OWN_CLOCKS, HURRIED = ("VirtualLoop", "virtual_time"), "hurried_time"
LOOPS = (ast.While, ast.For, ast.AsyncFor)
WAITING_CALLS = ("sleep(", "asyncio.wait(", "call_later(")


def _is_hurried(node: ast.AST) -> bool:
    """Return whether a test has the clock that is put forward."""
    asked = getattr(node, "decorator_list", []) + ([node.args] if isinstance(node, ast.AsyncFunctionDef) else [])
    return any(HURRIED in ast.unparse(part) for part in asked)


def _waits(call: ast.Call) -> bool:
    """Return whether a call waits for a time that is written there, or has something happen after that."""
    times = {"asyncio.sleep": call.args[:1], "time.sleep": call.args[:1]}
    times["asyncio.wait"] = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
    name = _dotted(call.func)
    later = isinstance(call.func, ast.Attribute) and call.func.attr == "call_later"
    found = call.args[:1] if later else times.get(name, [])
    named = name in {"asyncio.sleep", "time.sleep"}
    return any(time.value != 0 if isinstance(time, ast.Constant) else named for time in found)


def _sleeps(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield each wait for the clock that is not the pause of a loop which looks again."""
    left: list[tuple[ast.AST, bool]] = [(tree, False)]
    while left:
        node, within = left.pop()
        match node:
            case ast.Call() if _waits(node) and not within:
                yield node
        left += [(child, within or isinstance(node, LOOPS)) for child in children(node)]


def test_unit_tests_wait_for_no_wall_clock():
    """What takes half a second here takes five on a loaded machine, and is late then."""
    waiting = set()
    for path in sorted((ROOT / "tests" / "unit").rglob("*.py")):
        text = path.read_text()
        if any(clock in text for clock in OWN_CLOCKS) or not any(call in text for call in WAITING_CALLS):
            continue
        for top in ast.parse(text).body:
            is_helper = not isinstance(top, ast.AsyncFunctionDef) and HURRIED in text
            if not (is_helper or _is_hurried(top)):
                waiting |= {f"{path.relative_to(ROOT)}:{node.lineno}" for node in _sleeps(top)}
    assert waiting == set()


# Where a text is read all the same: what a person typed, and what others say in words only.
READ_TEXTS = {
    "bot/api/approval.py": "a hotfix needs a reason from the one who asks",
    "bot/deploy/orchestrator.py": "a hotfix needs a reason from the one who asks",
    "bot/models/gate.py": "a hotfix and a rollback pass by a reason from the one who asks",
    "bot/stack/docker/engine.py": "Docker says in words only that it does not speak the version of its API",
    "bot/stack/containers/docker_events.py": "Docker's event has its detail in the action",
    "bot/stack/containers/removal.py": "Docker says in words only that a removal is under way",
    "bot/stack/swarm/calls.py": "Docker says in words only that a write came too late, or that no leader is there",
    "bot/state/redis_sync.py": "Redis says in words only that it is loading or read-only",
    "cogs/arguments.py": "a hotfix needs a reason from the one who asks",
}
DRAWING = tuple(ROOT / "bot" / folder for folder in ("ui", "cli"))


def test_no_decision_reads_a_text(trees):
    """What people read may be said otherwise, or in another language, and nothing else happens."""
    deciding = [path for path in SOURCES if not path.is_relative_to(DRAWING[0]) and not path.is_relative_to(DRAWING[1])]
    found = {str(path.relative_to(ROOT)): lines for path in deciding if (lines := [*text_decisions(trees[path])])}
    assert {file: lines for file, lines in found.items() if file not in READ_TEXTS} == {}
    assert sorted(READ_TEXTS.keys() - found.keys()) == [], "these read none any more"


@pytest.mark.parametrize(
    ("code", "decides"),
    [
        ("bool(phase.summary)", True),
        ("alert.actions[-1].startswith(NOT_OURS)", True),
        ("reason != DIED", True),
        ("'in progress' in error.message", True),
        ("reason in {HUNG, DIED}", True),
        ("drift.reason.split('; ')", True),
        ("PASSING.search(str(error))", True),
        ("type(error).__name__ == 'APIError'", True),
        ("[one for one in found if not one.hint]", True),
        ("\"SELECT 1 FROM recoveries WHERE json_extract(document, '$.result') = ''\"", True),
        ("error.message != self._said_before", False),
        ("reason is TakeoverReason.DIED", False),
        ("text = problem.hint or 'Look at the log.'", False),
        ("warning not in self.warnings", False),
    ],
)
def test_decisions_by_texts_are_found(code, decides):
    assert bool([*text_decisions(ast.parse(code))]) is decides


# What is named like the figure of a retry, and is none.
NO_RETRIES = {
    "bot/alerts/manual_stops.py": {"GRACE_SECONDS": "how long a container may take to stop"},
    "bot/app/maintenance.py": {"ATTEMPTS_KEPT": "how long records of recoveries are kept"},
    "bot/deploy/handover/stale_instances.py": {"PATIENCE_SECONDS": "how long a bot may take to say who it is"},
    "bot/http/webhook.py": {"PATIENCE_SECONDS": "how long a request may take to arrive"},
    "bot/leadership/shared_leadership.py": {"GIVE_AWAY_SECONDS": "how long leadership may take to be given away"},
    "bot/service.py": {"EXIT_BEGIN_AGAIN": "an exit code"},
    "bot/stack/containers/removal.py": {"DEFAULT_GRACE_SECONDS": "how long a container may take to stop"},
    "bot/stack/images/registry.py": {"MOST_PAGES": "a list has pages"},
    "bot/stack/model/x_deploy/track.py": {"MOST_TRIES": "of a regular expression"},
    "bot/stack/swarm/writing/service_writes.py": {"GRACE_NANOSECONDS": "how long a container may take to stop"},
}


def test_retries_set_in_one_place(trees):
    """How often, and for how long, what is tried again is read in one file."""
    found = {str(path.relative_to(ROOT)): [*retry_figures(tree)] for path, tree in trees.items()}
    assert found.pop("bot/limits.py")
    elsewhere = {file: set(names) - NO_RETRIES.get(file, {}).keys() for file, names in found.items()}
    assert {file: names for file, names in elsewhere.items() if names} == {}, "set it in bot/limits.py"
    gone = {file: names.keys() - set(found[file]) for file, names in NO_RETRIES.items()}
    assert {file: names for file, names in gone.items() if names} == {}, "these are not there any more"


@pytest.mark.parametrize(
    ("code", "is_figure"),
    [
        ("TRIES = 3", True),
        ("FRESH_SECONDS, KEYS_RETRY_SECONDS = 600.0, 30.0", True),
        ("TRIED_FOR: timedelta = timedelta(days=1)", True),
        ("MOST = 3\nfor _ in range(MOST + 1):\n    try:\n        act()\n    except OSError:\n        pass", True),
        ("backoff = Backoff(Retries(1.0, 60.0))", True),
        ("ASK_AGAIN = said('Type it again.')", False),
        ("MOST_PAGES = 3\nfor page in range(MOST_PAGES):\n    read(page)", False),
        ("POLL_SECONDS = 2.0", False),
        ("backoff = Backoff(Retries(pace.first_retry, pace.longest_retry))", False),
    ],
)
def test_retry_figures_are_found(code, is_figure):
    assert bool([*retry_figures(ast.parse(code))]) is is_figure


# What starts a thread or a process, and where that is done: there a refusal gets a word, and leaves nothing queued.
STARTS = re.compile(
    r"\bto_thread\(|threading\.Thread\(|ThreadPoolExecutor\(|run_in_executor\(|create_subprocess_|subprocess\.(run|Popen)\("
)
STARTING = {
    "concurrency.py",
    "state/journal/journal.py",
    "ui/chart.py",
    "log.py",
    "stack/docker/engine.py",
    "stack/compose/jail.py",
    "stack/compose/jail_container.py",
    "stack/compose/processes.py",
}


# What a setting calls an engine is no address for a process: ssh has a key, and of several managers one may be away.
NAMES_ENGINE = re.compile(r"\bengine_address\(|\"DOCKER_HOST\"")
NAMING_ENGINE = {
    "cli/docker.py",
    "cli/running.py",
    "service.py",
    "stack/docker/engine.py",
    "stack/compose/runner.py",
    "stack/policy/places.py",
}


def test_address_of_an_engine_is_used_in_few_places():
    """Whoever starts a program asks `Engine.reached` for one."""
    found = {str(path.relative_to(ROOT / "bot")) for path in SOURCES if NAMES_ENGINE.search(path.read_text())}
    assert found <= NAMING_ENGINE


def test_threads_and_processes_are_started_in_few_places():
    found = {str(path.relative_to(ROOT / "bot")) for path in SOURCES if STARTS.search(path.read_text())}
    assert found <= STARTING


OWN = ("bot", "cogs", "demo", "sandbox", "testbed", "tests", "tools")
EVERYWHERE = sorted(path for folder in OWN for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    ("by_hand", "words", "files", "helper"),
    [
        (ends_tasks_by_hand, "gather", EVERYWHERE, "concurrency.py"),
        (backs_off_by_hand, r"import random|from random|\*", SOURCES, "limits.py"),
        (sleeps_by_another_name, r"Event\(|pause\(", SOURCES, "concurrency.py"),
    ],
    ids=["ends tasks", "backs off", "sleeps"],
)
def test_waiting_and_ending_have_one_helper(by_hand, words, files, helper, trees):
    """Nobody does by hand what has a helper; without one of the words there is nothing to be found in a file.

    Tests that know nothing of the product have a helper of their own.
    """
    texts = {path: text for path in files if re.search(words, text := path.read_text())}
    found = {path: lines for path, text in texts.items() if (lines := [*by_hand(trees.get(path) or ast.parse(text))])}
    helpers = {ROOT / "bot" / helper, ROOT / "testbed" / "tasks.py"}
    assert {path: lines for path, lines in found.items() if path not in helpers} == {}


@pytest.mark.parametrize(
    ("by_hand", "code"),
    [
        (ends_tasks_by_hand, "async def f():\n task.cancel()\n await asyncio.gather(task, return_exceptions=True)"),
        (backs_off_by_hand, "delay = min(delay * 2, LONGEST)"),
        (backs_off_by_hand, "self._delay = min(2 * self._delay, LONGEST)"),
        (backs_off_by_hand, "delay *= 2"),
        (backs_off_by_hand, "import random"),
        (sleeps_by_another_name, "async def f():\n await wait_for(asyncio.Event(), 2)"),
        (sleeps_by_another_name, "async def f():\n await asyncio.Event().wait()"),
        (sleeps_by_another_name, "async def f():\n await pause(LAST_CHANCE_SECONDS)\n return look()"),
    ],
)
def test_waiting_by_hand_is_found(by_hand, code):
    assert [*by_hand(ast.parse(code))] != []
