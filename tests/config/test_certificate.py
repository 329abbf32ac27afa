"""Certificate files: read with reasons, made when there are none."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from mailhub.config.certificate import (
    SPARE,
    BadCertificate,
    authority,
    read,
    self_signed,
)
from mailhub.config.values import CertificateFiles

NOW = 1_700_000_000.0
YEARS = 10 * 365 * 86400.0


def test_self_signed(tmp_path: Path) -> None:
    """Made once, for the names asked for; found again the next time."""
    directory = str(tmp_path / "tls")
    files, new = self_signed(directory, ["hub.example", "Mail.example"], NOW)
    found = read(files)
    assert new
    assert found.names == {"hub.example", "mail.example"}
    assert found.expires == NOW + YEARS
    assert self_signed(directory, ["hub.example"], NOW + 5) == (files, False)


def test_self_signed_anew(tmp_path: Path) -> None:
    """Other names, near expiry or half of the pair missing: it is made again."""
    directory = str(tmp_path)
    files, _ = self_signed(directory, ["hub.example"], NOW)
    assert self_signed(directory, ["other.example"], NOW)[1]
    assert self_signed(directory, ["other.example"], NOW + YEARS - SPARE.total_seconds() + 1)[1]
    os.unlink(files.chain)
    assert self_signed(directory, ["other.example"], NOW)[1]


def test_files_are_private(tmp_path: Path) -> None:
    """Keys can be read by nobody else, and no temporary file is left."""
    made = authority(str(tmp_path / "tls"), NOW)
    assert os.stat(made.files.key).st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path / "tls")) == ["ca.pem", "hub.key", "hub.pem"]


def test_authority(tmp_path: Path) -> None:
    """The demo's authority signs for loopback by name and address, and its key is gone."""
    made = authority(str(tmp_path), NOW)
    [certificate] = read(made.files).chain
    [ca] = x509.load_pem_x509_certificates(Path(made.ca).read_bytes())
    certificate.verify_directly_issued_by(ca)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "hub.example"]
    assert [str(it) for it in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert authority(str(tmp_path), NOW + 5) == made
    assert Path(made.ca).read_bytes() == ca.public_bytes(Encoding.PEM)


def shaken(trusted: str, files: CertificateFiles, name: str) -> str | None:
    """The version that Python's own strictest client agrees on with a server that has `files`."""
    client = ssl.create_default_context(cafile=trusted)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.chain, files.key)
    left, right = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(left, right, server_hostname=name)
    there = server.wrap_bio(right, left, server_side=True)
    for _ in range(3):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return here.version()


def test_strict_clients(tmp_path: Path) -> None:
    """Who trusts the demo's authority, or the hub's own certificate, needs no exception."""
    import time  # noqa: PLC0415  # OpenSSL checks against the real clock

    made = authority(str(tmp_path / "demo"), time.time())
    assert shaken(made.ca, made.files, "localhost") == "TLSv1.3"
    own, _ = self_signed(str(tmp_path / "own"), ["hub.example"], time.time())
    assert shaken(own.chain, own, "hub.example") == "TLSv1.3"


def test_chain_in_one_file(tmp_path: Path) -> None:
    """One file may hold chain and key, and the chain keeps its order."""
    made = authority(str(tmp_path), NOW)
    together = tmp_path / "all.pem"
    together.write_bytes(
        b"".join(Path(it).read_bytes() for it in (made.files.chain, made.ca, made.files.key))
    )
    found = read(CertificateFiles(str(together), str(together)))
    assert len(found.chain) == 2
    assert "localhost" in found.names


def test_common_name(tmp_path: Path) -> None:
    """A certificate without alternative names is for its common name."""
    made = authority(str(tmp_path), NOW)
    [ca] = x509.load_pem_x509_certificates(Path(made.ca).read_bytes())
    from mailhub.config.certificate import _names  # noqa: PLC0415

    assert _names(ca) == {"mailhub demo authority"}


def test_refused(tmp_path: Path) -> None:
    """Each way of being wrong has its own words, with the file's name."""
    files, _ = self_signed(str(tmp_path / "a"), ["hub.example"], NOW)
    other, _ = self_signed(str(tmp_path / "b"), ["hub.example"], NOW)
    junk = tmp_path / "junk"
    junk.write_text("no PEM here")
    locked = tmp_path / "locked"
    key = ec.generate_private_key(ec.SECP256R1())
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    cases = [
        (CertificateFiles("/nowhere.pem", files.key), "/nowhere.pem: No such file or directory"),
        (CertificateFiles(files.chain, "/nowhere.key"), "/nowhere.key: No such file"),
        (CertificateFiles(str(junk), files.key), "holds no certificate in PEM form"),
        (CertificateFiles(files.chain, str(junk)), "holds no private key in PEM form"),
        (CertificateFiles(files.chain, str(locked)), "is locked with a passphrase"),
        (CertificateFiles(files.chain, other.key), "is not the key of"),
    ]
    for pair, words in cases:
        with pytest.raises(BadCertificate, match=words):
            read(pair)
