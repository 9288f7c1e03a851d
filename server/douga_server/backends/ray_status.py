"""What Ray Serve says of an application, in our terms."""

from __future__ import annotations

import re
from typing import Any

from douga import errors
from douga.errors import DougaError
from douga_server.errors import SetupError

DEPLOYMENT = "Replica"


def count_running(status: Any) -> int:
    """Replicas that take frames."""
    deployment = status.deployments.get(DEPLOYMENT)
    return 0 if deployment is None else int(deployment.replica_states.get("RUNNING", 0))


def message_in(status: Any) -> str:
    """What it says of itself, and of its replicas."""
    deployment = status.deployments.get(DEPLOYMENT)
    return "\n".join(filter(None, (status.message, deployment.message if deployment else "")))


def error_in(message: str) -> DougaError:
    """The error that a replica could not start for; Serve hands it on as text."""
    kinds = {kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type)}
    kinds["SetupError"] = SetupError
    for line in reversed(message.splitlines()):
        found = re.match(r"(?:[\w.]+\.)?(\w+): (.+)", line.strip())
        if found and found[1] in kinds and issubclass(kinds[found[1]], DougaError):
            error = kinds[found[1]](found[2])
            assert isinstance(error, DougaError)
            return error
    return SetupError(f"no replica could start; Ray says: {message or 'nothing'}")
