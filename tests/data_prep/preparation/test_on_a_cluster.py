"""A version prepared by workers on two machines is the one that this machine makes alone."""

import datetime
import ipaddress
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from contracts.errors import InvalidDataError, InvalidRequestError, UnavailableError
from data_prep.cluster import TLS_FILES
from data_prep.workers import run_pieces
from tests.conftest import REPOSITORY_ROOT
from tests.data_prep.preparation.conftest import many_lines
from tests.ports import free_port
from tests.runner.hosts import CAN_MAKE_HOSTS, machines

pytestmark = pytest.mark.skipif(
    find_spec("distributed") is None, reason="needs Dask: pip install -r requirements-cluster.txt"
)
TLS_OPTIONS = {"ca.pem": "tls-ca-file", "cert.pem": "tls-cert", "key.pem": "tls-key"}
MODULE = "tests.data_prep.test_workers"


def make_certificates(folder: Path, *addresses: str) -> Path:
    """A certificate authority of the test's own, and one certificate for scheduler, workers and client."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def certificate(subject: x509.Name, public_key: object, *, is_authority: bool) -> x509.Certificate:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in addresses])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(authority_key, hashes.SHA256())
        )

    folder.mkdir()
    pem = serialization.Encoding.PEM
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "data cluster")])
    authority = certificate(issuer, authority_key.public_key(), is_authority=True)
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "cert.pem").write_bytes(certificate(subject, key.public_key(), is_authority=False).public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@contextmanager
def cluster(folder: Path, workers, address: str, tls: Path | None = None):
    """A scheduler on this machine and a worker by each of the commands' prefixes; their processes."""
    port, scheme = free_port(), "tcp" if tls is None else "tls"
    options = [] if tls is None else [f"--{TLS_OPTIONS[file]}={tls / file}" for file in TLS_FILES.values()]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY_ROOT), *(part for part in sys.path if part)]),
        "OMP_NUM_THREADS": "1",
    }

    def start(*command: str) -> subprocess.Popen[bytes]:
        with (folder / "cluster.log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=REPOSITORY_ROOT, start_new_session=True
            )

    scheduler = start(
        *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, "--port", str(port)),
        *("--no-dashboard", "--no-show", "--protocol", scheme, *options),
    )
    started = [
        start(
            *prefix(
                *(sys.executable, "-m", "distributed.cli.dask_worker", f"{scheme}://{address}:{port}"),
                *("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder)),
                *options,
            )
        )
        for prefix in workers
    ]
    try:
        yield f"{scheme}://{address}:{port}", started
    finally:
        for process in (*started, scheduler):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def plainly(*command: str) -> tuple[str, ...]:
    return command


@pytest.fixture
def scheduler(tmp_path, monkeypatch):
    """Two workers on this machine."""
    with cluster(tmp_path, [plainly, plainly], "127.0.0.1") as (address, workers):
        monkeypatch.setenv("TUNEWAY_DATA_SCHEDULER", address)
        yield workers


@pytest.mark.slow
def test_every_piece_is_done_by_a_worker_and_an_error_arrives_as_itself(scheduler, plan):
    told = dict(run_pieces(MODULE, "open_squares", plan(), range(9), workers=1))
    assert {piece: answer["square"] for piece, answer in told.items()} == {piece: piece**2 for piece in range(9)}
    assert {answer["process"] for answer in told.values()} <= {worker.pid for worker in scheduler}
    with pytest.raises(InvalidDataError, match=r"The piece is bad\. Got: 5\. Next: correct it"):
        list(run_pieces(MODULE, "open_squares", plan(refuse=5), range(9), workers=1))


@pytest.mark.deep
def test_two_machines_make_the_version_that_one_process_makes_also_when_one_of_them_dies(
    import_lines, prepare, tmp_path, monkeypatch
):
    if not CAN_MAKE_HOSTS:
        pytest.skip("needs root, iproute2 and util-linux to make hosts of namespaces")
    lines = many_lines()
    alone = prepare(import_lines(lines, 7), "alone", workers=1)[1]
    with machines(["data-a", "data-b"]) as (made, outside):
        tls = make_certificates(tmp_path / "tls", outside, *(machine.address for machine in made))
        monkeypatch.setenv("TUNEWAY_DATA_TLS_DIR", str(tls))
        prefixes = [machine.command for machine in made]
        with cluster(tmp_path, prefixes, outside, tls) as (address, workers):
            monkeypatch.setenv("TUNEWAY_DATA_SCHEDULER", address)
            together = prepare(import_lines(lines, 7), "together", workers=1)[1]
            log = (tmp_path / "cluster.log").read_text()
            os.killpg(workers[1].pid, signal.SIGKILL)
            survivor = prepare(import_lines(lines, 7), "survivor", workers=1)[1]
    assert all(machine.address in log for machine in made)
    assert together.content_hash == alone.content_hash
    assert survivor.content_hash == alone.content_hash


def test_a_cluster_beyond_this_machine_without_tls_is_refused(plan, monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEWAY_DATA_SCHEDULER", "tcp://10.0.0.5:8786")
    with pytest.raises(InvalidRequestError, match="wants TLS"):
        list(run_pieces(MODULE, "open_squares", plan(), range(2), workers=1))
    monkeypatch.setenv("TUNEWAY_DATA_TLS_DIR", str(tmp_path))
    with pytest.raises(InvalidRequestError, match=r"ca\.pem, cert\.pem, key\.pem"):
        list(run_pieces(MODULE, "open_squares", plan(), range(2), workers=1))


def test_a_cluster_that_is_not_there_is_said_so(plan, monkeypatch):
    monkeypatch.setattr("data_prep.cluster.WORKERS_SECONDS", 1)
    monkeypatch.setenv("TUNEWAY_DATA_SCHEDULER", f"tcp://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="does not answer"):
        list(run_pieces(MODULE, "open_squares", plan(), range(2), workers=1))
    assert time.monotonic() - began < 30
