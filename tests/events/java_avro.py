"""Avro's own implementation for Java, as a process that writes and reads bodies (`avro_java/AvroBodies.java`)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "avro_java"
START_TIMEOUT_S = 300.0
"""With the downloads, the first time."""


def java_missing() -> str | None:
    """Return why it cannot be started here, None if it can."""
    missing = [command for command in ("java", "javac", "mvn") if shutil.which(command) is None]
    return f"Avro's Java needs a JDK of version 17 and Maven: there is no {missing[0]} on the PATH" if missing else None


class JavaAvro:
    """A running process, which is asked a line at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def written(self, schema: Any, seed: int, count: int) -> tuple[list[bytes], list[bytes]]:
        """Return bodies of random values, and the same with the sizes of blocks in them."""
        answer = self._ask({"write": schema, "seed": seed, "count": count})
        plain, blocked = ([bytes.fromhex(body) for body in answer[key]] for key in ("plain", "blocked"))
        return plain, blocked

    def framed(self, schema: Any, seed: int, count: int, number: int) -> dict[str, list[bytes]]:
        """Return bodies of random values in each encoding; `number` is the schema's id."""
        answer = self._ask({"frame": schema, "seed": seed, "count": count, "id": number})
        return {encoding: [bytes.fromhex(body) for body in bodies] for encoding, bodies in answer.items()}

    def resolved(self, writer: Any, reader: Any, bodies: list[bytes]) -> list[bytes | None]:
        """Return each body of `writer` as one of `reader`, None for one that Java refuses."""
        answer = self._ask({"writer": writer, "reader": reader, "bodies": [body.hex() for body in bodies]})
        return [None if body is None else bytes.fromhex(body) for body in answer["resolved"]]

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"Avro's Java has ended: {asked}"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def java_avro(folder: Path) -> Iterator[JavaAvro]:
    """Start it, compiled into `folder`; it ends with the block."""
    classpath = folder / "classpath"
    resolve = ["dependency:build-classpath", f"-Dmdep.outputFile={classpath}"]
    maven = ["mvn", "--quiet", "--batch-mode", "--file", str(SOURCE / "pom.xml")]
    subprocess.run([*maven, *resolve], check=True, timeout=START_TIMEOUT_S)
    jars = classpath.read_text().strip()
    compile_it = ["javac", "-d", str(folder), "-cp", jars, str(SOURCE / "AvroBodies.java")]
    subprocess.run(compile_it, check=True, timeout=START_TIMEOUT_S)
    command = ["java", "-Xmx256m", "-cp", f"{folder}:{jars}", "AvroBodies"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield JavaAvro(process)
        finally:
            process.kill()
