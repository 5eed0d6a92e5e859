#!/usr/bin/env bash
# Starts one process of the cluster, unless it runs: jobmanager, taskmanager, jobserver or pool. Each leads a process
# group of its own; its pid is in $FLINK_RUN/pids, its output in $FLINK_RUN/log. Also: a new one after a crash.
set -euo pipefail
. "$(dirname "$0")/env.sh"
name=${1:?usage: start.sh jobmanager|taskmanager|jobserver|pool}
is_alive "$name" && exit 0

case $name in
jobmanager) port=$FLINK_REST_PORT ;;
jobserver) port=$FLINK_JOB_PORT ;;
pool) port=$FLINK_POOL_PORT ;;
taskmanager) port= ;;
*) fail "expected jobmanager, taskmanager, jobserver or pool, got $name" ;;
esac
if [ -n "$port" ] && answers "$port"; then
  fail "expected port $port to be free for the $name, but somebody listens there: is another cluster up?" \
    "ports are set by FLINK_REST_PORT, FLINK_JOB_PORT and FLINK_POOL_PORT"
fi

mkdir -p "$FLINK_RUN"/{conf,log,pids,checkpoints,savepoints,tmp,artifacts}
sed -e "s#@FLINK_RUN@#$FLINK_RUN#g" -e "s#@REST_PORT@#$FLINK_REST_PORT#g" -e "s#@RPC_PORT@#$FLINK_RPC_PORT#g" \
  -e "s#@SLOTS@#$FLINK_SLOTS#g" -e "s#@HEARTBEAT_MS@#$FLINK_HEARTBEAT_MS#g" "$HERE/flink-conf.yaml.in" >"$FLINK_RUN/conf/flink-conf.yaml.$$"
classpath="$FLINK_HOME/user-state.jar:$FLINK_HOME/lib/*:$FLINK_HOME/beam/*" # ours first: it mends a class of Beam's
if [ -n "$FLINK_METRICS_PORT" ]; then
  classpath="$classpath:$FLINK_HOME/metrics/*"
  {
    echo "metrics.reporter.prom.factory.class: org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
    echo "metrics.reporter.prom.port: $FLINK_METRICS_PORT-$((FLINK_METRICS_PORT + 9))" # each JVM takes the first free one
  } >>"$FLINK_RUN/conf/flink-conf.yaml.$$"
fi
mv "$FLINK_RUN/conf/flink-conf.yaml.$$" "$FLINK_RUN/conf/flink-conf.yaml"
cp "$HERE/log4j.properties" "$FLINK_RUN/conf/"

java=(java -XX:+ExitOnOutOfMemoryError "-Dlog4j.configurationFile=file://$FLINK_RUN/conf/log4j.properties"
  "-Djava.io.tmpdir=$FLINK_RUN/tmp"
  --add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED
  --add-opens=java.base/sun.nio.ch=ALL-UNNAMED)
for package in lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
  java+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
java+=(-cp "$classpath")
case $name in
jobmanager)
  command=("${java[@]}" -Xms256m -Xmx512m -XX:MaxMetaspaceSize=256m
    org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint
    --configDir "$FLINK_RUN/conf" --executionMode cluster)
  ;;
taskmanager) # the sizes add up to those in flink-conf.yaml.in
  command=("${java[@]}" -Xms640m -Xmx640m -XX:MaxDirectMemorySize=384m -XX:MaxMetaspaceSize=256m
    org.apache.flink.runtime.taskexecutor.TaskManagerRunner --configDir "$FLINK_RUN/conf")
  ;;
jobserver)
  command=("${java[@]}" -Xmx384m org.apache.beam.runners.flink.ClusterJobServer
    "--flink-master=localhost:$FLINK_REST_PORT" "--flink-conf-dir=$FLINK_RUN/conf" --job-host=localhost
    "--job-port=$FLINK_JOB_PORT" "--artifact-port=$((FLINK_JOB_PORT - 1))" "--expansion-port=$((FLINK_JOB_PORT - 2))"
    "--artifacts-dir=$FLINK_RUN/artifacts")
  ;;
pool)
  command=("$PYTHON" -m beam_pipelines.flink.worker_pool --port "$FLINK_POOL_PORT")
  [ -z "$FLINK_SPARES" ] || command+=(--spares "$FLINK_SPARES" --most_spares "$FLINK_SPARES")
  ;;
esac
# setsid makes it the leader of its own process group; it outlives this shell.
PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" setsid "${command[@]}" >>"$FLINK_RUN/log/$name.log" 2>&1 </dev/null 9>&- &
echo $! >"$FLINK_RUN/pids/$name"
echo "$name: pid $!"
