"""Remove secrets from texts that people or machines will read: by known value and by pattern."""

import re
from collections.abc import Iterable

HIDDEN = "[redacted]"
# A shorter value would match parts of ordinary words.
SHORTEST_SECRET = 6
CREDENTIAL_NAME = re.compile(r"(?:^|_)(TOKEN|PASSWORD|SECRET|KEY)$", re.IGNORECASE)
PATTERNS = (
    # Discord's bot tokens: an id, a time, a signature.
    re.compile(r"\b[MNO][A-Za-z\d_-]{23,28}\.[A-Za-z\d_-]{6,7}\.[A-Za-z\d_-]{27,45}\b"),
    re.compile(r"(?i)(?<=\bbearer )\s*[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(r"(?i)(?<=\bbasic )\s*[A-Za-z0-9+/=]{8,}"),
    re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"),
    re.compile(
        r"""(?ix)(?<=[\s"'{,;?&]) (?: [\w.-]*(?:password|passwd|secret|token|api_?key|private_?key) )
        ["']? \s* [=:] \s* (?: "[^"]*" | '[^']*' | [^\s,;&"']+ )"""
    ),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
)
ASSIGNMENT = re.compile(r"""^(\s*["']?[\w.-]+["']?\s*[=:]\s*)""")


def is_credential(variable: str) -> bool:
    """Return whether a variable's name says that its value is a credential."""
    return CREDENTIAL_NAME.search(variable) is not None


class Redactor:
    """Hold the secrets of this process, and hide them, and what looks like one, in any text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Hide these values from now on."""
        new = {value for value in values if len(value) >= SHORTEST_SECRET} - self._values
        if new:
            self._values |= new
            # The longest first, so that no part of it is hidden and the rest shown.
            ordered = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def redact(self, text: str) -> str:
        """Return the text without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        for pattern in PATTERNS:
            text = pattern.sub(_hide, f"\n{text}")[1:]
        return text


def _hide(match: re.Match[str]) -> str:
    """Keep the name of what is hidden."""
    found = match.group(0)
    name = ASSIGNMENT.match(found)
    return f"{name.group(1)}{HIDDEN}" if name else HIDDEN
