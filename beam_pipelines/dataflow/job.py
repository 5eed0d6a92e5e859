"""`user-state run --runner dataflow`: check, submit, say how to watch and drain; the job is Dataflow's from then on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from beam_pipelines.dataflow.options import beam_arguments, check_options
from beam_pipelines.running import beam_options, new_pipeline, print_spec_changes
from beam_pipelines.streaming import StreamingSettings, build, check_settings
from user_state.cli.terminal import Terminal
from user_state.errors import InputError
from user_state.spec import LoadedSpec


def run_on_dataflow(spec: LoadedSpec, settings: StreamingSettings, beam_given: Sequence[str]) -> Any:
    """Submit and return Beam's result; in a Flex template's launcher, write the job for Dataflow to start.

    Raises:
        UserStateError: something is missing or cannot be used, or Dataflow refused the job.
    """
    pipeline = dataflow_pipeline(spec, settings, beam_given)
    check_settings(spec, settings)
    console = Terminal(stderr=True)
    print_spec_changes(console, spec, settings.redis)
    try:
        result = pipeline.run()
    except Exception as exc:
        text = str(exc).strip().split("\n", maxsplit=1)[0][:400]
        raise InputError(f"Dataflow did not take the pipeline: {type(exc).__name__}: {text}") from exc
    cloud = pipeline.options.view_as(GoogleCloudOptions)
    console.print(told(settings, spec, cloud, result))
    return result


def dataflow_pipeline(spec: LoadedSpec, settings: StreamingSettings, beam_given: Sequence[str]) -> beam.Pipeline:
    """Return the pipeline with its options, checked; touches no service.

    Raises:
        InputError: an option is missing or cannot be right, or Beam lacks its Google Cloud part.
    """
    try:
        from google.cloud import dataflow, storage  # noqa: F401
    except ImportError as exc:
        raise InputError(
            "Dataflow needs Beam's Google Cloud part: pip install -r requirements-dataflow.txt,"
            " or pip install 'user-state[pipeline,dataflow]'"
        ) from exc
    options = beam_options(beam_arguments(spec.spec.name, beam_given))
    check_options(options, settings)
    pipeline = new_pipeline(options)
    build(pipeline, spec, replace(settings, native_source=True, run=None))
    return pipeline


def told(settings: StreamingSettings, spec: LoadedSpec, cloud: Any, result: Any) -> str:
    """Return what somebody who has submitted needs to know."""
    if cloud.template_location:
        return f"wrote the job to {cloud.template_location}"
    job = result.job_id()
    return (
        f"{settings.input} -> {spec.keyspace} in Redis. Dataflow job {job}\n"
        f"https://console.cloud.google.com/dataflow/jobs/{cloud.region}/{job}?project={cloud.project}\n"
        f"Drain it, never cancel it, since Dataflow has acknowledged what is in flight:\n"
        f"  gcloud dataflow jobs drain {job} --region={cloud.region} --project={cloud.project}"
    )
