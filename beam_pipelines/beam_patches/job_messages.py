"""Why Flink did not start a job, as Beam's job server reports it.

Beam shows the messages of a job only through `wait_until_finish`, whose threads print a stack trace when the job
server goes away; once a job runs on Flink, the job server does not matter any more. The stream that it reads them from
is a private field of the result.

Written for: Beam 2.77.
Replaces: nothing; reads `PipelineResult._message_stream` of the portable runner.
Issue of Beam's: none filed that we know of.
To drop it: delete this file; a job that Flink refuses is then reported after a minute, without Flink's reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.portability.api import beam_job_api_pb2


def error_messages(result: Any) -> Iterator[str]:
    """Yield the first line of each error that the job server reports, until the stream ends.

    Args:
        result: what `run` of a pipeline on the portable runner returned.

    Raises:
        Exception: the job server is gone.
    """
    for message in result._message_stream:
        if message.message_response.importance >= beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR:
            yield message.message_response.message_text.strip().split("\n", maxsplit=1)[0][:400]
