"""Say what is wrong with what was typed as the settings say it: not in the words of the library that reads it."""

from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from roas.configuration.wrong_values import wrong_values


class Commands(TyperGroup):
    """Run the command that is named."""

    def invoke(self, ctx: Any) -> Any:
        """Run it. Raises typer.BadParameter."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _plain(error)
            raise


def _plain(error: typer.BadParameter) -> str:
    if not isinstance(error.__cause__, ValidationError):
        return error.message
    return "; ".join(text for _, text in wrong_values(error.__cause__))
