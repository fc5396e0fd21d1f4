"""List every name that outlives a process or is read by another program: what a later release may only add to.

`python -m tests.unit.state.stored_surface` writes the list. Names of classes, modules and functions are not in it:
those may change. `stored_surface.txt` was written by the release before; add what a release adds, and take nothing
away.
"""

import ast
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import roas
from roas.api.documents import FaultDocument, Greeting, StartOrder, StatusReport
from roas.cli.running import ExitCode
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.messages.message import MESSAGES
from roas.metrics.bot_metrics import DeploymentMetrics, Metrics
from roas.metrics.integration_monitor import DeploymentFigures
from roas.models.alert import Alert
from roas.models.candidate import Candidate, Delivery, Hold
from roas.models.deployment import Deployment, Freeze, Lock, PhaseResult, ServiceProgress
from roas.models.leader_lease import Heartbeat, LeaderLease
from roas.models.plan import Plan, PlanRecord
from roas.models.post import Post
from roas.models.recovery import RecoveryStep
from roas.models.release import Release
from roas.models.state_change import StateChange
from roas.state.manager import StateManager
from roas.state.schema import migrate
from tests.unit.sources import all_nodes, tree_of

DOCUMENTS: Mapping[str, type] = {
    "alerts": Alert,
    "candidates": Candidate,
    "deliveries": Delivery,
    "holds": Hold,
    "changes": StateChange,
    "deployments": Deployment,
    "freezes": Freeze,
    "heartbeats": Heartbeat,
    "locks": Lock,
    "owners": LeaderLease,
    "phases": PhaseResult,
    "posts": Post,
    "proposals": PlanRecord,
    "recoveries": RecoveryStep,
    "releases": Release,
    "service_progress": ServiceProgress,
    "control socket fault": FaultDocument,
    "control socket greeting": Greeting,
    "control socket plan": Plan,
    "control socket start": StartOrder,
    "control socket status": StatusReport,
}
# Metrics, ids of buttons and keys of Redis, and routes of the control socket and of HTTP.
PLAIN_TEXT = re.compile(r"roas[_:][\w:{}]+|/v1/[\w/{}]+|/(?:health|ready|metrics|alerts)")
# Kinds of posts, sources of changes, names of rows.
CONSTANT = re.compile(r"[a-z][a-z_]*")


def surface() -> set[str]:
    """Return the whole list, one name a line."""
    found = {*columns(), *settings(), *metrics(), *(f"exit code {item.name} = {item.value}" for item in ExitCode)}
    found |= {f"document {name}.{MESSAGES}" for name in DOCUMENTS}
    found |= {f"document {line}" for name, kind in DOCUMENTS.items() for line in walk(name, kind)}
    package = Path(roas.__file__).resolve().parent
    for folder in (package, package / "cogs"):  # the second is a link in the repository, which rglob does not follow
        for path in folder.rglob("*.py"):
            found |= set(texts(tree_of(path.resolve())))
    return found


def columns() -> Iterator[str]:
    """Yield the columns of a new journal."""
    question = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as journal:
        migrate(journal)
        yield from (f"column {table}.{column}" for table, column in journal.execute(question))


def settings() -> Iterator[str]:
    """Yield the settings, and those of one environment."""
    for kind, prefix in ((Settings, ""), (EnvironmentSettings, "ENVIRONMENTS__*__")):
        yield from (f"setting {prefix}{name.upper()}" for name in kind.model_fields)


def metrics() -> Iterator[str]:
    """Yield the bot's own metrics, with their labels."""
    for family in DeploymentMetrics(DeploymentFigures(cast("StateManager", None))).collect():
        yield f"metric {family.name} ({', '.join(family._labelnames)})"  # type: ignore[attr-defined]
    for metric in Metrics("v1").registry._collector_to_names:
        if hasattr(metric, "_labelnames"):
            yield f"metric {metric._name} ({', '.join(metric._labelnames)})"


def walk(path: str, kind: Any, above: frozenset[Any] = frozenset()) -> Iterator[str]:
    """Yield the keys of a JSON document and the values that its enums may have, however deep."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        yield from (f"{path} = {item.value}" for item in kind)
    elif not is_dataclass(kind):
        for inner in get_args(kind):
            yield from walk(path, inner, above)
    elif kind not in above:
        hints = get_type_hints(kind)
        for field in fields(kind):
            yield f"{path}.{field.name}"
            yield from walk(f"{path}.{field.name}", hints[field.name], above | {kind})


def texts(module: ast.Module) -> Iterator[str]:
    """Yield the names that are written out in the code."""
    yield from _texts_inside(module)
    for statement in module.body:
        match statement:
            case ast.Assign(value=ast.Constant(value=str(text))) if CONSTANT.fullmatch(text):
                yield f"constant {text}"
            case ast.Assign(value=ast.Constant(value=str(text))) if PLAIN_TEXT.match(text):
                yield f"text {text}"


def _texts_inside(module: ast.Module) -> Iterator[str]:
    docstrings = {id(node.value) for node in all_nodes(module) if isinstance(node, ast.Expr)}
    for node in all_nodes(module):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings and PLAIN_TEXT.fullmatch(text):
                yield f"text {text}"
            case ast.Call(func=ast.Name(id="new_id"), args=[ast.Constant(value=prefix)]):
                yield f"id {prefix}-…"
            case ast.Call(func=ast.Attribute(attr="key"), args=[ast.Constant(value=str(key)), *_]):
                yield f"redis key {key}"
            case ast.Assign(targets=[ast.Name(id="fingerprint")], value=ast.JoinedStr() as template):
                yield f"fingerprint {template_of(template)}"
            case ast.Call(func=ast.Name(id="OwnAlert"), args=[_, ast.JoinedStr() as template, *_]):
                yield f"fingerprint {template_of(template)}"
            case ast.Assign(value=ast.Constant(value=str(pattern))) if "(?P<id>" in pattern:
                yield f"button {''.join(plain_texts(node.value))}"
            case ast.ClassDef(body=body):
                yield from (f"error {key}" for key in error_keys(body))
            case ast.keyword():
                yield from _argument_texts(node)


def _argument_texts(argument: ast.keyword) -> Iterator[str]:
    match argument:
        case ast.keyword(arg="fingerprint", value=ast.JoinedStr() as template):
            yield f"fingerprint {template_of(template)}"
        case ast.keyword(arg="source", value=ast.Constant(value=str(source))):
            yield f"constant {source}"
        case ast.keyword(arg="metadata", value=ast.Dict(keys=keys)):
            yield from (f"metadata {key.value}" for key in keys if isinstance(key, ast.Constant))
        case ast.keyword(arg="template") if pattern := "".join(plain_texts(argument.value)):
            yield f"button {pattern}"


def plain_texts(template: ast.expr) -> list[str]:
    """Return the texts of a button's pattern, without the names of its groups, which are the code's own."""
    found = (node.value for node in all_nodes(template) if isinstance(node, ast.Constant))
    return [re.sub(r"\?P<\w+>", "", str(text)) for text in found]


def template_of(text: ast.JoinedStr) -> str:
    """Return an f-string, whatever it puts in."""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in text.values)


def error_keys(body: list[ast.stmt]) -> Iterator[str]:
    """Yield by which word the class of an error goes through the control socket and into `--json`."""
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="key")], value=ast.Constant(value=key)):
                yield str(key)


if __name__ == "__main__":
    print("\n".join(sorted(surface())))
