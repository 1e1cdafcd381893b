"""A real API server accepts the chart, with Pod Security `restricted` enforced, when one can be reached.

PRECEPTOR_TEST_KUBECONFIG names the kubeconfig of a test cluster with the KubeRay operator; without it these tests say
that nothing was accepted by a server. Everything is a server-side dry run but a namespace and its service accounts.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from uuid import uuid4

import pytest
import yaml

from .chart import Manifest, of_kind, pods, render

KUBECONFIG = os.environ.get("PRECEPTOR_TEST_KUBECONFIG")
pytestmark = pytest.mark.skipif(
    KUBECONFIG is None or shutil.which("kubectl") is None,
    reason="PRECEPTOR_TEST_KUBECONFIG and kubectl are not both there: no API server was asked",
)


def kubectl(*arguments: str, manifests: list[Manifest] | None = None) -> "subprocess.CompletedProcess[str]":
    text = yaml.safe_dump_all(manifests) if manifests is not None else None
    command = ["kubectl", "--kubeconfig", KUBECONFIG or "", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"preceptor-{uuid4().hex[:8]}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    assert kubectl("create", "-f", "-", manifests=[made]).returncode == 0
    try:
        # Admission looks up the account of a pod, so it must be there for the dry run of one.
        accounts = of_kind(render(), "ServiceAccount")
        assert kubectl("-n", name, "apply", "-f", "-", manifests=accounts).returncode == 0
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def test_every_object_is_accepted(namespace: str) -> None:
    manifests = render()
    done = kubectl("-n", namespace, "apply", "--dry-run=server", "-f", "-", manifests=manifests)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a warning of Pod Security or of a deprecated field"
    assert len(done.stdout.splitlines()) == len(manifests)


def test_every_pod_is_admitted_where_pod_security_is_restricted(namespace: str) -> None:
    templates = pods(render())
    made = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **pod["metadata"]}, "spec": pod["spec"]}
        for name, pod in templates.items()
    ]
    done = kubectl("-n", namespace, "apply", "--dry-run=server", "-f", "-", manifests=made)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(templates)


def test_a_pod_that_is_not_restricted_is_refused(namespace: str) -> None:
    template = pods(render())["facade"]
    spec = {key: value for key, value in template["spec"].items() if key != "securityContext"}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": spec}
    made["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    done = kubectl("-n", namespace, "apply", "--dry-run=server", "-f", "-", manifests=[made])
    assert done.returncode != 0
    assert "restricted" in done.stderr
