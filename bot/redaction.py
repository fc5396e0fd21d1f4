"""Remove secrets from texts that people or machines will read: by known value, however encoded, and by shape."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from string import ascii_letters, digits
from urllib.parse import parse_qsl, unquote

from roas.messages.message import Message
from roas.secret_shapes import View, decoded, encoded_forms, find_shapes, joined, views_of, whole, without_control

Span = tuple[int, int]
# Hears of secrets that somebody has read.
Learn = Callable[[Iterable[str]], None]
HIDDEN = "[redacted]"
# A shorter value would match parts of ordinary words.
SHORTEST_SECRET = 6
# A line of a secret that is longer than this one counts by itself: logs show keys line by line.
SHORTEST_LINE = 12
# The lines of an RSA key of 16,384 bits; whoever writes a longer secret could fill the memory with it.
MOST_LINES = 200
# A shorter plain word counts only where no letter, digit, `-` or `_` is next to it.
LONGEST_WORD = 11
CREDENTIAL_NAME = re.compile(
    r"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|APIKEY|SECRET_KEY_BASE)(?:_?\d+)?$"
    r"|(?:^|_)(?:PASS|PWD|KEY|DSN|CREDS)(?:_?\d+)?$",
    re.IGNORECASE,
)
_WORDS = """
    access admin administrator always backend changeme database debian default develop development disabled
    docker dummy enabled example frontend grafana guest latest localhost mariadb mongodb mysql nobody nothing
    optional password passwd postgres postgresql private prod production prometheus public rabbitmq redis
    required root sample secret secrets server service staging string system testing ubuntu undefined unknown
    user username version warning
"""
# Passwords that are words of everyday use would tear holes into every message; where they are assigned to a name that
# says what they are, they are hidden all the same.
ORDINARY = frozenset(_WORDS.split())
NO_SECRET = re.compile(
    r"(?:\d{1,7}|[\d.:]+|(?:\.{0,2}/)?(?:[a-z][a-z_-]*|\.\w+)(?:/[a-z0-9_-]+(?:\.[a-z]{1,6})?)+|v?\d+(?:\.\d+)+)"
)
PASSWORD_IN_URL = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^\s:@/]*:(?P<url>\S+)@[^@\s]*|(?P<user>[^\s:@/]{12,})@\S*)$", re.IGNORECASE
)
PASSWORD_IN_DSN = re.compile(
    r"(?:^|[\s;?&])(?:password|pwd|passwd)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^\s;&]+))", re.IGNORECASE
)
ADDRESS_PARTS = re.compile(r"[/:@?&=#,]+")
SHORTEST_TOKEN = 8
# Or a name of small letters, such as that of a channel or a topic: hidden by itself, it would be missing elsewhere.
HOST_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z_-]{1,15}")
ENCODING_CHARACTERS = f"{ascii_letters}{digits}+/_=-"
ENCODED_RUN = re.compile(r"[A-Za-z0-9+/_=-]*")
LONGEST_RUN = 1024
WORD = re.compile(r"[A-Za-z]+")
# The shortest spelling has a whole gram wherever one looks within its first three characters.
GRAM, STEP = 4, 3


def is_credential(variable: str) -> bool:
    """Return whether a variable's name says that its value is a credential."""
    return CREDENTIAL_NAME.search(variable) is not None


def passwords_within(value: str) -> Iterator[str]:
    """Yield the passwords that a value holds whatever its name is: that of a URL, or of a DSN."""
    for match in (PASSWORD_IN_URL.match(value.strip()), *PASSWORD_IN_DSN.finditer(value)):
        if match is not None:
            yield from filter(None, match.groups())


def credentials_in(address: str) -> Iterator[str]:
    """Yield the address of a target of messages, and what in it may be a credential: no host, and no plain name.

    Most services have the token in the place of the host, or of a folder.
    """
    yield address
    for part in ADDRESS_PARTS.split(address.partition("://")[2]):
        for text in {part, unquote(part)}:
            if len(text) >= SHORTEST_TOKEN and HOST_NAME.fullmatch(text) is None:
                yield text
    yield from (value for name, value in parse_qsl(address.partition("?")[2]) if is_credential(name))


@dataclass(frozen=True, slots=True)
class _Form:
    """Hold one spelling of a secret."""

    text: str
    is_word: bool = False
    is_encoded: bool = False

    def span(self, text: str, start: int) -> Iterator[Span]:
        """Yield what is to be hidden where a text has this spelling; nothing within another word."""
        end = start + len(self.text)
        if self.is_encoded:
            yield _whole_run(text, start, end)
        elif not (self.is_word and _is_within_word(text, start, end)):
            yield start, end


@dataclass(frozen=True, slots=True)
class _Index:
    """Find any of many spellings in one pass over every third place of a text, whatever their number."""

    grams: dict[str, tuple[tuple[int, _Form], ...]] = field(default_factory=dict)

    def add(self, forms: Iterable[_Form]) -> "_Index":
        """Find more, also in a search that is under way: wherever a spelling begins, a gram of it is at a third place.

        Each entry is replaced as a whole, so that no reader sees half of it; and once, since the lines of a secret may
        all begin alike. Returns the index.
        """
        more: dict[str, list[tuple[int, _Form]]] = {}
        for form in forms:
            for offset in range(STEP):
                more.setdefault(form.text[offset : offset + GRAM], []).append((offset, form))
        for gram, entries in more.items():
            self.grams[gram] = (*self.grams.get(gram, ()), *entries)
        return self

    def find(self, text: str, counts: Callable[[Span], bool] = lambda _span: True) -> Iterator[Span]:
        """Yield where a text has one of them that counts."""
        grams = self.grams
        if not grams:
            return
        for place in [at for at in range(0, len(text) - GRAM + 1, STEP) if text[at : at + GRAM] in grams]:
            for offset, form in grams[text[place : place + GRAM]]:
                start = place - offset
                if start >= 0 and text.startswith(form.text, start) and counts((start, start + len(form.text))):
                    yield from form.span(text, start)


