"""What to type where the service runs on Kubernetes: its Secrets, its ConfigMap, a restart. Pure.

Names and places are those of the manifests under `deploy/kubernetes`. No secret is in the text: kubectl reads each from
its file.
"""

import re
import shlex
from collections.abc import Iterable
from typing import NamedTuple

NAME = "hubspot-list-sync"  # of the Deployment and the ConfigMap
FOLDER = "/var/run/secrets/hubspot"  # in the pod: one folder for each account's Secret


class AccountFiles(NamedTuple):
    """The files on this machine that an account's Secret is made from."""

    account: str
    client_secret: str
    refresh_token: str


def place(account: str, key: str) -> str:
    """Give the path in the pod of one key of an account's Secret: `client-secret`, `refresh-token`."""
    return f"{FOLDER}/{account}/{key}"


def secret_name(account: str) -> str:
    """Give the name of an account's Secret, in the characters that Kubernetes allows."""
    return f"{NAME}-" + re.sub(r"[^a-z0-9.-]", "-", account.lower()).strip("-.")


def commands(text: str, accounts: Iterable[AccountFiles]) -> str:
    """Give the commands that bring the configuration `text`, and the Secrets of `accounts`, into the cluster."""
    parts = [
        f"# The credentials of {each.account}. kubectl reads them from files; remove those when it is done.\n"
        f"kubectl create secret generic {shlex.quote(secret_name(each.account))} \\\n"
        f"  --from-file=client-secret={shlex.quote(each.client_secret)} \\\n"
        f"  --from-file=refresh-token={shlex.quote(each.refresh_token)} \\\n"
        "  --dry-run=client --output=yaml | kubectl apply --filename=-"
        for each in accounts
    ]
    end = _end(text)
    body = text if text.endswith("\n") else text + "\n"
    configuration = (
        "# The configuration. With the overlays of deploy/kubernetes: write it into the overlay's file and\n"
        "# `kubectl apply --kustomize` that instead; then the pods are rolled by themselves.\n"
        f"cat > {NAME}.yaml <<'{end}'\n{body}{end}\n"
        f"kubectl create configmap {NAME} --from-file={NAME}.yaml \\\n"
        "  --dry-run=client --output=yaml | kubectl apply --filename=-"
    )
    restart = f"# The service reads both when it starts.\nkubectl rollout restart deployment/{NAME}\n"
    return "\n\n".join((*parts, configuration, restart))


def _end(text: str) -> str:
    """Give a line that the text does not hold."""
    end = "END"
    while end in text.splitlines():
        end += "_"
    return end
