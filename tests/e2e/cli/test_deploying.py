"""Deploy, fix and roll back without a bot: this process carries it, and the engine shows that it did."""

import json
import re
import signal

import pytest

from tests.e2e.cli.conftest import STACK, CommandLine, wait_for_line

CONTROL = r"[\x00-\x08\x0b-\x1f]"
BOTH_V1 = {"database": "v1", "web": "v1"}


def test_story_of_releases(line: CommandLine) -> None:
    """From none on: a plan, failures, a version that is brought up, one service of another, and the way back."""
    text = (line.folder / "stack" / "docker-compose.yml").read_text()
    line.write(text.replace("image: roas-commands/app:v1", "image: roas-commands/app:${VERSION:-v1}"))
    dry_run_changes_nothing(line)
    failed_first_deployment_leaves_nothing(line)
    deploy_follows_shown_plan(line)
    failed_version_rolled_back_with_reason(line)
    only_named_services_changed(line)
    rollback_targets_named_release(line)
    history_and_releases_list_past(line)


def dry_run_changes_nothing(line: CommandLine) -> None:
    plan = line.document("deploy", "dev", "v1", "--dry-run")
    assert [(service["service"], service["action"]) for service in plan["services"]] == [
        ("database", "create"),
        ("web", "create"),
    ]
    assert line.running() == {}
    assert line.document("history")["deployments"] == []
    assert line.document("releases", "dev")["releases"] == []


def failed_first_deployment_leaves_nothing(line: CommandLine) -> None:
    """With --json, its document is all that stdout has: progress is on stderr."""
    ended = line.run("deploy", "dev", "v3", "--json")
    assert ended.returncode == 3, ended.stderr
    document = json.loads(ended.stdout)
    assert document["outcome"] == "rolled_back"
    assert document["problem"]["hint"]
    assert document["request"]["version"] == "v3"
    assert document["request"]["requested_by"]["kind"] == "system"
    assert "execution" in ended.stderr
    assert line.running() == {}


def deploy_follows_shown_plan(line: CommandLine) -> None:
    ended = line.run("deploy", "dev", "v1", FORCE_COLOR="1")
    assert ended.returncode == 0, ended.stderr
    assert not re.search(CONTROL, ended.stdout + ended.stderr), "there is no terminal"
    assert line.running() == BOTH_V1
    plan, _, progress = ended.stdout.partition("Started DEPLOY-")
    assert "Order: database → web" in plan
    assert re.search(r"^web +create +- +roas-commands/app:v1", plan, re.MULTILINE)
    assert "execution      success" in progress
    assert "succeeded in" in progress.splitlines()[-1]
    assert "dev is on r2." in progress.splitlines()[-1]


def failed_version_rolled_back_with_reason(line: CommandLine) -> None:
    ended = line.run("deploy", "dev", "v3", "--service", "web")
    assert ended.returncode == 3
    assert line.running() == BOTH_V1
    assert "was rolled back" in ended.stdout
    assert "error: web failed" in ended.stderr
    assert "→" in ended.stderr
    assert "sample app: cannot go on" in ended.stderr
    assert "Traceback" not in ended.stderr


def only_named_services_changed(line: CommandLine) -> None:
    ended = line.run("deploy", "dev", "v2", "--service", "web")
    assert ended.returncode == 0, ended.stderr
    assert "Order: web\n" in ended.stdout, "the plan is of no other"
    assert line.running() == {"database": "v1", "web": "v2"}


def rollback_targets_named_release(line: CommandLine) -> None:
    """To the one before today's goes whoever finishes what a killed command left."""
    (number,) = (item["number"] for item in line.document("releases", "dev")["releases"] if item["version"] == "v1")
    assert line.run("rollback", "dev", "--to", f"r{number}", "--reason", "it was slow").returncode == 0
    assert line.running() == BOTH_V1
    assert line.document("releases", "dev")["current"] == number
    assert line.run("rollback", "dev", "--to", "77").returncode == 2


def history_and_releases_list_past(line: CommandLine) -> None:
    history = line.document("history", "dev")["deployments"]
    assert [(item["request"]["kind"], item["outcome"]) for item in history] == [
        ("ROLLBACK", "succeeded"),
        ("DEPLOY", "succeeded"),
        ("DEPLOY", "rolled_back"),
        ("DEPLOY", "succeeded"),
        ("DEPLOY", "rolled_back"),
    ]
    rolled_back = line.document("history", "--outcome", "rolled_back")["deployments"]
    assert [item["request"]["version"] for item in rolled_back] == ["v3", "v3"]
    assert len(line.document("history", "--limit", "1")["deployments"]) == 1
    assert "web failed" in line.run("history", "dev").stdout
    releases = line.document("releases", "dev")
    assert [release["version"] for release in releases["releases"]] == ["v2", "v3", "v1", "v3"]
    shown = line.run("releases", "dev", COLUMNS="200").stdout
    assert re.search(r"\(runs\)[ │|]+v1 ", shown), shown


