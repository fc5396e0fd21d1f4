"""Read the YAML of a compose file as it is written: each scalar as its text, which nothing is converted from.

Compose reads another YAML than PyYAML does: `yes` and `12:30` are texts there, and `!!set` changes nothing about a
mapping. Nothing is judged by it: what it misreads is a file that Compose does not get.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import yaml

from roas.errors import ComposeFileError, too_large_file
from roas.messages.message import said

# Keys, values, aliases and the ends of lists and mappings, in one file; the largest that was seen had 15,000.
MOST_EVENTS = 150_000
STANDARD = "tag:yaml.org,2002:"
MERGE = f"{STANDARD}merge"
NULL = f"{STANDARD}null"
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
RESET = "!reset"
REMEMBERED, REMEMBERED_BYTES = 32, 1 << 18


Document = dict[str, object]


class _RawLoader(yaml.CSafeLoader):
    """Resolve merges and nothing else; every scalar stays text."""


_RawLoader.yaml_implicit_resolvers = {
    sign: kept
    for sign, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    if (kept := [(tag, pattern) for tag, pattern in resolvers if tag in {MERGE, NULL}])
}


def read_compose(path: Path, content: bytes) -> tuple[Document, ...]:
    """Return the documents of a compose file, of which `path` is for messages only; nobody changes them.

    Raises ComposeFileError that names the file and the line.
    """
    return _read_again(path, content) if len(content) <= REMEMBERED_BYTES else _read(path, content)


def values_of(document: object) -> Iterator[object]:
    """Yield a document, or a part of one, and every value in it, in the order of the text; once for all aliases."""
    pending: list[object] = [document]
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        if isinstance(value, dict | list):
            if id(value) in seen:
                continue
            seen.add(id(value))
            pending += reversed([*value.values()] if isinstance(value, dict) else value)
        yield value


def _read(path: Path, content: bytes) -> tuple[Document, ...]:
    try:
        _refuse_too_many(yaml.parse(content, Loader=_RawLoader), path)
        nodes = list(yaml.compose_all(content, Loader=_RawLoader))
        documents = [_Reader(path).value(node) for node in nodes if node is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _does_not_parse(path, content, error) from error
    return tuple(document for document in documents if isinstance(document, dict))


# One deployment reads the same bytes for its plan, its checks and its release, each time twice.
_read_again = lru_cache(REMEMBERED)(_read)


def _refuse_too_many(events: Iterable[yaml.Event], path: Path) -> None:
    """Count what a file is made of before anything is made of it; an alias counts, wherever it leads."""
    if next(islice(events, MOST_EVENTS, None), None) is not None:
        raise too_large_file(path)


class _Reader:
    """Convert the nodes of one document to values, each once however many aliases lead to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[int, object] = {}
        self._open: set[int] = set()
        self._entries = 0

    def value(self, node: yaml.Node) -> object:
        """Return what a node holds, by its kind: its tag changes nothing about that."""
        if id(node) in self._done:
            return self._done[id(node)]
        if id(node) in self._open:
            raise _fault(node, said("an alias leads to what it is itself part of"))
        self._open.add(id(node))
        found: object = None
        if isinstance(node, yaml.MappingNode):
            found = self._mapping(node)
        elif isinstance(node, yaml.SequenceNode):
            found = [self.value(entry) for entry in node.value]
        elif isinstance(node, yaml.ScalarNode):
            found = None if node.tag == NULL and node.value in NULLS else str(node.value)
        self._open.remove(id(node))
        self._done[id(node)] = found
        return found

    def _mapping(self, node: yaml.MappingNode) -> Document:
        """Return a mapping with what is merged into it; its own keys win, but for one that is reset."""
        own: Document = {}
        merged: Document = {}
        reset: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                for mapping in self._merged(value_node):
                    merged = {**mapping, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise _fault(key_node, said("a key is not text"))
            own[str(key_node.value)] = self.value(value_node)
            if value_node.tag == RESET:
                reset.add(str(key_node.value))
        for key in reset & merged.keys():
            del own[key]
        self._count(len(own) + len(merged))
        return {**merged, **own}

    def _count(self, entries: int) -> None:
        """Refuse what only merges make large."""
        self._entries += entries
        if self._entries > MOST_EVENTS:
            raise too_large_file(self._path)

    def _merged(self, node: yaml.Node) -> Iterator[Document]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self.value(source)
            if not isinstance(value, dict):
                raise _fault(source, said("only mappings can be merged"))
            self._count(len(value))
            yield value


def _fault(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _does_not_parse(path: Path, content: bytes, error: Exception) -> ComposeFileError:
    mark = getattr(error, "problem_mark", None)
    line = None if mark is None else mark.line + 1
    problem = getattr(error, "problem", None) or said("it is not YAML")
    if isinstance(error, yaml.reader.ReaderError):
        line = content.count(b"\n", 0, error.position) + 1
        problem = said("it has a byte or a character that is not allowed in YAML, which is UTF-8 text")
    place = path.name if line is None else said("{path}, line {line}", path=path.name, line=line)
    return ComposeFileError(
        said("{place}: {problem}.", place=place, problem=problem),
        hint=said("Correct the file; `docker compose config` shows the same."),
    )
