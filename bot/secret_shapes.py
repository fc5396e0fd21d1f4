"""Recognise secrets: by their name, by the shape of a value, and in the forms that a known one takes."""

import base64
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, quote_plus

Span = tuple[int, int]

GROUP = "secret"


@dataclass(frozen=True, slots=True)
class Shape:
    """Hold a pattern, and the texts of which one is in all that it matches: most texts hold none of them.

    So it is compiled when a text has one: a process that starts meets few of them.
    """

    name: str
    keywords: tuple[str, ...]
    pattern: str
    any_case: bool = False

    def find(self, text: str) -> Iterator[Span]:
        """Yield where the secrets are: the group `secret` where there is one."""
        pattern = _compiled(self.pattern, re.IGNORECASE if self.any_case else re.NOFLAG)
        group = GROUP if GROUP in pattern.groupindex else 0
        for match in pattern.finditer(text):
            if match.start(group) < match.end(group):
                yield match.span(group)


_compiled = cache(re.compile)


def _token(name: str, pattern: str, *keywords: str) -> Shape:
    return Shape(name, keywords, pattern)


def _context(name: str, pattern: str, *keywords: str) -> Shape:
    return Shape(name, keywords, pattern, any_case=True)


TOKENS = (
    _token("age key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}", "AGE-SECRET-KEY-1"),
    _token("Anthropic key", r"sk-ant-[a-z]+\d\d-[\w-]{80,}", "sk-ant-"),
    _token(
        "AWS key id", r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])", "AKIA", "ASIA", "ABIA", "ACCA"
    ),
    _token("Azure secret", r"(?<![\w.~-])[\w.~]{3}\dQ~[\w.~-]{31,34}", "Q~"),
    _token("Databricks token", r"dapi[a-f0-9]{32}(?:-\d)?", "dapi"),
    _token("DigitalOcean token", r"do[opr]_v1_[a-f0-9]{64}", "_v1_"),
    _token("Discord bot token", r"(?<![\w-])[MNO][A-Za-z\d_-]{23,28}\.[A-Za-z\d_-]{6,7}\.[A-Za-z\d_-]{27,45}", "."),
    _token(
        "Discord webhook", r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/(?P<secret>\d{17,20}/[\w-]{20,})", "/webhooks/"
    ),
    _token("Docker token", r"dckr_(?:pat|oat)_[\w-]{20,}", "dckr_"),
    _token("Doppler token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{40,}", "dp."),
    _token(
        "GitHub token",
        r"gh[opsru]_[0-9A-Za-z]{36,}|github_pat_\w{82}",
        "gho_",
        "ghp_",
        "ghs_",
        "ghr_",
        "ghu_",
        "github_pat_",
    ),
    _token("GitLab token", r"gl(?:pat|rt|dt|ft|ptt|cbt|agent|oas|soat|imt|ffct)-[\w-]{20,}(?:\.[0-9a-z]{9})?", "gl"),
    _token("Google key", r"AIza[\w-]{35}", "AIza"),
    _token("Google OAuth secret", r"GOCSPX-[\w-]{28}", "GOCSPX-"),
    _token("Grafana token", r"glc_[A-Za-z0-9+/]{32,400}={0,3}|glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}", "glc_", "glsa_"),
    _token("Heroku key", r"HRKU-AA[0-9a-zA-Z_-]{58}", "HRKU-AA"),
    _token("Hugging Face token", r"(?<!\w)(?:hf|api_org)_[A-Za-z]{34}", "hf_", "api_org_"),
    _token("JWT", r"(?<![\w-])ey[A-Za-z0-9_-]{17,}\.ey[A-Za-z0-9/\\_-]{17,}\.[\w/\\-]*={0,2}", "ey"),
    _token("Linear key", r"lin_api_[A-Za-z0-9]{40}", "lin_api_"),
    _token("Mailgun key", r"(?<![\w-])key-[a-f0-9]{32}", "key-"),
    _token("New Relic key", r"NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9-]{32}", "NRAK-", "NRII-"),
    _token("npm token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _token("OpenAI key", r"sk-(?:(?:proj|svcacct|admin)-)?[\w-]{20,200}T3BlbkFJ[\w-]{20,200}", "T3BlbkFJ"),
    _token("Perplexity key", r"pplx-[a-zA-Z0-9]{48}", "pplx-"),
    _token("Postman key", r"PMAK-[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34}", "PMAK-"),
    _token(
        "private key",
        r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END[ A-Z0-9_-]{0,100}-----|\Z)",
        "-----BEGIN",
    ),
    _token("Pulumi token", r"pul-[a-f0-9]{40}", "pul-"),
    _token("PyPI token", r"pypi-AgEIcHlwaS5vcmc[\w-]{50,1000}", "pypi-AgEI"),
    _token("SendGrid key", r"(?<!\w)SG\.[\w-]{22}\.[\w-]{43}", "SG."),
    _token("Sentry token", r"sntrys_eyJ[\w+/=-]{40,}|sntryu_[a-f0-9]{64}", "sntrys_", "sntryu_"),
    _token("Shopify token", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", "shp"),
    _token("Slack token", r"xox[abeoprs](?:\.xox[bp])?-[\w-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}", "xox", "xapp-"),
    _token(
        "Slack webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/]{20,})",
        "hooks.slack.com",
    ),
    _token(
        "Stripe key",
        r"(?<![A-Za-z0-9])(?:[sr]k_(?:test|live|prod)|whsec)_[a-zA-Z0-9+/=]{10,99}",
        "k_test_",
        "k_live_",
        "k_prod_",
        "whsec_",
    ),
    _token("Telegram token", r"(?<!\d)\d{8,12}:AA[\w-]{33}", ":AA"),
    _token("Twilio key", r"(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![A-Za-z0-9])", "SK"),
    _token("Vault token", r"hv[bsr]\.[\w-]{24,300}", "hvs.", "hvb.", "hvr."),
)

