"""No secret is shown, and ordinary words are left as they are."""

import base64
import html
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from textwrap import wrap
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roas.redaction import HIDDEN, Redactor, is_credential
from roas.secret_shapes import SHAPES, Shape


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("login with MTE5ODYyMjQ4MzQ3MTkyNTI0OA.GvMxYz.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AB failed", "GvMxYz"),
        ("Authorization: Bearer abcdef.123456", "abcdef"),
        ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("connecting to redis://:hunter22@cache:6379/0", "hunter22"),
        ("postgres://app:s3cr3t@db/app is away", "s3cr3t"),
        ("DB_PASSWORD=hunter2 was refused", "hunter2"),
        ('{"token": "abc-def", "user": "x"}', "abc-def"),
        ("api_key: 12345", "12345"),
        ("password='two words'", "two words"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----", "MIIabc"),
    ],
)
def test_secret_looking_text_hidden(text: str, secret: str) -> None:
    redacted = Redactor().redact(text)
    assert secret not in redacted
    assert "[redacted]" in redacted


def test_longest_known_value_hidden_first() -> None:
    redactor = Redactor(["opensesame", "opensesame-and-more", "short"])
    assert redactor.redact("say opensesame-and-more or opensesame, short") == "say [redacted] or [redacted], short"


@pytest.mark.parametrize(
    "text",
    [
        "web exited with code 3",
        "GET http://127.0.0.1:8080/health 200",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "the token was refused",
        "2026-01-01T00:00:00Z ready at tcp://redis:6379",
    ],
)
def test_ordinary_words_kept(text: str) -> None:
    assert Redactor().redact(text) == text


def test_name_of_hidden_value_kept() -> None:
    assert Redactor().redact("DB_PASSWORD=hunter2") == "DB_PASSWORD=[redacted]"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("API_TOKEN", True),
        ("TOKEN", True),
        ("db_password", True),
        ("SSH_KEY", True),
        ("SMTP_PASS", True),
        ("PGPASSWORD", True),
        ("GCP_CREDENTIALS", True),
        ("SENTRY_DSN", True),
        ("SECRET_KEY_BASE", True),
        ("API_TOKEN_2", True),
        ("MONKEY", False),
        ("BYPASS", False),
        ("COMPASS", False),
        ("TOKEN_EXPIRY", False),
        ("KEYS", False),
    ],
)
def test_credential_recognized_by_name(name: str, secret: bool) -> None:
    assert is_credential(name) is secret


