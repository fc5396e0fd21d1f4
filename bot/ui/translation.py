"""Pass every text that people read through one place, so that it can be translated there."""


def _(text: str, **values: object) -> str:
    """Return a text in the reader's language with its `{placeholders}` filled in; English is the only one so far."""
    return text.format(**values) if values else text
