"""No secret is shown, and ordinary words are left as they are."""

import pytest

from roas.redaction import Redactor, is_credential


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
        ("MONKEY", False),
        ("KEYS", False),
    ],
)
def test_credential_recognized_by_name(name: str, secret: bool) -> None:
    assert is_credential(name) is secret
