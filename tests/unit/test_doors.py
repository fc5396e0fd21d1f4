"""Every door by which a text leaves the bot is known, and hides secrets.

A door that is new fails here: let it hide what it lets out, and list it with the way in which it does.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from roas.redaction import Redactor
from tests.unit.sources import all_nodes, tree_of

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("bot", "cogs") for path in (ROOT / folder).rglob("*.py"))
SOURCES = [path for path in SOURCES if not path.is_relative_to(ROOT / "bot" / "cogs")]

# By which calls a text leaves, and where: each with what hides its secrets, or why there are none.
DOORS: dict[str, tuple[str, dict[str, str]]] = {
    "Discord": (
        (
            r"\.(send_message|edit_original_response|edit_message|create_thread|create_dm|reply|send_modal)$|followup\.send$"
            r"|(?:_channel|message\(…\)|user|member|author|owner)\.(send|edit)$|^message\.edit$"
        ),
        {
            "bot/ui/notifications/ops_channel.py": "hidden_drawing",
            "cogs/answers.py": "hidden_embeds",
            "cogs/extension.py": "view=None",  # buttons are taken away, and nothing is said
        },
    ),
    "HTTP": (
        r"^web\.(Response|json_response|StreamResponse|FileResponse|WebSocketResponse|HTTP\w+)$",
        {
            "bot/api/application.py": "hidden_json",
            "bot/api/remote.py": "hide_in_document",
            "bot/http/server.py": "hide(",
            "bot/http/webhook.py": "",  # numbers and fixed words
        },
    ),
    "terminal": (
        r"^print$|\.print$|^sys\.std(out|err)\.write$|^typer\.(echo|secho)$",
        {
            "bot/cli/__init__.py": "",  # the version
            "bot/cli/backups.py": "add_row(",
            "bot/cli/output.py": "hide(",
            "bot/cli/follow.py": "printable(",
            "bot/cli/history.py": "add_row(",
            "bot/cli/remote.py": "",  # a new token, the only time that it is ever shown
            "bot/cli/config.py": "add_row(",
            "bot/cli/status.py": "add_row(",
            "bot/cli/doctor.py": "add_row(",
            "bot/cli/drawn_plan.py": "add_row(",
            "bot/terminals.py": "",  # fixed words, and what the kernel calls a full disk
        },
    ),
    "log": (r"^logging\.getLogger$|^structlog\.get_logger$|^warnings\.warn$|^syslog\.", {"bot/log.py": "hide"}),
    "Redis": (
        r"\.(xadd|hset|hmset|mset|lpush|rpush|sadd|zadd|setex)$",
        {"bot/state/redis_sync.py": "self._redact"},
    ),
    "journal": (
        r"connection\.execute$|\.(executemany|executescript)$|^sqlite3\.connect$",
        {
            "bot/state/transaction.py": "hide_in_document",
            # Tables and ids, where transactions begin and end, and whole copies of what is there.
            "bot/state/journal/journal.py": "",
            "bot/state/schema.py": "",
            "bot/state/journal/place.py": "",
            "bot/state/journal/copies.py": "",
            # Rows as another machine's journal has them, which hid secrets when it wrote them.
            "bot/state/shared/replica.py": "",
            "bot/state/shared/log.py": "",
        },
    ),
    # The engine's own files (models, contents, what Compose reads) hold secrets, since containers are made of them.
    "files": (
        (
            r"\.(write_text|write_bytes)$|^os\.(write|fdopen)$|^shutil\.(copy|copy2|copyfile|copytree|copyfileobj|move)$"
            r"|^tempfile\.(NamedTemporaryFile|mkstemp)$"
        ),
        {
            "bot/cli/backups.py": "",  # a whole backup, for the one who asks for its file
            "bot/cli/history.py": "hidden_json",
            "bot/cli/init.py": "",  # names and folders of a stack, for people to read and edit
            "bot/log.py": "",  # lines that log.py made, and out of which it has hidden them
            "bot/state/journal/copies.py": "",  # copies of the journal
            "bot/state/living_processes.py": "",  # one constant word
            "bot/state/seen_stacks.py": "self._redact(to_json(stack))",
        },
    ),
}
# What makes a text that people read.
SAYS = re.compile(r"Error$|^said$|^_$|^Problem$|\.say$")
LABELS = """
alert environment event_type kind outcome phase result service severity source status subscriber type verdict version
"""


@cache
def _calls(path: Path) -> frozenset[str]:
    """Return what a source calls, each once; all kinds of doors look through the same."""
    calls = (ast.unparse(node.func) for node in all_nodes(tree_of(path)) if isinstance(node, ast.Call))
    return frozenset(re.sub(r"\([^()]*\)", "(…)", call) for call in calls)


@pytest.mark.parametrize("kind", DOORS)
def test_every_door_is_known_and_hides_secrets(kind: str) -> None:
    pattern, known = DOORS[kind]
    searched = [path for path in SOURCES if kind != "files" or not path.is_relative_to(ROOT / "bot" / "stack")]
    found = {str(path.relative_to(ROOT)) for path in searched if any(re.search(pattern, call) for call in _calls(path))}
    assert found == set(known), "a new door: let it hide secrets, then list it; or one that is gone"
    assert [name for name, by in known.items() if by not in (ROOT / name).read_text()] == []


def test_no_text_of_ours_looks_like_a_secret() -> None:
    """What hides secrets would tear a hole into a text that says `Bearer` or `token:` before another word."""
    redact, torn = Redactor().redact, set[str]()
    for path in SOURCES:
        for node in all_nodes(tree_of(path)):
            if not isinstance(node, ast.Call) or not SAYS.search(ast.unparse(node.func)):
                continue
            within = (item for part in ast.iter_child_nodes(node) for item in ast.walk(part))
            words = (item.value for item in within if isinstance(item, ast.Constant) and isinstance(item.value, str))
            torn |= {text for text in words if redact(text) != text}
    assert torn == set()


def test_metrics_have_labels_of_few_values_only() -> None:
    """A label of free text would take secrets along."""
    tree = ast.parse("\n".join(path.read_text() for path in (ROOT / "bot" / "metrics").rglob("*metrics*.py")))
    lists = [
        argument
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for argument in (*node.args[2:3], *(keyword.value for keyword in node.keywords if keyword.arg == "labels"))
        if isinstance(argument, ast.List)
    ]
    labels = {elt.value for found in lists for elt in found.elts if isinstance(elt, ast.Constant)}
    assert labels
    assert labels <= set(LABELS.split())
