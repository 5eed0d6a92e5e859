# Sourced by the other scripts: where things lie, which ports they use, how one process is started.
#
#   FLINK_HOME   what is downloaded and built: jars                                  .flink
#   FLINK_RUN    what one cluster writes: conf, logs, pids, checkpoints              $FLINK_HOME/run
#   PYTHON       the interpreter that has user-state; workers run in it              .venv/bin/python
#   FLINK_REST_PORT 8081, FLINK_RPC_PORT 6123, FLINK_JOB_PORT 8099 (8098 and 8097 go with it), FLINK_POOL_PORT 50000
#   FLINK_SLOTS  task slots of the TaskManager                                       2
#   FLINK_SPARES workers that the pool starts ahead of need                          as many as it was asked for at once
#   FLINK_METRICS_PORT  first port of Flink's Prometheus reporter, one for each JVM   9250; empty: not exported
#   FLINK_HEARTBEAT_MS  how often a TaskManager reports, counters included           1000
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
FLINK_VERSION=1.19.3
FLINK_REPORTER_VERSION=1.19.1 # the newest of Flink 1.19 that is published apart
FLINK_HOME=${FLINK_HOME:-$ROOT/.flink}
FLINK_RUN=${FLINK_RUN:-$FLINK_HOME/run}
FLINK_REST_PORT=${FLINK_REST_PORT:-8081}
FLINK_RPC_PORT=${FLINK_RPC_PORT:-6123}
FLINK_JOB_PORT=${FLINK_JOB_PORT:-8099}
FLINK_POOL_PORT=${FLINK_POOL_PORT:-50000}
FLINK_SLOTS=${FLINK_SLOTS:-2}
FLINK_SPARES=${FLINK_SPARES:-}
FLINK_METRICS_PORT=${FLINK_METRICS_PORT-9250}
FLINK_HEARTBEAT_MS=${FLINK_HEARTBEAT_MS:-1000}
if [ -z "${PYTHON:-}" ]; then
  PYTHON=$ROOT/.venv/bin/python
  [ -x "$PYTHON" ] || PYTHON=python3
fi

fail() { # fail MESSAGE: one line that says what was expected, and the end
  echo "flink: $*" >&2
  exit 1
}

need_java() { # need_java COMMAND: java, javac or jar of a JDK that Flink 1.19 runs on
  command -v "$1" >/dev/null || fail "expected $1 on the PATH, got none: install a JDK, version 11 or 17"
  "$1" --version >/dev/null 2>&1 || fail "expected a JDK of version 11 or 17, got $("$1" -version 2>&1 | head -1)"
}

is_alive() { # is_alive NAME: the process of that name, started by start.sh, still runs
  local pid state
  pid=$(cat "$FLINK_RUN/pids/$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  state=$(ps -o stat= -p "$pid" 2>/dev/null) || return 1
  [ "${state#Z}" = "$state" ] # one that was killed, and that nobody has waited for yet, is no process any more
}

answers() { # answers PORT: somebody listens there
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