def test_no_terminal_prints_plain_lines(on_v1: CommandLine) -> None:
    """Nor does a deployment, in the story."""
    for command in (("status",), ("history",), ("releases", "dev"), ("doctor", "dev")):
        assert not re.search(CONTROL, on_v1.run(*command, FORCE_COLOR="1").stdout)


def test_plan_shows_what_changes_from_and_to(on_v1: CommandLine) -> None:
    ended = on_v1.run("deploy", "dev", "v2", "--dry-run")
    assert ended.returncode == 0
    changed = [line.strip() for line in ended.stdout.splitlines() if "hello" in line]
    assert [line[0] for line in changed] == ["-", "+"], ended.stdout
    assert "hello v1" in changed[0]
    assert "hello v2" in changed[1]
    assert "Order: web\n" in ended.stdout


def test_unknown_service_lists_known_ones(on_v1: CommandLine) -> None:
    ended = on_v1.run("deploy", "dev", "v1", "--service", "moon")
    assert ended.returncode == 2
    assert "database, web" in ended.stderr


def test_unknown_version_changes_nothing(on_v1: CommandLine) -> None:
    ended = on_v1.run("deploy", "dev", "v99")
    assert ended.returncode in {2, 69}  # there is no such image, or its registry is not there to say so
    assert "roas-commands/app:v99" in ended.stderr
    assert on_v1.running() == BOTH_V1


def test_hotfix_needs_reason_and_confirmation(line: CommandLine) -> None:
    line.write(STACK.partition("  web:")[0])
    refused = line.run("hotfix", "prod", "v1", "--reason", "it burns")
    assert refused.returncode == 6
    assert "roas hotfix prod v1 --reason 'it burns' --yes" in refused.stderr
    assert line.running("prod") == {}
    done = line.document("hotfix", "prod", "v1", "--reason", "it burns", "--yes")
    assert done["outcome"] == "succeeded"
    assert done["request"]["reason"] == "it burns"
    assert line.running("prod") == {"database": "v1"}


@pytest.mark.long
def test_second_deployment_refused_first_cancellable(on_v1: CommandLine) -> None:
    """The one under way can be cancelled by another command."""
    first = on_v1.start("deploy", "dev", "v4")
    wait_for_line(first, "web: waiting")
    second = on_v1.run("deploy", "dev", "v2")
    assert second.returncode == 5
    assert re.search(r"dev is held by \S+ since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: deploy v4", second.stderr)
    assert "roas cancel dev" in second.stderr
    assert on_v1.run("cancel", "dev").returncode == 0
    out, _ = first.communicate(timeout=30)
    assert first.returncode == 4
    assert "was cancelled by" in out
    assert on_v1.running() == BOTH_V1


def test_ctrl_c_stops_at_safe_point(on_v1: CommandLine) -> None:
    child = on_v1.start("deploy", "dev", "v4")
    wait_for_line(child, "web: waiting")
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 4
    assert "it stops at the next safe point" in out
    assert on_v1.running() == BOTH_V1


@pytest.mark.long
def test_next_command_resumes_leftover(on_v1: CommandLine) -> None:
    child = on_v1.start("deploy", "dev", "v4")
    wait_for_line(child, "web: waiting")
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "resumes it" in err
    assert on_v1.document("history", "dev", "--limit", "1")["deployments"][0]["outcome"] is None
    cancelled = on_v1.run("cancel", "dev")
    assert cancelled.returncode == 0
    assert "whose process died" in cancelled.stdout
    assert on_v1.document("history", "dev", "--limit", "1")["deployments"][0]["outcome"] == "cancelled"
    assert on_v1.running() == BOTH_V1


@pytest.mark.long
def test_killed_command_finished_before_next_deploy(on_v1: CommandLine) -> None:
    child = on_v1.start("deploy", "dev", "v2")
    wait_for_line(child, "web: waiting")
    child.kill()
    child.wait()
    ended = on_v1.run("rollback", "dev")
    assert ended.returncode == 0, ended.stderr
    assert "Resuming DEPLOY-" in ended.stdout
    assert "succeeded in" in ended.stdout
    assert on_v1.running() == BOTH_V1


def test_detach_without_bot_refused(on_v1: CommandLine) -> None:
    ended = on_v1.run("deploy", "dev", "v1", "--detach")
    assert ended.returncode == 2
    assert "Leave out --detach" in ended.stderr
    back = on_v1.run("rollback", "dev")
    assert (back.returncode, "no release before the current one" in back.stderr) == (2, True)
    assert on_v1.running() == BOTH_V1
