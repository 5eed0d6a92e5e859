#!/usr/bin/env bash
# Downloads Flink and Beam's Flink runner into FLINK_HOME, once: about 300 MB through pip and Maven as they are set up
# for this user, half a minute of work beside. Nothing is installed; `rm -rf .flink` undoes it.
set -euo pipefail
. "$(dirname "$0")/env.sh"
patches="$ROOT/beam_pipelines/beam_patches/java"
stamp="$FLINK_HOME/stamp-$(cat "$HERE/pom.xml" "$patches"/*.java "$HERE/setup.sh" | cksum | tr ' ' -)"
[ -f "$stamp" ] && exit 0
for one in "$patches"/*.java; do # they stand in for classes of Beam's, so each fits the version it was written for
  artifact=$(sed -n 's/.*Written for: \([a-z-]*\) .*/\1/p' "$one")
  fits=$(sed -n 's/.*Written for: [a-z-]* \([0-9.]*[0-9]\).*/\1/p' "$one")
  named=$(sed -n "s#.*<artifactId>$artifact[0-9.-]*</artifactId><version>\([^<]*\)<.*#\1#p" "$HERE/pom.xml")
  [ -n "$fits" ] && [ "${named#"$fits".}" != "$named" ] || fail "expected $artifact $fits in deploy/flink/pom.xml, which" \
    "${one#"$ROOT/"} was written for, got ${named:-none}: see docs/design/beam-patches.md"
done
need_java javac
need_java jar
command -v mvn >/dev/null || fail "expected Maven (mvn) on the PATH, got none: install maven 3.8 or newer"
command -v "$PYTHON" >/dev/null || fail "expected a Python interpreter in PYTHON, got $PYTHON"
mkdir -p "$FLINK_HOME"
if command -v flock >/dev/null; then # two at a time would write the same files
  exec 9>"$FLINK_HOME/lock"
  flock 9
  [ -f "$stamp" ] && exit 0
fi
work=$(mktemp -d "$FLINK_HOME/setup-XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "getting Flink $FLINK_VERSION and Beam's Flink runner, about 300 MB, into $FLINK_HOME: once"

# Flink's own jars come in the source distribution of its Python package.
"$PYTHON" -m pip download -q --disable-pip-version-check --no-deps -d "$work/flink" "apache-flink-libraries==$FLINK_VERSION" \
  || fail "pip could not download apache-flink-libraries==$FLINK_VERSION: see above"
tar xzf "$work"/flink/apache*flink*libraries-"$FLINK_VERSION".tar.gz -C "$work/flink"
mv "$work"/flink/apache*flink*libraries-"$FLINK_VERSION"/deps/lib "$work/lib"
rm -f "$work"/lib/flink-{table-,cep,csv,json,scala}*.jar

mvn -q -B -f "$HERE/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/beam" \
  || fail "Maven could not download the jars that deploy/flink/pom.xml names: see above"
rm -f "$work"/beam/flink-*.jar "$work"/beam/slf4j-simple*.jar # one Flink, one logging binding

mkdir "$work/classes"
javac -cp "$work/lib/*:$work/beam/*" -d "$work/classes" "$patches"/*.java
jar cf "$work/user-state.jar" -C "$work/classes" .

rm -rf "$FLINK_HOME/lib" "$FLINK_HOME/beam" "$FLINK_HOME"/stamp-*
mv "$work/lib" "$work/beam" "$work/user-state.jar" "$FLINK_HOME/"
touch "$stamp"
