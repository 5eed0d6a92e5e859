#!/usr/bin/env bash
# Starts what of the cluster does not run yet, and waits until all of it answers. A second call changes nothing.
set -euo pipefail
. "$(dirname "$0")/env.sh"
TIMEOUT_S=90
need_java java
"$PYTHON" -c 'import apache_beam' 2>/dev/null || fail "expected a Python with apache-beam, got $PYTHON: \`make flink-up\` makes one, PYTHON=... names another"
"$HERE/setup.sh"
[ -z "$FLINK_METRICS_PORT" ] || "$HERE/metrics.sh"
for name in jobmanager pool taskmanager jobserver; do "$HERE/start.sh" "$name"; done

is_ready() {
  answers "$FLINK_JOB_PORT" && answers "$FLINK_POOL_PORT" && answers "$FLINK_REST_PORT" &&
    "$PYTHON" - "$FLINK_REST_PORT" <<'PY' 2>/dev/null
import json, sys, urllib.request
overview = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/overview", timeout=5).read()
sys.exit(not json.loads(overview)["taskmanagers"])
PY
}
deadline=$((SECONDS + TIMEOUT_S))
until is_ready; do
  for name in jobmanager pool taskmanager jobserver; do
    is_alive "$name" || fail "the $name ended: $(tail -n 1 "$FLINK_RUN/log/$name.log") ($FLINK_RUN/log/$name.log)"
  done
  [ $SECONDS -lt $deadline ] || fail "the cluster did not come up within $TIMEOUT_S s; see $FLINK_RUN/log"
  sleep 0.5
done
echo "Flink $FLINK_VERSION is up: http://localhost:$FLINK_REST_PORT, job server on $FLINK_JOB_PORT, worker pool on $FLINK_POOL_PORT."
[ -z "$FLINK_METRICS_PORT" ] || echo "Prometheus metrics: http://localhost:$FLINK_METRICS_PORT and the next port, one for each JVM."
echo "user-state run --runner flink --spec ... --input pubsub://... --redis ...; stop the cluster with \`make flink-down\`."
