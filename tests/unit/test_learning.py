"""The secrets of every environment are known from the start: those of one may turn up in what is said of another."""

from pathlib import Path

from roas.app.application import open_application
from roas.configuration.settings import Settings

WRITTEN, RUNNING = "Zk-written-of-prod-1", "Zk-running-in-prod-2"


async def test_secrets_of_every_environment_known(tmp_path: Path) -> None:
    stack = tmp_path / "stack"
    stack.mkdir()
    (stack / "docker-compose.yml").write_text("services: {web: {image: x}}")
    (stack / ".env.prod").write_text(f"DB_PASSWORD={WRITTEN}\n")
    settings = Settings(
        _env_file=None, stack_dir=stack, state_dir=tmp_path / "state", docker_host="unix:///nowhere.sock"
    )
    async with open_application(settings) as first:
        assert first.redactor.redact(f"dev prints {WRITTEN}") == "dev prints [redacted]"
        running = {"name": "p", "services": {"web": {"image": "x", "environment": {"API_TOKEN": RUNNING}}}}
        model_hash = first.stacks._parts.models.save(running)
        row = "INSERT INTO environments (name, current_release, applied_model) VALUES ('prod', 1, ?)"
        await first.state.releases._journal.write(lambda transaction: transaction.execute(row, (model_hash,)))
    async with open_application(settings) as second:
        assert second.redactor.redact(f"dev prints {RUNNING}") == "dev prints [redacted]"