SECRETS = ("Tr0ub4dor&3xyz", "hünter-2/42", "p%41ss\\word+1", "correcthorsebattery", "two words 77")
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "base64 at 0": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 at 1": lambda value: base64.b64encode(b"u" + value.encode() + b":x").decode(),
    "base64 at 2": lambda value: base64.b64encode(b"u:" + value.encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"\xff\xfe" + value.encode()).decode(),
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal, large": lambda value: value.encode().hex().upper(),
    "in a URL": lambda value: quote(value, safe=""),
    "in a form": quote_plus,
    "in a URL, every sign": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "in JSON": lambda value: json.dumps(value)[1:-1],
    "in JSON, every sign": lambda value: "".join(f"\\u{ord(sign):04x}" for sign in value),
    "in JSON in JSON": lambda value: json.dumps(json.dumps(value)),
    "in a representation": repr,
    "of bytes": lambda value: repr(value.encode()),
    "in HTML": html.escape,
    "in HTML, every sign": lambda value: "".join(f"&#{ord(sign)};" for sign in value),
    "in Markdown": lambda value: "".join(f"\\{sign}" if sign in "-_*/&\\+" else sign for sign in value),
    "split by nothing seen": "\u200b".join,
    "split by colours": "\x1b[31m".join,
    "split by a title": "\x1b]0;x\x07".join,
    "split by escaped nothing": "\\u200b".join,
    "split by a line": lambda value: f"{value[:4]}\n    {value[4:]}",
    "base64 in lines": lambda value: "\n".join(wrap(base64.b64encode(value.encode()).decode(), 5)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_known_value_hidden_in_any_spelling(secret: str, spelling: str) -> None:
    written = SPELLINGS[spelling](secret)
    redacted = Redactor([secret]).redact(f"before {written} after")
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")
    assert HIDDEN in redacted
    decodable = redacted.removeprefix("before ").removesuffix(" after").replace(HIDDEN, "")
    assert len(decodable.strip("\"'b=\\")) <= 2, redacted


def _tokens() -> dict[str, str]:
    """Make one of each shape; put together here, so that no scanner takes them for real ones."""
    letters, digits, hexadecimal = "aB3dE6gH9jK2mN5pQ8rS" * 8, "1234567890" * 3, "0123456789abcdef" * 8
    return {
        "AWS": "AKIA" + "ABCDEFGH234567QR",
        "Discord bot": f"M{letters[:24]}.{letters[:6]}.{letters[:38]}",
        "Discord webhook": f"https://discord.com/api/webhooks/{digits[:18]}/{letters[:60]}",
        "Docker": f"dckr_pat_{letters[:27]}",
        "GitHub": f"ghp_{letters[:36]}",
        "GitHub app": f"ghs_{letters[:36]}",
        "GitHub, fine-grained": f"github_pat_{letters[:82]}",
        "GitLab": f"glpat-{letters[:20]}",
        "Google": f"AIza{letters[:35]}",
        "Grafana": f"glsa_{letters[:32]}_{hexadecimal[:8]}",
        "JWT": f"eyJ{letters[:20]}.eyJ{letters[:30]}.{letters[:43]}",
        "npm": f"npm_{letters[:36]}",
        "OpenAI": f"sk-proj-{letters[:74]}T3BlbkFJ{letters[:74]}",
        "PyPI": f"pypi-AgEIcHlwaS5vcmc{letters[:60]}",
        "SendGrid": f"SG.{letters[:22]}.{letters[:43]}",
        "Slack": f"xoxb-{digits[:12]}-{digits[:12]}-{letters[:24]}",
        "Slack webhook": f"https://hooks.slack.com/services/T{letters[:8]}/B{letters[:8]}/{letters[:24]}",
        "Stripe": f"sk_live_{letters[:24]}",
        "Telegram": f"{digits[:10]}:AA{letters[:33]}",
        "Vault": f"hvs.{letters[:90]}",
        "private key": f"-----BEGIN EC PRIVATE KEY-----\n{letters[:64]}\n{letters[:30]}\n-----END EC PRIVATE KEY-----",
        "DSN": f"postgresql://app:{letters[:12]}@db:5432/app",
        "Sentry DSN": f"https://{hexadecimal[:32]}@o1.ingest.sentry.io/42",
        "signed URL": f"https://s3/x?X-Amz-Signature={hexadecimal[:64]}",
        "libpq": f"host=db user=app password={letters[:12]} sslmode=require",
        "header": f"authorization: Bearer {letters[:30]}",
        "basic": f"Authorization: Basic {letters[:30]}==",
        "cookie": f"Cookie: session={letters[:30]}",
        "*_PASS": f"SMTP_PASS={letters[:9]}",
        "*_DSN": f"MY_DSN={letters[:9]}",
        "*_CREDENTIALS": f"APP_CREDENTIALS: {letters[:9]}",
    }


@pytest.mark.parametrize("name", _tokens())
@pytest.mark.parametrize("wrap_in", ["{}", "log: ({})", '{{"a": "x {} y"}}', "\x1b[1m{}\x1b[0m"])
def test_token_hidden_by_its_shape(name: str, wrap_in: str) -> None:
    token = _tokens()[name]
    redacted = Redactor().redact(wrap_in.format(token))
    assert HIDDEN in redacted
    assert not [at for at in range(len(token) - 20) if (part := token[at : at + 20]) in redacted and "aB3" in part]


def test_token_split_by_signs_hidden() -> None:
    assert Redactor().redact("\u200b".join(_tokens()["GitHub"])) == HIDDEN


def test_ordinary_value_leaves_messages_whole() -> None:
    redactor = Redactor(["postgres", "true", "/run/secrets/key", "8080", "summer", "changeme", "v1.2.3"])
    text = "postgres at /run/secrets/key, 8080, v1.2.3: midsummer-night, changeme is true"
    assert redactor.redact(text) == text
    assert redactor.redact("in summer") == "in [redacted]"
    assert redactor.redact("DB_PASSWORD=postgres") == "DB_PASSWORD=[redacted]"


@pytest.mark.parametrize(
    "value", ["postgres://app:k33p-out@db/app", "host=db password=k33p-out", "redis://:k33p-out@r:6379/0"]
)
def test_password_within_value_hidden_alone(value: str) -> None:
    assert Redactor([value]).redact("refused: k33p-out") == "refused: [redacted]"


def test_lines_of_a_secret_file_hidden() -> None:
    redactor = Redactor(["-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG\nAnotherLineOfTheKey0\n-----END X-----\n"])
    assert redactor.redact("read MIIEvQIBADANBgkqhkiG") == "read [redacted]"


@pytest.mark.parametrize("text", ["token: the one was refused", "password: authentication failed for user app"])
def test_words_of_a_sentence_kept(text: str) -> None:
    assert Redactor().redact(text) == text


def test_name_that_must_be_read_is_kept_whenever_it_is_said() -> None:
    redactor = Redactor(["shop-prod-77", "another-value-77"])
    assert redactor.redact("shop-prod-77") == "[redacted]"
    redactor.keep(["shop-prod-77"])
    redactor.add(["shop-prod-77"])
    assert redactor.redact("shop-prod-77 another-value-77") == "shop-prod-77 [redacted]"


def test_redacted_text_stays_as_it_is() -> None:
    redactor = Redactor(["Tr0ub4dor&3xyz"])
    once = redactor.redact('{"token": "abc-def"} X_KEY=Tr0ub4dor&3xyz ://u:pw12@h')
    assert redactor.redact(once) == once


@given(st.text(max_size=200), st.text(min_size=12, max_size=40))
def test_nothing_but_secrets_changes(text: str, secret: str) -> None:
    redacted = Redactor([secret]).redact(text)
    kept = redacted.split(HIDDEN)
    position = 0
    for piece in kept:
        position = text.index(piece, position) + len(piece)
    assert text.startswith(kept[0])
    assert text.endswith(kept[-1])


def test_seeds_from_many_threads_all_kept() -> None:
    redactor = Redactor()
    values = [f"value-{number}-abcdef" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: redactor.add([value]), values))
    assert [value for value in values if HIDDEN not in redactor.redact(value)] == []


