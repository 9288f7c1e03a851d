"""What all tests of the server share. Helpers that are no fixtures stand in `fronts` and `serving`."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from douga_server.tls import TlsFiles


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the certificates of the tests."""
    return trustme.CA()


@pytest.fixture(scope="session")
def tls_files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate for localhost with its key."""
    return write_certificate(authority, tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def _own_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or writes the discovery file of whoever runs it."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))


def write_certificate(authority: trustme.CA, folder: Path, name: str = "localhost") -> TlsFiles:
    """Issue one and write it down; one that is there already is replaced."""
    issued = authority.issue_cert(name)
    files = TlsFiles(folder / "server.pem", folder / "server.key")
    issued.private_key_pem.write_to_path(files.key)
    files.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return files
