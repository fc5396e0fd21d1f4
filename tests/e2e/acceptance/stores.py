# ruff: noqa: S608 - whoever reads this wrote the statements
"""Stores that something writes into all the time, and what tells whether their data is as it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import yaml

from testbed.busybox import busybox
from testbed.images import import_image
from testbed.rootfs import Rootfs
from testbed.stack_images import POSTGRES_START, postgres_image, redis_image

# What runs a script again and again, as a program that writes all the time; it may fail while the store is not there.
FOR_EVER = "while :; do {write} >/dev/null 2>&1 || sleep 0.2; done & "
PSQL = "psql -h /tmp -qtA -v ON_ERROR_STOP=1 -d postgres -c"
SQLITE = "sqlite3 -cmd '.timeout 5000' /data/app.db"
VOLUME = {"volume": "data"}
PAUSED = {"volume": "data", "while": "paused"}


@dataclass(frozen=True)
class Store:
    """A store of people, each with an id and a name, that something adds people to.

    `ask` says how many there are, how many of them have no name or a wrong one, and a hash of those with an id up to
    `$1`, all of it, with the moments at which they were added. `destroy` takes the names away. `ways` are those in
    which it can be backed up. One that finds itself by the number of its process is the first in its container.
    """

    image: Callable[[docker.DockerClient], str]
    command: str
    path: str
    check: str
    ask: str
    destroy: str
    ways: Mapping[str, Mapping[str, Any]]
    is_first: bool = False

    def service(self, client: docker.DockerClient, way: str, large: int) -> dict[str, Any]:
        """Return the service, backed up in that way, with a file of so many bytes beside its data where that counts."""
        return {
            "image": self.image(client),
            "command": ["sh", "-c", self.command.replace("$", "$$")],
            "environment": {"LARGE": str(large)},
            "init": not self.is_first,
            "network_mode": "none",
            "stop_signal": "SIGINT",
            "stop_grace_period": "10s",
            "volumes": [f"data:{self.path}"],
            "healthcheck": {
                "test": ["CMD-SHELL", self.check],
                "interval": "5s",
                "retries": 20,
                "start_period": "60s",
                "start_interval": "200ms",
            },
            "x-deploy": {"backup": self.ways[way]},
        }


def sqlite_image(client: docker.DockerClient) -> str:
    """Build an image of this machine's SQLite and return its tag."""
    root = Rootfs()
    root.add_busybox(busybox(client))
    root.add_program("sqlite3")
    tag = "roas-testbed/sqlite:local"
    import_image(client, root.tar(), tag, CMD='["sh"]', ENV="PATH=/usr/bin:/bin")
    return tag


POSTGRES = Store(
    postgres_image,
    f"( until {PSQL} 'CREATE TABLE IF NOT EXISTS people (id int PRIMARY KEY, name text, at timestamptz DEFAULT now())';"
    " do sleep 0.2; done; "
    + FOR_EVER.format(
        write=f"{PSQL} \"INSERT INTO people SELECT n, 'name ' || n FROM (SELECT count(*) + 1 AS n FROM people) AS x\""
    )
    + f"wait ) >/dev/null 2>&1 & {POSTGRES_START}",
    "/var/lib/postgresql",
    f"{PSQL} 'SELECT 1 FROM people LIMIT 1' | grep -q 1",
    f"{PSQL} \"SELECT count(*), count(*) FILTER (WHERE name IS DISTINCT FROM 'name ' || id),"
    " md5(string_agg(people::text, ',' ORDER BY id) FILTER (WHERE id <= $1)) FROM people\" | tr '|' ' '",
    f"{PSQL} 'ALTER TABLE people DROP COLUMN name'",
    {
        "command": {
            "command": ["pg_dump", "-h", "/tmp", "--format=custom", "postgres"],
            "restore": "pg_restore -h /tmp -d postgres --clean --if-exists --single-transaction",
        },
        "volume": VOLUME,
        "paused": PAUSED,
    },
    is_first=True,
)
ADD = (
    "local n = redis.call('hlen', 'people') + 1; "
    "return redis.call('hset', 'people', n, 'name ' .. n .. ' at ' .. ARGV[1])"
)
COUNT = (
    "local n, bad, known = redis.call('hlen', 'people'), 0, {} for i = 1, n do "
    "local v = redis.call('hget', 'people', i) "
    "if not v or not string.find(v, '^name ' .. i .. ' at ') then bad = bad + 1 end "
    "if i <= tonumber(ARGV[1]) then known[i] = v or '' end end "
    "return n .. ' ' .. bad .. ' ' .. redis.sha1hex(table.concat(known, ','))"
)
TAKE = "for i = 1, redis.call('hlen', 'people') do redis.call('hset', 'people', i, i) end return 1"
REDIS = Store(
    redis_image,
    FOR_EVER.format(write=f'redis-cli -e eval "{ADD}" 0 $(date +%s)')
    + "exec redis-server --dir /data --appendonly yes --save ''",
    "/data",
    "redis-cli -e exists people | grep -q 1",
    f'redis-cli -e eval "{COUNT}" 0 $1',
    f'redis-cli -e eval "{TAKE}" 0',
    {"volume": VOLUME, "paused": PAUSED},
)
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "backups.md"
# As the guide shows them.
OF_GUIDE = yaml.safe_load(GUIDE.read_text().partition("For SQLite")[2].partition("```yaml\n")[2].partition("```")[0])
NEXT = "(SELECT count(*) + 1 FROM people)"
SQLITE_STORE = Store(
    sqlite_image,
    f"{SQLITE} 'PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, name, at)'; "
    + FOR_EVER.format(write=f"{SQLITE} \"INSERT INTO people VALUES ({NEXT}, 'name ' || {NEXT}, datetime('now'))\"")
    + "trap 'exit 0' INT TERM; wait",
    "/data",
    f"{SQLITE} 'SELECT 1 FROM people LIMIT 1' | grep -q 1",
    f"{SQLITE} -separator ' ' \"SELECT count(*), sum(name <> 'name ' || id) FROM people\" | tr '\\n' ' ' && "
    f'{SQLITE} "SELECT id, name, at FROM people WHERE id <= $1 ORDER BY id" | busybox md5sum',
    f"{SQLITE} 'ALTER TABLE people DROP COLUMN name'",
    {"command": OF_GUIDE, "volume": VOLUME, "paused": PAUSED},
)
PLAIN = Store(
    sqlite_image,
    "cd /data; mkdir -p people; test -e large || busybox dd if=/dev/urandom of=large bs=64k count=$((LARGE / 65536)); "
    "n=$(ls people | wc -l); "
    "while :; do n=$((n + 1)); echo name $n $(date +%s) >new && mv new people/$n; sleep 0.1; done & "
    "trap 'exit 0' INT TERM; wait",
    "/data",
    "test -e /data/people/1",
    "cd /data/people; n=$(ls | wc -l); set -- $1 $n; bad=0; for i in $(busybox seq $n); do "
    'grep -q "^name $i " $i || bad=$((bad + 1)); done; '
    "echo $n $bad $({ cat ../large; for i in $(busybox seq $1); do cat $i; done; } | busybox md5sum)",
    "cd /data/people; for i in *; do echo $i >$i; done; echo >../large",
    {"volume": VOLUME, "paused": PAUSED},
)
STORES = {"postgres": POSTGRES, "redis": REDIS, "sqlite": SQLITE_STORE, "plain": PLAIN}
