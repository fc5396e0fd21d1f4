"""Define the arguments and options that several commands share."""

from typing import Annotated

import typer

EnvironmentName = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Which environment, such as staging.")]
AnyEnvironment = Annotated[
    str | None, typer.Argument(metavar="[ENVIRONMENT]", help="Which environment; all of them if left out.")
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="What becomes VERSION in the compose file.")]
Services = Annotated[
    list[str] | None,
    typer.Option("--service", metavar="SERVICE", help="Only this service; may be given several times."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; required where an environment needs approval.")]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm the request; required where an environment needs approval.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Detach = Annotated[bool, typer.Option("--detach", help="Let the running bot execute it, and do not wait.")]
