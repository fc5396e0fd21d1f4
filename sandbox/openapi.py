"""Checks request bodies against Discord's own OpenAPI document."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_URI = "urn:discord"
_MEDIA_TYPES = ("application/json", "multipart/form-data")
_SHOWN = 5
# A bot sends much of what it sends over and over: its commands at each start, an edit of what has not changed.
_KEPT_ANSWERS = 4096
# Discord documents these elsewhere or ignores them, and its OpenAPI document leaves them out; discord.py sends them by
# itself (`tts` with every edit, the proxies of an embed that it has received), so no bot could avoid them.
_UNDESCRIBED = re.compile(
    r"(\d+\.)?nsfw|(data\.)?tts|(data\.)?embeds\.\d+\.(.+\.)?(flags|proxy_url|proxy_icon_url|content_type)"
)

Problem = tuple[str, str]


class OpenApi:
    """One OpenAPI document; parsed when the first body needs it, each operation compiled when it is first called."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            # Said at once: found out only at the first request, it would look like an outage of Discord.
            raise ValueError(f"Discord's OpenAPI document (DISCORD_OPENAPI) is not there: {path}")
        self._path = path
        self._document: _Document | None = None

    async def problems(self, method: str, path: str, body: Any) -> list[Problem]:
        """Return what is wrong with a body as (dotted path, problem), nothing for what Discord does not describe."""
        if self._document is None:
            self._document = await asyncio.to_thread(_load, self._path)
        return self._document.problems(method, path, body)


@functools.lru_cache(maxsize=2)
def _load(path: Path) -> _Document:
    """Parse the document; all sandboxes of a process share the result."""
    return _Document(json.loads(path.read_text(encoding="utf-8")))


class _Document:
    def __init__(self, content: dict[str, Any]) -> None:
        # Discord takes a snowflake as a number too, and discord.py sends some that way; its description is stricter.
        content["components"]["schemas"].get("SnowflakeType", {})["type"] = ["string", "integer"]
        self._content = content
        resource = Resource.from_contents(content, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_URI, resource)
        self._operations: dict[str, list[tuple[list[str], str]]] = {}
        for path, methods in content["paths"].items():
            for method in methods:
                self._operations.setdefault(method.upper(), []).append((path.strip("/").split("/"), path))
        self._validators: dict[tuple[str, str], Draft202012Validator | None] = {}
        self._parts = _Parts()
        self._answers: dict[tuple[str, str, bytes], list[Problem]] = {}

    def problems(self, method: str, path: str, body: Any) -> list[Problem]:
        """Return what the description refuses in a request."""
        template = self._template(method, path)
        if template is None:
            return []
        key = (method, template, _digest(body))
        if key not in self._answers:
            if len(self._answers) >= _KEPT_ANSWERS:
                self._answers.clear()
            self._answers[key] = self._judge(method, template, body)
        return self._answers[key]

    def _judge(self, method: str, template: str, body: Any) -> list[Problem]:
        if body is None:
            required = self._content["paths"][template][method.lower()].get("requestBody", {}).get("required")
            return [("", "This body is required")] if required else []
        validator = self._validator(method, template)
        if validator is None:
            return []
        errors = sorted(validator.iter_errors(body), key=lambda error: list(map(str, error.absolute_path)))
        if errors:
            return [_problem(error) for error in errors[:_SHOWN]]
        return _Unknown(self._content, validator, self._parts).keys(body, [validator.schema], "")

    def _template(self, method: str, path: str) -> str | None:
        """Return the most literal of the path templates that match."""
        parts = path.strip("/").split("/")
        best: tuple[int, str] | None = None
        for template, name in self._operations.get(method, []):
            if len(template) != len(parts):
                continue
            pairs = list(zip(template, parts, strict=True))
            if all(pair == other or pair.startswith("{") for pair, other in pairs):
                literal = sum(pair == other for pair, other in pairs)
                if best is None or literal > best[0]:
                    best = (literal, name)
        return best[1] if best else None

    def _validator(self, method: str, template: str) -> Draft202012Validator | None:
        key = (method, template)
        if key not in self._validators:
            self._validators[key] = self._compile(method, template)
        return self._validators[key]

    def _compile(self, method: str, template: str) -> Draft202012Validator | None:
        content = self._content["paths"][template][method.lower()].get("requestBody", {}).get("content", {})
        media_type = next((media_kind for media_kind in _MEDIA_TYPES if media_kind in content), None)
        if media_type is None:
            return None
        escaped = [part.replace("~", "~0").replace("/", "~1") for part in (template, media_type)]
        pointer = f"/paths/{escaped[0]}/{method.lower()}/requestBody/content/{escaped[1]}/schema"
        schema = {"$ref": f"{_URI}#{pointer}"}
        return Draft202012Validator(schema, registry=self._registry, format_checker=FormatChecker())


