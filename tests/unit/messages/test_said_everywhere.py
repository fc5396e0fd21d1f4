"""What the core says has a key, and keeps it: no bare texts, and no message is put into a plain one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from roas.messages.message import COUNTED, FIELD
from tests.unit.messages.bare_texts import bare_texts
from tests.unit.messages.swallowing import swallowed
from tests.unit.sources import all_nodes, tree_of

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ["alerts", "api", "app/integration.py", "candidates", "checks", "deploy", "errors.py", "shortages.py"]
ROOMS += ["health", "http", "leadership", "metrics", "recovery", "service.py", "stack", "state"]
CORE = sorted(
    path
    for room in ROOMS
    for path in ((ROOT / "bot" / room).rglob("*.py") if "." not in room else [ROOT / "bot" / room])
)
EVERYWHERE = sorted(path for folder in ("bot", "cogs") for path in (ROOT / folder).rglob("*.py"))
# Where there are texts that nobody reads in a language of their own, and what these are.
NOT_SAID = {
    "bot/api/application.py": "for the log",
    "bot/api/approval.py": "a part of a command",
    "bot/api/control_client.py": "for who uses the class",
    "bot/api/remote.py": "answers to programs",
    "bot/api/remote_documents.py": "the description of an API",
    "bot/candidates/credentials.py": "answers to programs",
    "bot/candidates/coordinator.py": "names of tasks",
    "bot/candidates/inspection.py": "for the log",
    "bot/candidates/source_secrets.py": "hints of settings",
    "bot/candidates/statuses.py": "what forges are told, and names of tasks",
    "bot/candidates/webhooks.py": "answers to programs",
    "bot/deploy/planning/plan.py": "a key",
    "bot/deploy/operations/secret_keeper.py": "names of what the audit log has",
    "bot/stack/adopting/container_differences.py": "keys of a configuration",
    "bot/stack/adopting/sameness.py": "keys of a configuration",
    "bot/stack/compose/faults.py": "patterns of what Compose and registries say",
    "bot/stack/compose/runner.py": "what programs say",
    "bot/stack/containers/docker_events.py": "the name of a thread",
    "bot/stack/containers/logs.py": "a report of what Docker says, in its words, and lines among those of a log",
    "bot/stack/containers/removal.py": "what Docker says",
    "bot/stack/images/building.py": "what BuildKit says",
    "bot/stack/images/pull.py": "what Docker says",
    "bot/stack/images/provenance.py": "what cosign says",
    "bot/stack/images/registry.py": "what registries say",
    "bot/stack/machine/projects.py": "names, in Docker's words",
    "bot/health/usage.py": "questions to Prometheus",
    "bot/stack/docker/engine.py": "what Docker's SDK says",
    "bot/stack/docker/sdk.py": "a reason, as the kernel has them, in English",
    "bot/stack/model/service_keys.py": "keys of Compose",
    "bot/stack/model/x_deploy/backup.py": "values as a compose file has them",
    "bot/stack/model/x_deploy/canary.py": "values as a compose file has them",
    "bot/stack/policy/keys.py": "keys of Compose, and the documentation of what is thought of them",
    "bot/stack/policy/power.py": "names of powers, which are typed",
    "bot/stack/policy/refusal.py": "lines of a file",
    "bot/stack/proxy/haproxy.py": "what HAProxy is told and says",
    "bot/stack/resolution/large_files.py": "what servers say, and a tuple of lines",
    "bot/stack/resolution/git_program.py": "what git says, and a login",
    "bot/deploy/release_keeper.py": "a command",
    "bot/stack/releases/today.py": "hashed",
    "bot/stack/swarm/calls.py": "what Docker says",
    "bot/stack/swarm/tasks/tasks.py": "what Docker says",
    "bot/stack/swarm/unsupported.py": "keys of Compose",
    "bot/app/integration.py": "names of what the audit log has",
    "bot/leadership/elector.py": "a table of the documentation",
    "bot/http/server.py": "answers to programs",
    "bot/http/webhook.py": "answers to programs",
    "bot/metrics/bot_metrics.py": "help of Prometheus's metrics",
    "bot/metrics/integration_monitor.py": "names of subscribers",
    "bot/metrics/prometheus.py": "for who uses the class",
    "bot/health/collector.py": "names of subscribers",
    "bot/state/candidates.py": "names of what the audit log has",
    "bot/state/deployments/rows.py": "names of what the audit log has",
    "bot/state/deployments/control.py": "names of what the audit log has",
    "bot/state/deployments/deployments.py": "names of what the audit log has",
    "bot/state/schema.py": "statements of SQL",
    "bot/state/shared/replica.py": "statements of SQL",
    "bot/leadership/shared_leadership.py": "reasons in the log",
    "bot/state/shared/log.py": "what is missing, within a message",
    "bot/state/shared/objects.py": "what is missing, within a message",
    "bot/checks/engine.py": "names of products",
    "bot/stack/containers/watch.py": "names of tasks",
    "bot/shortages.py": "what Python says of a thread",
    "bot/stack/docker/api_errors.py": "patterns of what engines say",
    "bot/stack/proxy/live_configuration.py": "a command",
    "bot/stack/backups/volume_helper.py": "commands",
    "bot/checks/discord_facts.py": "the name of a client, and Discord's own names",
    "bot/deploy/phase_runner.py": "a name in the log",
    "bot/deploy/data/restore.py": "names of powers",
}
# Where a text of somebody else's, or a condition, looks like a message that is put into another.
NO_MESSAGE = {
    "bot/api/approval.py": "the reason that a person gave is stripped",
    "bot/deploy/orchestrator.py": "the reason that a person gave is stripped",
    "bot/deploy/planning/planner.py": "tuples of warnings",
    "bot/checks/compose.py": "what the compose file says of a variable",
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Read each source once for all rules."""
    return {path: tree_of(path) for path in EVERYWHERE}


