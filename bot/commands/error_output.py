"""Print an error: what is wrong, then what to do; never a traceback."""

import json
from dataclasses import asdict

from pydantic_core import to_jsonable_python

from roas.api.documents import FaultDocument
from roas.commands.terminal import Terminal
from roas.models.deployment import Problem

REPORT_LINES = 40


def print_error(terminal: Terminal, fault: FaultDocument | Problem) -> None:
    """Write a fault to stderr; with --json its document to stdout, too."""
    if terminal.as_json:
        terminal.document(fault_json(fault))
    describe(terminal, fault)


def describe(terminal: Terminal, fault: FaultDocument | Problem) -> None:
    """Print an error to stderr."""
    terminal.say(fault.message, lead=("error: ", "bold red"), on_err=True)
    for line in _hints(fault):
        terminal.say(line, lead=("  → ", "cyan"), on_err=True)
    for line in fault.report.splitlines()[-REPORT_LINES:]:
        terminal.say(f"  | {line}", on_err=True)


def _hints(fault: FaultDocument | Problem) -> list[str]:
    lines = fault.hint.splitlines()
    if isinstance(fault, FaultDocument) and fault.lock is not None:
        lines.append(f"To cancel it: roas cancel {fault.lock.environment}")
    return lines


def fault_json(fault: FaultDocument | Problem) -> str:
    """Return `{"error": …}`."""
    return json.dumps({"error": to_jsonable_python(asdict(fault))})