def _digest(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(value).encode()).digest()


@dataclass(slots=True)
class _Parts:
    """Hold what is known of parts of a document, which lives as long as this."""

    validators: dict[int, Any] = field(default_factory=dict)
    # Whether a part accepts a value, by its hash: what a bot sends consists of the same embeds and buttons, too.
    accepted: dict[tuple[int, bytes], bool] = field(default_factory=dict)


def _problem(error: Any) -> Problem:
    """Describe the innermost cause that says most: of a failed union, the branch that got furthest."""
    while error.context:
        error = max(error.context, key=lambda cause: (len(cause.absolute_path), -len(cause.context or ())))
    return ".".join(map(str, error.absolute_path)), str(error.message)[:300]


class _Unknown:
    """Finds keys that no schema knows. JSON Schema lets them pass, Discord ignores them, and so a typo goes unseen."""

    def __init__(self, content: dict[str, Any], validator: Draft202012Validator, parts: _Parts) -> None:
        self._content = content
        self._validator = validator
        self._parts = parts

    def keys(self, value: Any, schemas: list[Any], path: str) -> list[Problem]:
        """Return the unknown keys of a valid value and of everything in it."""
        branches = [branch for schema in schemas for branch in self._branches(schema, value)]
        prefix = f"{path}." if path else ""
        found: list[Problem] = []
        if isinstance(value, dict):
            for key, item in value.items():
                below = self._property(branches, key)
                if not below and not _UNDESCRIBED.fullmatch(f"{prefix}{key}"):
                    found.append((f"{prefix}{key}", "Unknown key"))
                else:
                    found += self.keys(item, below, f"{prefix}{key}")
        elif isinstance(value, list):
            below = [branch["items"] for branch in branches if "items" in branch]
            for index, item in enumerate(value):
                found += self.keys(item, below, f"{prefix}{index}") if below else []
        return found

    @staticmethod
    def _property(branches: list[dict[str, Any]], key: str) -> list[Any]:
        named = [branch["properties"][key] for branch in branches if key in branch.get("properties", {})]
        free = [branch["additionalProperties"] for branch in branches if branch.get("additionalProperties")]
        # A branch that lists no properties at all describes no object, or leaves it open.
        is_open: list[Any] = [{} for branch in branches if branch.get("type") == "object" and not _describes(branch)]
        return named + free + is_open

    def _branches(self, schema: Any, value: Any) -> list[dict[str, Any]]:
        """Follow references and unions to the plain schemas that this value satisfies."""
        if not isinstance(schema, dict):
            return [{"type": "object"}] if schema is True else []
        if "$ref" in schema:
            return self._branches(self._resolve(schema["$ref"]), value)
        found = [schema] if "properties" in schema or "items" in schema or not _is_union(schema) else []
        for part in schema.get("allOf", []):
            found += self._branches(part, value)
        for union in ("oneOf", "anyOf"):
            for part in schema.get(union, []):
                if self._accepts(part, value):
                    found += self._branches(part, value)
        return found

    def _accepts(self, schema: Any, value: Any) -> bool:
        key = (id(schema), _digest(value))
        accepted = self._parts.accepted
        if key not in accepted:
            part = self._parts.validators.get(id(schema))
            if part is None:
                part = self._parts.validators[id(schema)] = self._validator.evolve(schema=_absolute(schema))
            if len(accepted) >= _KEPT_ANSWERS:
                accepted.clear()
            accepted[key] = bool(part.is_valid(value))
        return accepted[key]

    def _resolve(self, reference: str) -> Any:
        node: Any = self._content
        for part in reference.split("#", 1)[1].strip("/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node


def _is_union(schema: dict[str, Any]) -> bool:
    return any(key in schema for key in ("allOf", "oneOf", "anyOf"))


def _describes(schema: dict[str, Any]) -> bool:
    return bool(schema.get("properties")) or "additionalProperties" in schema


def _absolute(schema: Any) -> Any:
    """Let a subschema that was extracted from the document still resolve its references."""
    if isinstance(schema, dict):
        return {
            key: f"{_URI}{value}" if key == "$ref" and str(value).startswith("#") else _absolute(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_absolute(item) for item in schema]
    return schema
