"""Make the cases: every value under every spelling, each a service or a resource with a name of its own."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roas.stack.model.service_keys import KeyPolicy
from tools.campaigns.hostile.every_key import every_key
from tools.campaigns.hostile.spelling import Spelling, spellings
from tools.campaigns.hostile.values import HOSTILE, ORDINARY, Values

# These are refused before anything else is looked at.
READ = frozenset({"services.env_file", "services.extends", "services.label_file"})
PLAIN = "plain key, flow value"
# What cases refer to, by section.
THERE = {
    "services": "  base:\n    image: x\n",
    "secrets": "  own:\n    file: ./own.txt\n",
    "configs": "  own:\n    file: ./own.txt\n",
}
# How many spellings a value of `every_key` has, besides the plain one.
SPELLINGS_EACH = 11
USERS = {
    "volumes": "[{name}:/t]",
    "networks": "[{name}]",
    "secrets": "[{name}]",
    "configs": "[{name}]",
    "models": "[{name}]",
}


class Kind(StrEnum):
    """Say what is expected of a case."""

    HOSTILE = "hostile"
    ORDINARY = "ordinary"
    CONTAINED = "the stack's own"


@dataclass(frozen=True, slots=True)
class Case:
    """Hold one field of one service or resource; `path` is the key of the schema that is meant.

    What is `contained` is neither hostile nor ordinary: it may be refused, and may pass as long as it stays there.
    """

    name: str
    key: str
    value: Any
    spelled: str
    hostile: bool
    path: str = ""
    contained: bool = False

    @property
    def kind(self) -> Kind:
        """Return what is expected of it."""
        return Kind.CONTAINED if self.contained else Kind.HOSTILE if self.hostile else Kind.ORDINARY

    @property
    def subject(self) -> str:
        """Return the key that it counts for."""
        return self.path or self.key

    @property
    def section(self) -> str:
        """Return the part of the compose file that it is in."""
        return self.key.partition(".")[0]

    @property
    def is_read(self) -> bool:
        """Return whether it names a file that is judged before Compose reads anything."""
        return self.key in READ


def cases(seed: int, *, spelled: int | None = None) -> list[Case]:
    """Return every case, or those of as many spellings as are asked for; the seed decides which, and the order."""
    every = [
        Case(f"c{number}x", key, value, spelled, hostile)
        for number, (key, value, spelled, hostile) in enumerate(_combinations())
    ]
    chosen = random.Random(seed)  # noqa: S311 - no secret
    names = chosen.sample(list(spellings()), spelled) if spelled else list(spellings())
    picked = chosen.sample(every, len(every))
    picked = [case for case in picked if case.spelled in names]
    # Files whose cases are alike are accepted or not as a whole.
    return sorted(picked, key=lambda case: (case.spelled, case.is_read, case.hostile))


def cases_of_every_key(seed: int, *, spelled: int = SPELLINGS_EACH) -> list[Case]:
    """Return values of every kind for every key of the schema, each plainly and in as many other spellings."""
    chosen = random.Random(seed)  # noqa: S311 - no secret
    named = [name for name in spellings() if name != PLAIN]
    every: list[Case] = []
    for number, (path, key, value, judgement) in enumerate(every_key()):
        contained = judgement is KeyPolicy.CONTAINED
        for index, item in enumerate((PLAIN, *chosen.sample(named, spelled))):
            every.append(Case(f"c{number}s{index}x", key, value, item, not contained, path, contained))
    return sorted(every, key=lambda case: (case.spelled, case.contained))


def value_of(case: Case) -> str:
    """Name what the spellings of one value have in common."""
    return case.name.partition("s")[0]


def _combinations() -> Iterator[tuple[str, Any, str, bool]]:
    named = spellings()
    for values, hostile in ((HOSTILE, True), (ORDINARY, False)):
        for key, value in _flat(values):
            yield from ((key, value, spelled, hostile) for spelled in named)


def _flat(values: Values) -> Iterator[tuple[str, Any]]:
    for key, every in values.items():
        yield from ((key, value) for value in every)


def compose_file(cases: Iterable[Case]) -> str:
    """Write one compose file that has all the cases."""
    named = spellings()
    tops: list[str] = []
    cases = list(cases)
    refers = any(case.path for case in cases)
    sections: dict[str, list[str]] = {name: [there] for name, there in THERE.items() if refers or name == "services"}
    for case in cases:
        written = _written(case, named[case.spelled])
        tops += [written[0]] if written[0] else []
        sections.setdefault(case.section, []).append(written[1])
        if case.section != "services":
            used = USERS[case.section].format(name=case.name)
            sections["services"].append(f"  u{case.name}:\n    image: x\n    {case.section}: {used}\n")
    parts = [f"{section}:\n{''.join(entries)}" for section, entries in sections.items()]
    return "\n".join([*tops, *parts])


def _written(case: Case, spelling: Spelling) -> tuple[str, str]:
    """Return what a case needs at the top of the file, and its entry."""
    if case.section == "services":
        written = spelling(case.key.partition(".")[2], case.value, case.name)
        return written.top, f"  {case.name}:\n    image: x\n    {written.field}\n"
    # Of a resource every field is spelled.
    fields = [spelling(key, value, f"{case.name}{number}") for number, (key, value) in enumerate(case.value.items())]
    if sum("<<" in field.field for field in fields) > 1:
        fields = fields[:1] + [
            spellings()["plain key, flow value"](key, value, "") for key, value in list(case.value.items())[1:]
        ]
    body = "".join(f"    {field.field}\n" for field in fields)
    return "\n".join(field.top for field in fields if field.top), f"  {case.name}:\n{body}"