@pytest.mark.parametrize(
    "text",
    [
        "Tr0ub4dor" * 40_000,
        base64.b64encode(b"Tr0ub4dor" * 30_000).decode(),
        "sk-" * 100_000 + "!T3BlbkFJ",
        "://a:" * 60_000,
        "ey" * 150_000,
        "token" * 60_000 + '"' + " " * 60_000,
        "\\\\" * 100_000,
        "\x1b]" * 100_000,
        "-----BEGIN PRIVATE KEY-----" * 10_000,
        "password=" * 30_000,
    ],
)
def test_hostile_text_is_searched_in_linear_time(text: str) -> None:
    redactor = Redactor(["Tr0ub4dor", "Tr0ub4dorTr0ub4dorX"])
    begin = time.process_time()
    assert HIDDEN in redactor.redact(f"{text}\nTr0ub4dor")
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("length", [20, 2_000, 200_000], ids=["name", "message", "log"])
def test_value_known_later_hidden_in_text_seen_before(length: int) -> None:
    redactor, text = Redactor(), "it is Zk-value-77".rjust(length)
    assert redactor.redact(text) == redactor.redact(text) == text
    redactor.add(["Zk-value-77"])
    assert redactor.redact(text) == text.replace("Zk-value-77", HIDDEN)
    redactor.keep(["Zk-value-77"])
    assert redactor.redact(text) == text


def test_large_secret_costs_little() -> None:
    redactor = Redactor()
    begin = time.process_time()
    for number in range(5):
        redactor.add(["\n".join(f"line {line} of the large secret {number}" for line in range(20_000))])
    assert time.process_time() - begin < 5
    assert redactor.redact("line 7 of the large secret 3") == HIDDEN


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_shape_can_be_compiled(shape: Shape) -> None:
    """Each is compiled when a text has a keyword of it, which could be long after the start."""
    assert list(shape.find("".join(shape.keywords))) == []


@pytest.mark.parametrize(
    "text",
    [
        "COMPOSE_POLICY_ALLOW=bot_token:discord-bot",
        "Allow it: `prod/bot_token:web`.",
        'allow = ["external_secret:shop.db_password"]',
        "--grant 'password: others secret db-1'",
    ],
)
def test_power_that_is_to_be_pasted_stays(text: str) -> None:
    """What follows is the name of a service or of a secret; a token is hidden all the same."""
    assert Redactor().redact(text) == text
    assert "hunter2" not in Redactor().redact('bot_token: "hunter2-HUNTER2"')
