"""Each service's settings and the command that starts it; the reasons stand beside the settings they belong to."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lib.stack.errors import StackError
from lib.stack.ports import LOOPBACK

MOSQUITTO_CONFIG = """\
# Written by scripts/stack at each start.
listener {port} {host}
allow_anonymous true
set_tcp_nodelay true
# Sessions and their queues outlive a restart. A stop saves them too; after a kill -9 the broker is as it was at its last save, up to one
# second more than the interval ago (the interval is exceeded, not met). What it took since then and no subscriber has taken is lost
# unless its publisher sends it again. The provider knows again what it got in its last 35,000 messages: at 10,000 a second, 3 s fit.
# A save stops the broker: with 200,000 messages of 300 bytes waiting (83 MB) for 0.2 s as a rule and 0.9 s at worst, so a smaller
# interval would leave it no time when a million wait. With 1 / 5 it took 8.7 / 4.4 % of a core with those, 1.3 % with none.
persistence true
persistence_location {folder}/data/
autosave_interval 2
persistent_client_expiration 7d
# A subscriber that is away, or that acknowledges late since it journals first, loses nothing: per client up to a million messages or 1 GiB.
max_queued_messages 1000000
max_queued_bytes 1073741824
# Below 65535, as packet ids are only 16 bits wide: unacknowledged messages must never share one.
max_inflight_messages 30000
message_size_limit 8388608
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""

REDIS_CONFIG = """\
# Written by scripts/stack at each start.
bind {host}
port {port}
protected-mode yes
daemonize no
dir {data}
# Every write is on disk before it is answered, one sync for all that came together. Not everysec: while its sync runs, writes are
# answered up to 2 s before they are even written, and a kill -9 then loses what the broker was told is kept. Where the disk is full,
# Redis ends, and callers hold back until it is started again; a torn last write does not stop that start.
appendonly yes
appendfsync always
aof-load-truncated yes
save ""
# When memory is full, writes fail and callers hold back: evicting would lose journalled batches.
maxmemory {maxmemory}
maxmemory-policy noeviction
loglevel notice
"""

ELASTICSEARCH_CONFIG = """\
# Written by scripts/stack at each start.
cluster.name: hort
node.name: hort
network.host: {host}
http.port: {port}
transport.port: 0
discovery.type: single-node
xpack.security.enabled: false
# Refuses what pages of other sites send, with 403: without a body Elasticsearch would take it from anybody, as in POST /_all/_close.
http.cors.enabled: true
http.cors.allow-origin: http://{host}:{port}
path.data: {data}
path.logs: {logs}
# A machine with a fairly full disk still works: with the watermarks on, indices would turn read-only.
cluster.routing.allocation.disk.threshold_enabled: false
"""

ELASTICSEARCH_JVM = """\
-Xms512m
-Xmx512m
-XX:+UseG1GC
-Djava.io.tmpdir={folder}/tmp
--add-modules=jdk.incubator.vector
-XX:+ExitOnOutOfMemoryError
-XX:-HeapDumpOnOutOfMemoryError
-XX:ErrorFile={folder}/logs/hs_err_pid%p.log
"""


@dataclass(frozen=True)
class Command:
    """How to start a server: command line, additions to its environment, folders it must reach, and a pid file where it forks away."""

    argv: list[str]
    reach: list[Path]
    extra: dict[str, str] = field(default_factory=dict)
    pid_file: Path | None = None


@dataclass(frozen=True)
class Service:
    """A service: its name, the variable that names a server of the user's own, and how its address and command are made."""

    name: str
    variable: str
    scheme: str
    prepare: Callable[[Path, int], Command]
    start_s: float = 30.0
    grace_s: float = 30.0
    opened: tuple[str, ...] = ()
    """Files in its folder that the server opens to its group, whatever its umask."""

    def url(self, port: int) -> str:
        """Return the address of our own server on a port."""
        return f"{self.scheme}://{LOOPBACK}:{port}"


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise StackError(f"{name} is not installed; scripts/setup installs it")
    return found


def _quoted(path: Path) -> str:
    """A path as Redis and YAML read it, whatever characters it has."""
    return json.dumps(str(path), ensure_ascii=False)


def _mosquitto(folder: Path, port: int) -> Command:
    config = folder / "mosquitto.conf"
    config.write_text(MOSQUITTO_CONFIG.format(host=LOOPBACK, port=port, folder=folder), encoding="utf-8")
    return Command(argv=[_program("mosquitto"), "-c", str(config)], reach=[folder])


def _redis(folder: Path, port: int) -> Command:
    config = folder / "redis.conf"
    maxmemory = os.environ.get("HORT_REDIS_MAXMEMORY") or "2gb"
    config.write_text(
        REDIS_CONFIG.format(host=LOOPBACK, port=port, data=_quoted(folder / "data"), maxmemory=maxmemory), encoding="utf-8"
    )
    return Command(argv=[_program("redis-server"), str(config)], reach=[folder])


def _elasticsearch(folder: Path, port: int) -> Command:
    home, java = os.environ.get("HORT_ES_HOME", ""), os.environ.get("ES_JAVA_HOME", "")
    if not home or not (Path(home) / "bin/elasticsearch").is_file():
        raise StackError("elasticsearch is not installed; scripts/setup installs it")
    config = folder / "config"
    for name in ("config", "logs", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    (config / "elasticsearch.yml").write_text(
        ELASTICSEARCH_CONFIG.format(host=LOOPBACK, port=port, data=_quoted(folder / "data"), logs=_quoted(folder / "logs")), encoding="utf-8"
    )
    more = "".join(f"{option}\n" for option in os.environ.get("HORT_ELASTICSEARCH_JVM", "").split())
    (config / "jvm.options").write_text(ELASTICSEARCH_JVM.format(folder=folder) + more, encoding="utf-8")
    for name in ("log4j2.properties", "roles.yml", "users", "users_roles", "role_mapping.yml"):
        shutil.copyfile(Path(home) / "config" / name, config / name)
    pid_file = folder / "elasticsearch.pid"
    pid_file.unlink(missing_ok=True)
    return Command(
        argv=["/bin/bash", f"{home}/bin/elasticsearch", "--daemonize", "--pidfile", str(pid_file)],
        reach=[folder, Path(home)],
        extra={
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",  # the launcher, which lives for seconds
            "ES_JAVA_HOME": java,
            "ES_PATH_CONF": str(config),
            "ES_TMPDIR": str(folder / "tmp"),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",  # Java encodes the names of files as the language says
        },
        pid_file=pid_file,
    )


MOSQUITTO = Service(name="mosquitto", variable="HORT_MQTT_URL", scheme="mqtt", prepare=_mosquitto)
REDIS = Service(name="redis", variable="HORT_REDIS_URL", scheme="redis", prepare=_redis)
ELASTICSEARCH = Service(
    name="elasticsearch",
    variable="HORT_ELASTICSEARCH_URL",
    scheme="http",
    prepare=_elasticsearch,
    start_s=420.0,
    grace_s=60.0,
    opened=("config/elasticsearch.keystore",),
)
SERVICES = {service.name: service for service in (MOSQUITTO, REDIS, ELASTICSEARCH)}
