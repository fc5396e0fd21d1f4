"""Each text that names a command or a setting is followed by a test until it works, or says why it is not.

Whoever writes a new one says here which: otherwise these tests are red.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[3]
CATALOGUE = ROOT / "bot" / "ui" / "locale" / "zh_TW" / "LC_MESSAGES" / "roas.po"
PROGRAMS = "roas|docker|pip|git|chown|chmod|mv|rm|kill|fuser|findmnt|dmesg|ss|systemctl"
SLASH = (
    "deploy|rollback|hotfix|promote|status|lock|unlock|history|scale|start|stop|restart|logs|cancel|config|alerts|keep"
)
NAMES_SOMETHING = re.compile(
    rf"`({PROGRAMS})\b|(?<![\w/.])/({SLASH})\b|(?<![\w-])--[a-z]{{3,}}|\b[A-Z]{{3,}}_[A-Z_]{{2,}}\b|roas\.toml"
    r"|\b[a-z]+_[a-z_]+\b`"
)

# By the test, how the texts begin that it follows.
FOLLOWED = {
    "unit/state/shared/test_log.py::test_another_key_is_named": ["Give SWARM_STATE_KEY_FILE the key"],
    "unit/state/shared/test_log.py::test_another_journal_is_not_written_over": [
        "Move that folder away on this machine"
    ],
    "unit/state/shared/test_log.py::test_copy_becomes_a_journal_by_itself": [
        "Use that bot, or set SWARM_STATE_KEY_FILE."
    ],
    "unit/app/test_shared_state.py::test_short_key_is_refused": ["The key in SWARM_STATE_KEY_FILE has"],
    "unit/app/test_shared_state.py::test_environment_on_one_machine_is_refused": [
        "SWARM_STATE_KEY_FILE keeps the state of Swarms"
    ],
    "unit/stack/docker/test_several_managers.py::test_no_other_swarm_is_asked": [
        "Correct `docker_host` and `managers`"
    ],
    "e2e/stack/swarm/test_lost_manager.py::test_deployment_goes_on_by_another_manager": [
        "Start it, or remove its address from `docker_host`"
    ],
    "e2e/stack/swarm/test_external.py::test_stack_with_external_files_is_taken_over_and_brought_back": [
        "The external config {name} does not exist: create it by `docker config create",
        "The external secret {name} does not exist: create it by `roas secret set",
    ],
    "unit/stack/swarm/writing/test_external_objects.py::test_what_is_missing_is_said_with_the_command_that_makes_it": [
        "Create it again (`roas secret set`"
    ],
    "integration/stack/backups/test_restic.py::test_each_backup_is_sent_once": [
        "Correct the file that `restic.password_file` names."
    ],
    "unit/stack/backups/test_files.py::test_room_is_made_as_told": ["Make room below STATE_DIR, or keep fewer backups"],
    "unit/deploy/waves/test_waves.py::test_host_lost_on_the_way_back_is_named": ["The other hosts are back."],
    "unit/deploy/waves/test_waves.py::test_release_that_is_not_there_is_answered_with_those_that_are": [
        "`roas releases {environment}` lists them."
    ],
    "unit/deploy/handover/test_state_folder.py::test_state_that_was_moved_as_told_is_deployed": [
        "To move it: `docker compose stop"
    ],
    "integration/stack/swarm/test_followed_advice.py::test_engine_that_leads_no_swarm_is_made_a_manager_as_told": [
        "Promote its node (`docker node promote`)",
        "Run `docker swarm init` there",
        "Run `docker swarm unlock` there.",
    ],
    "integration/stack/swarm/test_followed_advice.py::test_what_a_swarm_lacks_or_has_of_others_is_put_right_as_told": [
        "Create it: `docker network create --driver overlay",
        "Put that right by `docker service update`",
    ],
    "integration/stack/swarm/test_verdict_matrix.py::test_second_node_without_the_image_then_dead": [
        "See that it does not run there any more"
    ],
    "unit/stack/swarm/writing/test_job_runs.py::test_run_that_does_not_end_is_said": ["See that it has ended there"],
    "unit/deploy/data/test_data_backups.py::test_half_restored_data_is_neither_used_nor_backed_up": [
        "Restore it: `roas rollback {environment} --to {release} {data}`"
    ],
    "unit/candidates/test_coordinator.py::test_doctor_says_why_webhooks_come_to_nothing": ["Compare what it sends"],
    "integration/stack/backups/test_volumes.py::test_users_of_a_volume_are_found": ["Stop it first: `docker stop"],
    "e2e/cli/test_backups.py::test_backup_is_listed_verified_copied_and_restored": [
        "`roas backups list {environment}` lists those there are."
    ],
    "e2e/acceptance/test_data_backups.py::test_destroyed_data_comes_back_with_the_release": [
        "No data was restored. It was backed up before this deployment"
    ],
    "e2e/cli/test_advice.py::test_advice_is_followed_until_it_deploys": [
        "Check the image's name and the version",
        "Correct the file; `docker compose config`",
    ],
    "e2e/cli/test_advice.py::test_file_that_is_not_there_is_written_as_told": ["Check STACK_DIR and COMPOSE_FILE"],
    "e2e/cli/test_advice.py::test_port_that_a_process_holds_is_freed_as_told": ["Find it with `ss -lptn"],
    "e2e/cli/test_advice.py::test_hint_is_followed_until_it_is_not_told": [
        "Start Docker, or correct DOCKER_HOST",
        "Check DOCKER_CERT_PATH",
        "Look at the redis service, or correct REDIS_URL",
        "Look at the prometheus service, or correct PROMETHEUS_URL",
        "Set STATE_DIR to a folder that this user may write.",
        "Create it with `docker {kind} create",
        "Remove it with `docker rm -f {name}`",
        "Scale it: `/scale",
        "Ask {frozen_by}; `/unlock",
        "Start it first: `/start",
        "It passes with a reason",
        "Choose another release (`roas releases",
        "Look at the plan with --dry-run",
        "Where a bot runs already, use its settings",
        "Get it (`git submodule update --init`",
        "Nothing in the stack follows the version",
    ],
    "e2e/cli/test_looking.py::test_compose_up_of_release_changes_nothing": [
        "`docker compose up -d` goes by the stack's files, which name another version."
    ],
    "integration/stack/resolution/test_repository.py::test_large_files_that_git_lfs_pushed_are_brought": [
        "Push it: `git lfs push --all`"
    ],
    "e2e/cli/test_resume.py::test_paused_rollout_goes_on_or_back": ["Resume {deployment_id} or roll it back"],
    "e2e/cli/test_services.py::test_stop_status_start_and_restart": ["To start it again: `/start {service}`"],
    "e2e/cli/test_services.py::test_keep_leaves_a_scale_and_refuses_half_a_change": ["To bring back the rest: `/start"],
    "e2e/acceptance/test_outcomes.py::test_critical_service_is_named_with_its_setting": [
        "This deployment did not change {definition}"
    ],
    "e2e/acceptance/test_engine_away.py::test_lost_engine_fails_deployment_then_repaired": [
        "An operator is needed.",
        "{name} may run parts of two releases.",
    ],
    "e2e/wire/test_missing_journal.py::test_empty_folder_in_place_of_the_state_is_a_fault": [
        "If the disk of the state folder is not mounted, mount it, and restart",
    ],
    "e2e/wire/test_missing_journal.py::test_earlier_journal_in_place_of_the_newest_is_a_fault": [
        "If another disk belongs at the state folder",
    ],
    "e2e/wire/test_missing_journal.py::test_journal_removed_under_a_living_bot_is_rescued": [
        "`roas restore`, run where this bot runs",
    ],
    "e2e/handover/test_damaged_journal.py::test_journal_without_half_its_pages_restored": [
        "`roas restore`, run where the bot runs"
    ],
    "e2e/handover/test_typed_commands.py::test_typed_commands_leave_other_services_alone": [
        "To recreate what stays so: `roas compose",
        "{services} was changed while it ran",
        "Name the engine's socket on the host",
        "To start it again: `roas compose",
        "`/status` or `roas status` shows what is under way.",
    ],
    "unit/stack/policy/test_policy.py::test_refusal_has_the_lines_for_roas_toml": [
        "Deploy a version without it, or add to roas.toml"
    ],
    "unit/checks/test_place_checks.py::test_open_state_folder_fails_with_remedy": ["Close it: `chmod 700"],
    "unit/http/test_http.py::test_occupied_port_says_what_to_do": ["Find who has it with `ss -ltnp"],
    "unit/http/test_http.py::test_foreign_address_reported": ["Set HTTP_HOST to an address of this machine"],
    "e2e/wire/test_out_of_processes.py::test_deployment_goes_on_once_there_are_processes_again": [
        "Find what uses it up, or raise the limit",
    ],
    "e2e/acceptance/test_new_powers.py::test_hotfix_gives_no_power": ["Use /deploy, which asks for them."],
    "unit/deploy/test_own_service.py::test_a_plan_without_the_bot_is_refused": [
        "Keep {service} in the compose file",
    ],
    "unit/deploy/test_own_service.py::test_a_bot_that_would_not_find_itself_is_refused": [
        "Set {project_name} back to {project}.",
    ],
    "unit/deploy/handover/test_handing_over.py::test_single_instance_bot_refused": [
        "Remove that from {service} in the compose file",
    ],
    "unit/deploy/handover/test_state_folder.py::test_command_line_of_another_journal_is_refused": [
        "Use the STATE_DIR of that bot",
    ],
    "unit/deploy/phases/test_completion.py::test_late_cancellation_undoes_nothing": [
        "The request to cancel came too late",
    ],
    "unit/deploy/phases/test_completion.py::test_nobody_cancels_a_verified_release": [
        "`/rollback` or `roas rollback` undoes it.",
    ],
    "unit/deploy/test_resuming.py::test_repeated_crashes_need_operator": [
        "Read the bot's log, then `/rollback",
    ],
    "unit/deploy/phases/test_rolling_back.py::test_rollback_to_what_is_not_well_is_put_back": [
        "Look at /status {environment}, then /rollback {environment}.",
        "{name} is on {release}: what was well before runs again.",
    ],
    "unit/api/test_control_socket.py::test_socket_of_running_bot_kept": [
        "Stop the other bot, or give this one a STATE_DIR",
    ],
    "unit/health/test_probes.py::test_target_outside_environment_not_asked": [
        "Name a service of the stack, or add {entry}",
    ],
    "unit/cogs/test_plans.py::test_changed_plan_is_void": [
        "Type it again, such as /deploy",
    ],
    "unit/cogs/test_plans.py::test_stale_outcome_button_reports_newer_state": [
        "Use /rollback",
    ],
    "unit/deploy/planning/test_promotion.py::test_release_that_is_not_kept_any_more_is_promoted_by_what_runs": [
        "Use /promote"
    ],
    "unit/cogs/test_matrix.py::test_yes_is_to_what_was_shown": [
        "Answer the newest message, or use /deploy",
        "Use /deploy and its version.",
    ],
    "integration/state/test_redis_sync.py::test_two_installations_do_not_fight": [
        "Give each its own COMPOSE_PROJECT_NAME",
    ],
    "integration/stack/resolution/test_repository.py::test_deploy_key_and_host_key_by_a_real_ssh_server": [
        "Add the public key of `key_file`",
        "Correct `known_hosts_file`",
    ],
    "integration/stack/docker/test_ssh_host.py::test_refusals_are_followed": [
        "Compare the host's key with what `ssh-keyscan` prints",
        "Name a key that the host accepts by `docker_key_file`",
    ],
    "integration/stack/docker/test_ssh_refusals.py::test_key_with_a_passphrase_says_so": [
        "Name a key without a passphrase by `docker_key_file`",
    ],
    "integration/stack/resolution/test_repository.py::test_commit_must_be_signed_where_the_setting_asks": [
        "Sign the commit with a key of `signers_file`",
    ],
    "unit/cogs/test_alerts.py::test_rollback_button_only_shows_plan": [
        "Read the logs, then deploy a release that works",
    ],
    "unit/checks/test_place_checks.py::test_remedy_is_followed": [
        "Start the bot as a service of the stack",
        "Give the bot the socket of the engine that runs it",
        "Correct COMPOSE_PROJECT_NAME or HOME_ENVIRONMENT.",
        "Give it a token and a STATE_DIR of its own",
        "Make room, for instance with `docker image prune` and `docker builder prune`",
    ],
    "unit/checks/test_swarm_checks.py::test_nodes_and_their_engines": [
        "It takes tasks again by `docker node update",
        "Start it, or remove it: `docker node rm",
    ],
    "unit/checks/test_swarm_checks.py::test_managers": [
        "Bring them back, or remove them: `docker node demote",
    ],
    "e2e/cli/test_state_owner.py::test_folder_is_given_to_the_bots_user_as_told": [
        "Change its owner to the bot's user",
        "The bot's user must own all that is in STATE_DIR.",
    ],
    "e2e/cli/test_state_owner.py::test_state_folder_is_mended_as_told": [
        "{folder} is on a file system that is mounted read-only",
    ],
    "e2e/cli/test_state_owner.py::test_journal_is_begun_anew_as_told": [
        "If the disk of the state folder is not mounted, mount it. Without",
    ],
    "integration/metrics/test_prometheus_check.py::test_bot_metrics_arrive_and_down_targets_named": [
        "The service {name} is a Prometheus: set PROMETHEUS_URL.",
    ],
    "e2e/cli/test_scheduling.py::test_scheduled_deployment_outlives_the_bot": [
        "Schedule it for the next window",
    ],
    "e2e/cli/test_services.py::test_scale_and_status": [
        "Name one service, and a number",
    ],
    "integration/stack/swarm/test_verdict_matrix.py::test_writes_one_after_the_other": [
        "See what keeps nodes from it",
    ],
    "integration/stack/containers/test_own_container.py::test_nothing_touches_the_own_container": [
        "The bot is replaced by a successor"
    ],
    "e2e/acceptance/test_built_images.py::test_what_one_service_builds_is_built_once_for_all": [
        "Use /deploy, or push the image"
    ],
}

# By the reason, how the texts begin that nobody can follow here.
NOT_HERE = {
    "Discord's developer portal and a server's settings take a person": [
        "Invite it with the scopes",
        "Let anyone mention the role",
        "Nobody may {action} {environment}",
        "Reset it at https://discord.com",
        "The ops channel, <#{channel}>, is gone",
    ],
    "what is not foreseen cannot be brought about": ["Look at /status, then try again, or show the log"],
    "no machine of a test has systemd, a broken disk or a kernel of its own": [
        "STATE_DIR must be a folder on a local file system",
        "Check on the machine whether Docker runs",
        "Start it again, for instance by `systemctl",
        "Find out why {folder} cannot be written",
    ],
    "the tests run as root, whom no port and no file is denied": [
        "Set HTTP_PORT to 1024 or above.",
        "It is read as user {user}: let that user read it",
    ],
    "the package is on no index that a test may ask": ["Install it: `pip install"],
    "it is a setting of Grafana's or Alertmanager's": ["Look at the alerts where they come from"],
    "it depends on who did it, and on their reasons": [
        "Bots of {others} use {folder} too",
        "Remove it, or let it use the STATE_DIR of this bot.",
        "Find the process that hangs or was stopped",
        "See whether somebody ran `docker service rollback`",
        "The engine may be stalled or very busy",
    ],
}

# What names something and advises nothing: it says how things are, or will be.
SAYS_ONLY = [
    "A probe is a URL",
    "COMPOSE_FILE in the stack's .env",
    "DISCORD_GUILD_ID and DISCORD_OPS_CHANNEL_ID are not set",
    "DISCORD_TOKEN is not set",
    "Describe a stack that runs in roas.toml.",
    "It is about what was deployed",
    "REDIS_URL is not set",
    "The plan of `/deploy {name}` says",
    "There is no room for a copy of the journal",
    "Where it runs: `docker exec",
    "`errors` and `response_time` need",
    "`docker compose up -d` also runs",
    "`docker compose up -d` goes by the repository's files, which name another version.",
    "`docker compose up -d` goes by the stack's files: where they differ",
    "`docker compose up -d` goes by the stack's files: it leaves",
    "`docker compose up -d` recreates {services}",
    "Where {services} is recreated, `docker compose up -d`",
    "`live_binds` of {name}",
    "`{id}` is under way and continues",
    "a task is never privileged",
    "its STATE_DIR is {where}",
    "its `update_config` lets that pass",
    "the volume {name} has",
    "{image} keeps its meaning",
    "{megabytes} MB are free",
    "{sharing}: `volumes_from`",
    "{who} has the `container_name`",
    "{who} {does} {source}",
]


def texts() -> list[str]:
    with CATALOGUE.open("rb") as file:
        ids = (message.id if isinstance(message.id, str) else message.id[0] for message in read_po(file))
        return sorted({text for text in ids if NAMES_SOMETHING.search(text)})


def beginnings() -> Iterator[str]:
    for table in (FOLLOWED, NOT_HERE):
        for begin in table.values():
            yield from begin
    yield from SAYS_ONLY


def test_each_text_has_its_place() -> None:
    found = texts()
    assert len(found) > 100
    places = Counter(text for text in found for begin in beginnings() if text.startswith(begin))
    assert [text for text in found if places[text] != 1] == []
    assert [begin for begin in beginnings() if not any(text.startswith(begin) for text in found)] == []


def test_each_test_that_follows_is_there() -> None:
    for place in FOLLOWED:
        file, _, name = place.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), place