class Redactor:
    """Hold the secrets of this process, and hide them, and what looks like one, in any text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._names: set[str] = set()
        self._index = _Index()
        self._lock = threading.Lock()
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Hide these values from now on, and the passwords within them; any thread may call this."""
        with self._lock:
            new = set(chain.from_iterable(map(_parts, values))) - self._known - self._names
            if new:
                self._known |= new
                self._index.add(chain.from_iterable(map(_forms, new)))

    def keep(self, names: Iterable[str]) -> None:
        """Leave these names in every text, whoever takes one for a password: messages and records need them."""
        with self._lock:
            self._names |= set(names)
            if self._known & self._names:
                self._known -= self._names
                self._index = _Index().add(chain.from_iterable(map(_forms, self._known)))

    def redact(self, text: str) -> str:
        """Return the text without secrets; nothing else of it changes, and a message stays one where it can."""
        if isinstance(text, Message):
            return text.hidden(self.redact)
        spans = sorted(self._found(text))
        if not spans:
            return text
        pieces, position = [], 0
        for start, end in _merged(spans):
            pieces += [text[position:start], HIDDEN]
            position = end
        return "".join((*pieces, text[position:]))

    def clean(self, text: str) -> str:
        """Return the output of a program without secrets, terminal sequences and characters that nobody sees.

        Such characters may split a secret, or join it to the word before: it is searched for with and without them.
        """
        return self.redact(without_control(self.redact(text)))

    def _found(self, text: str) -> Iterator[Span]:
        index = self._index
        view = whole(text)
        yield from index.find(text)
        yield from find_shapes(text)
        for view in views_of(text):
            yield from _original(view, index.find(view.text))
            yield from _original(view, find_shapes(view.text))
        if index.grams and "\n" in view.text:
            unbroken = joined(view)
            # What is within a line was found above; what is next to it in other lines is no part of it.
            yield from _original(
                unbroken, index.find(unbroken.text, lambda span: "\n" in text[slice(*unbroken.original(span))])
            )


def _original(view: View, spans: Iterable[Span]) -> Iterator[Span]:
    return map(view.original, spans)


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans that neither overlap nor touch."""
    begin, end = -1, -1
    for start, stop in spans:
        if start > end:
            if end > begin:
                yield begin, end
            begin, end = start, stop
        end = max(end, stop)
    if end > begin:
        yield begin, end


def _parts(value: str) -> Iterator[str]:
    """Yield what of a value is a secret by itself: all of it, its long lines, the passwords in it."""
    stripped = value.strip()
    lines = [line.strip() for line in stripped.splitlines()]
    within = list(passwords_within(stripped))
    for part in (stripped, *within):
        if _counts(part):
            yield part
    if len(lines) > 1:
        long = (line for line in lines if len(line) >= SHORTEST_LINE and not line.startswith("-----"))
        yield from islice(long, MOST_LINES)


def _counts(value: str) -> bool:
    if len(value) < SHORTEST_SECRET or value.lower() in ORDINARY or value == HIDDEN:
        return False
    return NO_SECRET.fullmatch(value) is None


def _forms(value: str) -> Iterator[_Form]:
    is_word = len(value) <= LONGEST_WORD and WORD.fullmatch(value) is not None
    # What looks like an escape in a secret is taken for one where a text is decoded.
    texts = {value, decoded(value), "".join(line.strip() for line in value.splitlines())}
    yield from (_Form(text, is_word=is_word) for text in texts if len(text) >= SHORTEST_SECRET)
    yield from (_Form(text, is_encoded=True) for text in {*encoded_forms(value)} - texts)


def _is_within_word(text: str, start: int, end: int) -> bool:
    return any(char.isalnum() or char in "-_" for char in (text[start - 1 : start] + text[end : end + 1]))


def _whole_run(text: str, start: int, end: int) -> Span:
    """Return all that was encoded together: the characters at the edges say something about the secret, too."""
    before = text[max(0, start - LONGEST_RUN) : start]
    found = ENCODED_RUN.match(text, end, end + LONGEST_RUN)
    return start - len(before) + len(before.rstrip(ENCODING_CHARACTERS)), found.end() if found else end


# Logging, a terminal and a connection to Discord belong to a process, not to one of the applications open in it.
_OPEN: list[Redactor] = []
_NOTHING_KNOWN = Redactor()


def hide_everywhere(redactor: Redactor) -> Callable[[], None]:
    """Let `hide` know what a redactor knows, from now on; returns a function that ends this."""
    _OPEN.append(redactor)
    return lambda: _OPEN.remove(redactor)


def hide(text: str) -> str:
    """Return a text that is about to leave this process without what any application that is open keeps secret."""
    for redactor in tuple(_OPEN) or (_NOTHING_KNOWN,):
        text = redactor.redact(text)
    return text
