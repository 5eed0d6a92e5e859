#!/usr/bin/env bash
# Ends what up.sh has started, each by its process group, and nothing else. Jobs end with the cluster, at once: drain
# them first (Ctrl-C in `user-state run`) if what is in flight should not come again.
. "$(dirname "$0")/env.sh"
for file in "$FLINK_RUN"/pids/*; do
  [ -f "$file" ] && kill -TERM -- "-$(cat "$file")" 2>/dev/null
done
for _ in $(seq 50); do
  left=
  for file in "$FLINK_RUN"/pids/*; do
    [ -f "$file" ] && kill -0 -- "-$(cat "$file")" 2>/dev/null && left=yes
  done
  [ -z "$left" ] && break
  sleep 0.1
done
for file in "$FLINK_RUN"/pids/*; do
  [ -f "$file" ] || continue
  kill -KILL -- "-$(cat "$file")" 2>/dev/null
  rm -f "$file"
done
rm -rf "$FLINK_RUN/tmp"
exit 0
