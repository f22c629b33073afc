"""What is to be typed for Kubernetes: shells take it as it is, and no secret is in it."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.setup.kubernetes import AccountFiles, commands, place, secret_name

CONFIGURATION = "# END\nEND\nconnectors:\n  vip: {list_id: 1}  # $HOME `date` 'quoted'\n"


def test_the_place_in_the_pod_is_that_of_the_manifests() -> None:
    """One folder for each account's Secret."""
    assert place("acme", "refresh-token") == "/var/run/secrets/hubspot/acme/refresh-token"


@pytest.mark.parametrize(
    ("account", "name"),
    [("acme", "hubspot-list-sync-acme"), ("Acme_EU", "hubspot-list-sync-acme-eu"), ("a.b-", "hubspot-list-sync-a.b")],
)
def test_the_name_of_a_secret_is_one_that_kubernetes_allows(account: str, name: str) -> None:
    """Accounts may be called what Kubernetes does not take."""
    assert secret_name(account) == name


@given(st.text("END_\n #'\"$`\\x"))
def test_the_end_of_the_document_is_a_line_that_the_configuration_does_not_hold(text: str) -> None:
    """Whatever is in the file, the shell finds its end where it is."""
    end = next(line for line in commands(text, ()).splitlines() if line.startswith("cat > ")).partition("<<'")[2][:-1]
    assert end not in text.splitlines()


@pytest.mark.process
def test_a_shell_takes_it(tmp_path: Path) -> None:
    """The file comes out byte for byte, and kubectl is called for the Secret, the ConfigMap and the restart."""
    called = tmp_path / "called"
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nfor each in "$@"; do printf "%s|" "$each"; done >> {called}\necho >> {called}\n')
    kubectl.chmod(0o755)
    files = AccountFiles("Acme", "my secrets/client'secret", "my secrets/refresh-token")
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    typed = ["sh", "-eu", "-c", commands(CONFIGURATION, [files])]
    done = subprocess.run(typed, cwd=tmp_path, env=environ, check=True, capture_output=True, timeout=60)  # noqa: S603 - our own text
    assert done.stderr == b""
    assert (tmp_path / "hubspot-list-sync.yaml").read_text() == CONFIGURATION
    lines = called.read_text().splitlines()
    assert sorted(line.partition("|")[0] for line in lines) == ["apply", "apply", "create", "create", "rollout"]
    [secret] = [line for line in lines if "|secret|" in line]
    assert "|hubspot-list-sync-acme|--from-file=client-secret=my secrets/client'secret|" in secret
    assert any(line.startswith("rollout|restart|deployment/hubspot-list-sync|") for line in lines)