def test_core_says_nothing_without_a_key(trees: dict[Path, ast.Module]) -> None:
    bare = {f"{_name(path)}:{line}": text for path in CORE for line, text in bare_texts(trees[path])}
    found = {where: text for where, text in bare.items() if where.rpartition(":")[0] not in NOT_SAID}
    assert found == {}, "Say it by said(), or say above why nobody reads it in a language of their own."
    assert NOT_SAID.keys() - {where.rpartition(":")[0] for where in bare} == set()


def test_no_message_is_put_into_a_plain_text(trees: dict[Path, ast.Module]) -> None:
    sources = [*CORE, *(path for path in EVERYWHERE if path.is_relative_to(ROOT / "cogs"))]
    lines = {_name(path): [*swallowed(trees[path])] for path in sources}
    found = {name: where for name, where in lines.items() if where and name not in NO_MESSAGE}
    assert found == {}, "Put them together by said() or joined(), so that key and fields stay."
    assert [name for name in NO_MESSAGE if not lines[name]] == []


@pytest.mark.parametrize(
    ("code", "is_swallowed"),
    [
        ("f'{error.message} ({text})'", True),
        ("first + said('x')", True),
        ("'; '.join(reasons)", True),
        ("' '.join(one.message for one in found)", True),
        ("f'{problem.hint}'.strip()", True),
        ("doing.capitalize()", True),
        ("text += f' {reason}' if reason else ''", True),
        ("log.warning(f'{error.message}')", False),
        ("said('{reason}.', reason=error.message)", False),
        ("', '.join(names)", False),
    ],
)
def test_swallowed_messages_are_found(code: str, is_swallowed: bool) -> None:
    assert bool([*swallowed(ast.parse(code))]) is is_swallowed


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in all_nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "said":
            yield node


def test_templates_are_literals_with_the_fields_that_are_given(trees: dict[Path, ast.Module]) -> None:
    """Babel finds no others, and a template that is nothing but a field says nothing by itself."""
    wrong = []
    for path, tree in trees.items():
        for call in _calls(tree):
            match call.args:
                case [ast.Constant(value=str(template))]:
                    fields = {keyword.arg for keyword in call.keywords}
                    counts = {found[1] for found in COUNTED.finditer(template)}
                    if set(FIELD.findall(template)) | counts != fields or FIELD.fullmatch(template):
                        wrong.append(f"{_name(path)}:{call.lineno}: {template}")
                case _:
                    wrong.append(f"{_name(path)}:{call.lineno}: no literal")
    assert wrong == []


def test_nothing_is_said_within_an_f_string(trees: dict[Path, ast.Module]) -> None:
    """It would be plain there, and Babel does not look into one."""
    within = [
        f"{_name(path)}:{node.lineno}"
        for path, tree in trees.items()
        for node in all_nodes(tree)
        if isinstance(node, ast.JoinedStr)
        for inner in all_nodes(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "said"
    ]
    assert within == []


def test_since_names_a_moment_and_no_age(trees: dict[Path, ast.Module]) -> None:
    """Discord shows `since()` as "14 minutes ago", which nothing can have lasted since."""
    wrong = [
        f"{_name(path)}:{node.lineno}"
        for path, tree in trees.items()
        for node in all_nodes(tree)
        if isinstance(node, ast.Call) and node.args and isinstance(template := node.args[0], ast.Constant)
        for field in re.findall(r"since \{(\w+)\}", str(template.value))
        for keyword in node.keywords
        if keyword.arg == field and ast.unparse(keyword.value).startswith("since(")
    ]
    assert wrong == []
