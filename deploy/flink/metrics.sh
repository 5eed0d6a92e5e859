#!/usr/bin/env bash
# Gets Flink's Prometheus reporter into FLINK_HOME, one jar, once; up.sh calls it unless FLINK_METRICS_PORT is empty.
set -euo pipefail
. "$(dirname "$0")/env.sh"
jar="$FLINK_HOME/metrics/flink-metrics-prometheus-$FLINK_REPORTER_VERSION.jar"
[ -f "$jar" ] && exit 0
command -v mvn >/dev/null || fail "expected Maven (mvn) on the PATH, got none: install maven 3.8 or newer"
mkdir -p "$FLINK_HOME/metrics"
work=$(mktemp -d "$FLINK_HOME/metrics-XXXXXX")
trap 'rm -rf "$work"' EXIT
mvn -q -B dependency:copy "-Dartifact=org.apache.flink:flink-metrics-prometheus:$FLINK_REPORTER_VERSION" \
  "-DoutputDirectory=$work" \
  || fail "Maven could not download flink-metrics-prometheus:$FLINK_REPORTER_VERSION: see above"
mv "$work/$(basename "$jar")" "$jar" # whole or not at all: two may do this at the same time