# A name that says so, and what is assigned to it. After a colon, words of a sentence are none.
_VALUE = r"""(?:"(?P<q>[^"\n]*)"|'(?P<s>[^'\n]*)'|(?P<v>[^\s,;&"'{}()\[\]]+|\[redacted\]))"""
_NAMES = r"(?:password|passwd|passphrase|secret|token|credentials?|(?:api|private|access|secret|auth)[_-]?key)"
_UPPER_NAMES = r"(?-i:[A-Z0-9]_(?:KEY|PASS|PWD|DSN|CREDS|AUTH)|(?<![A-Za-z0-9])(?:PASS|PWD|DSN)|SECRET_KEY_BASE)"
ASSIGNMENT = re.compile(
    rf"""(?:{_NAMES}|{_UPPER_NAMES})(?:_?\d+)?(?:["']\s*)?\s?(?:=>|:=|[=:])[ \t]*{_VALUE}""", re.IGNORECASE
)
ASSIGNED = (
    "passw",
    "passphrase",
    "secret",
    "token",
    "credential",
    "_key",
    "-key",
    "apikey",
    "pass",
    "pwd",
    "dsn",
    "creds",
    "auth",
)
SENTENCE = re.compile(r"[a-z]+\b(?![\d_])(?=[.,;]?(?: [a-z]|$))")
# Entries of COMPOSE_POLICY_ALLOW, which people are told to paste: what follows is the name of a service or of a secret.
POWERS = (
    ("bot_token:", re.compile(r"[a-z][a-z0-9_-]{0,30}[`'\".,;)]*")),
    ("external_secret:", re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}[`'\".,;)]*")),
)

CONTEXTS = (
    _context("bearer", r"\bbearer\s+(?P<secret>[\w.~+/=-]{6,})", "bearer"),
    _context("basic", r"\bbasic\s+(?P<secret>(?=[a-z0-9+/]*(?-i:[A-Z0-9=]))[a-z0-9+/]{8,}={0,2})", "basic"),
    _context(
        "authorization",
        r"\bauthorization[\"']?\s*[:=]\s*[\"']?(?:[a-z]+\s+)?(?P<secret>[^\s\"',]{6,})",
        "authorization",
    ),
    _context("cookie", r"\bcookie[\"']?:\s*(?P<secret>[^\r\n\"']+)", "cookie"),
    _context("user in URL", r"://[^\s/@:\"'<>]*:(?P<secret>[^\s/@\"'<>]+)(?=@)", "://"),
    _context("key in URL", r"://(?P<secret>[0-9a-f]{32})(?=[:@])", "://"),
    _context(
        "query",
        r"[?&](?:key|sig|signature|code|x-amz-signature|x-amz-security-token|auth)=(?P<secret>[^&\s#\"']+)",
        "key=",
        "sig=",
        "signature=",
        "code=",
        "token=",
        "auth=",
    ),
)
SHAPES = (*TOKENS, *CONTEXTS)
# Each text is asked for all of these, and has none of most: in one list, that takes a fifth of the time.
_BY_KEYWORD = tuple((keyword, shape) for shape in SHAPES if not shape.any_case for keyword in shape.keywords)
_BY_LOWERED = tuple((keyword, shape) for shape in SHAPES if shape.any_case for keyword in shape.keywords)


def find_shapes(text: str) -> Iterator[Span]:
    """Yield where a text has what looks like a secret."""
    lowered = text.lower()
    possible = [shape for keyword, shape in _BY_KEYWORD if keyword in text]
    possible += [shape for keyword, shape in _BY_LOWERED if keyword in lowered]
    for shape in dict.fromkeys(possible):
        yield from shape.find(text)
    if any(keyword in lowered for keyword in ASSIGNED):
        yield from _assigned(text)


def _assigned(text: str) -> Iterator[Span]:
    for match in ASSIGNMENT.finditer(text):
        group = next(name for name in ("q", "s", "v") if match.group(name) is not None)
        start, end = match.span(group)
        is_prose = group == "v" and match.group(0)[: start - match.start()].endswith(": ")
        if any(text.endswith(kind, 0, start) and name.fullmatch(text, start, end) for kind, name in POWERS):
            continue
        if start < end and not (is_prose and SENTENCE.match(text, start)):
            yield start, end


# A terminal's sequences, and characters that nobody sees.
_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Each pattern begins with one set of characters, by which the search for it is fast.
_UNSEEN = (
    r"(?<=\x1b)\[[0-?]*[ -/]*[@-~]|(?<=\x9b)[0-?]*[ -/]*[@-~]|(?<=\x1b)[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
    rf"|(?<=\x1b)[ -/]*[0-~]|(?<=[{_INVISIBLE}])[{_INVISIBLE}]*"
)
UNSEEN = re.compile(rf"[{_INVISIBLE}](?:{_UNSEEN})")
ESCAPES = re.compile(
    rf"[\\%&{_INVISIBLE}](?:"
    r"(?P<utf16>(?<=\\)u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*)|(?P<utf8>(?<=\\)x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2})*)"
    r"|(?P<percent>(?<=%)[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*)"
    r"|(?P<point>(?<=\\)u\{[0-9a-fA-F]{1,6}\}|(?<=\\)U[0-9a-fA-F]{8})"
    r"|(?P<octal>(?<=\\)[0-3][0-7]{2}(?:\\[0-3][0-7]{2})*)"
    r"|(?P<entity>(?<=&)(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);)"
    rf"|(?P<unseen>{_UNSEEN})|(?P<other>(?<=\\)[^ux{_INVISIBLE}]))"
)
LINE_BREAKS = re.compile(r"\r?\n[ \t]*")
ESCAPED = {"n": "\n", "r": "\n", "t": "\t", "b": "", "f": "", "a": "", "v": "", "0": "", "e": "\x1b"}
# An escape may itself be escaped, as JSON in JSON is.
DEEPEST = 4
SHORTEST_ENCODED = 7


@dataclass(frozen=True, slots=True)
class View:
    """Hold a text as it reads once decoded, and where each part of it came from."""

    text: str
    starts: tuple[int, ...]
    origins: tuple[Span, ...]
    behind: "View | None" = None

    def original(self, span: Span) -> Span:
        """Return where a part of the view is in the text that was decoded; an escape counts as one character."""
        start, end = span
        if self.starts:
            start, end = self._place(start)[0], self._place(end - 1)[1]
        return self.behind.original((start, end)) if self.behind is not None else (start, end)

    def _place(self, position: int) -> Span:
        index = bisect_right(self.starts, position) - 1
        begin, end = self.origins[index]
        size = (self.starts[index + 1] if index + 1 < len(self.starts) else len(self.text)) - self.starts[index]
        if end - begin != size:  # an escape, which is taken as a whole
            return begin, end
        offset = position - self.starts[index]
        return begin + offset, begin + offset + 1


def views_of(text: str) -> Iterator[View]:
    """Yield the text decoded as far as it goes; itself, unchanged, is none of them."""
    view = View(text, (), ())
    for _ in range(DEEPEST):
        if not ("\\" in view.text or "%" in view.text or "&" in view.text or UNSEEN.search(view.text)):
            break
        plainer = _replaced(view, ESCAPES, _decode)
        if plainer is view:
            break
        view = plainer
        yield view


def joined(view: View) -> View:
    """Return a view whose lines follow each other without a break."""
    return _replaced(view, LINE_BREAKS, lambda _: "")


def decoded(text: str) -> str:
    """Return a text decoded as far as it goes."""
    return [whole(text), *views_of(text)][-1].text


def whole(text: str) -> View:
    """Return a text as a view of itself."""
    return View(text, (), ())


def without_control(text: str) -> str:
    """Return a text without terminal sequences and characters that nobody sees; line breaks and tabs stay."""
    return UNSEEN.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")


def encoded_forms(value: str) -> Iterator[str]:
    """Yield how a value reads in base64 wherever it begins there, in hexadecimal, and in a URL."""
    raw = value.encode()
    for offset in range(3):
        # Bytes before it and after it decide on the characters at its edges: only those between are certain.
        first = -(-offset * 8 // 6)
        last = (offset + len(raw)) * 8 // 6
        standard = base64.b64encode(b"\0" * offset + raw).decode()[first:last]
        yield from _long_enough(standard, standard.replace("+", "-").replace("/", "_"))
    yield from _long_enough(raw.hex(), raw.hex().upper())
    for encode in (quote, quote_plus):
        yield from _long_enough(encode(value, safe=""))


def _long_enough(*forms: str) -> Iterator[str]:
    yield from (form for form in forms if len(form) >= SHORTEST_ENCODED)


def _replaced(view: View, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]) -> View:
    text, pieces = view.text, []
    starts: list[int] = []
    origins: list[Span] = []
    position = length = 0

    def keep(piece: str, begin: int, end: int) -> None:
        nonlocal length
        if piece:
            starts.append(length)
            origins.append((begin, end))
            pieces.append(piece)
            length += len(piece)

    for match in pattern.finditer(text):
        keep(text[position : match.start()], position, match.start())
        keep(replace(match), *match.span())
        position = match.end()
    if position == 0:
        return view
    keep(text[position:], position, len(text))
    return View("".join(pieces), tuple(starts), tuple(origins), view)


def _decode(match: re.Match[str]) -> str:
    found, kind = match.group(0), str(match.lastgroup)
    match kind:
        case "utf16":
            return bytes.fromhex(found.replace("\\u", "")).decode("utf-16-be", errors="replace")
        case "utf8" | "percent":
            return bytes.fromhex(found.replace("\\x", "").replace("%", "")).decode(errors="replace")
        case "octal":
            return bytes(int(part, 8) for part in found.split("\\")[1:]).decode(errors="replace")
        case "point":
            number = int(found.strip("\\uU{}"), 16)
            return chr(number) if number <= 0x10FFFF else ""
        case "entity":
            return html.unescape(found)
        case "other":
            return ESCAPED.get(found[1], found[1])
        case _:
            return ""
