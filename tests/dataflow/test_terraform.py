"""Terraform's files hold together: they parse, what they refer to exists, and rights are no wider than said.

`terraform validate` needs the provider, which is not to be had in tests: deploy/dataflow/README.md says what it found.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from beam_pipelines.observability.alerts import ALERTS

FOLDER = Path(__file__).parents[2] / "deploy" / "dataflow" / "terraform"
TEXT = "\n".join(re.sub(r"(?m)^\s*#.*$", "", path.read_text()) for path in sorted(FOLDER.glob("*.tf")))
RESOURCES = set(re.findall(r'^resource "(\w+)" "(\w+)"', TEXT, re.MULTILINE))


def test_terraform_finds_the_files_well_formed():
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not installed")
    done = subprocess.run([terraform, "fmt", "-check", "-diff", FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_referred_to_is_declared_and_what_is_declared_is_used():
    declared = set(re.findall(r'^variable "(\w+)"', TEXT, re.MULTILINE))
    assert declared == set(re.findall(r"\bvar\.(\w+)", TEXT))
    referred = set(re.findall(r"\b(google_\w+)\.(\w+)\.\w+", TEXT))
    assert referred <= RESOURCES
    assert len(RESOURCES) > 10


def test_every_variable_and_output_says_what_it_is():
    blocks = re.findall(r'^(?:variable|output) "\w+" \{\n(.*?)^\}', TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 10
    assert [block for block in blocks if "description" not in block] == []


def test_the_subscription_is_as_the_pipeline_wants_it():
    (block,) = re.findall(
        r'^resource "google_pubsub_subscription" "events" \{\n(.*?)^\}', TEXT, re.MULTILINE | re.DOTALL
    )
    assert re.search(r"ack_deadline_seconds\s+= 60\b", block)
    assert 'ttl = ""' in block
    assert "dead_letter_policy" not in block


def test_the_workers_get_no_more_than_these_roles_and_one_of_them_on_the_project():
    roles = set(re.findall(r"roles/[\w.]+", TEXT))
    assert roles == {
        "roles/artifactregistry.reader",
        "roles/dataflow.worker",
        "roles/pubsub.publisher",
        "roles/pubsub.subscriber",
        "roles/pubsub.viewer",
        "roles/storage.objectAdmin",
    }
    on_project = re.findall(r'resource "google_project_iam_member" "\w+" \{\n(.*?)^\}', TEXT, re.MULTILINE | re.DOTALL)
    assert [re.findall(r"roles/[\w.]+", block) for block in on_project] == [["roles/dataflow.worker"]]


def test_redis_never_evicts_and_every_alert_is_in_the_runbook():
    assert re.search(r'maxmemory-policy\s*= "noeviction"', TEXT)
    alerts = re.findall(r"^    ([A-Z]\w+) = \{$", TEXT, re.MULTILINE)
    assert len(alerts) == len(set(alerts)) > 4
    assert set(alerts) <= {alert.name for alert in ALERTS}
