"""Certificates for servers and clients on loopback, made by openssl for one test run."""

import subprocess
from pathlib import Path


class Certificates:
    """An authority, what it has signed, and a stranger that signed nothing that counts.

    Files in PEM: ``ca``; ``server`` for 127.0.0.1, ``elsewhere`` for another host, ``client`` with the common
    name ``jitr``, each with its ``..._key``; ``stranger``, another authority. ``keystore`` is the server's
    key and certificates in one file; ``locked_key`` the client's key under the password ``opensesame``.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca, self.ca_key = self._authority("ca")
        self.stranger, _ = self._authority("stranger")
        self.server, self.server_key = self._signed("server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.elsewhere, self.elsewhere_key = self._signed("elsewhere", "subjectAltName=DNS:kafka.example")
        self.client, self.client_key = self._signed("jitr", "extendedKeyUsage=clientAuth")
        self.keystore = folder / "keystore.pem"
        parts = (self.server_key, self.server, self.ca)
        self.keystore.write_text("".join(part.read_text() for part in parts))
        self.locked_key = folder / "locked.key"
        _openssl(
            *("pkcs8", "-topk8", "-in", str(self.client_key), "-out", str(self.locked_key)),
            *("-passout", "pass:opensesame"),
        )

    def _authority(self, name: str) -> tuple[Path, Path]:
        return self._made(name, "-x509")

    def _signed(self, name: str, extension: str) -> tuple[Path, Path]:
        signer = ("-x509", "-CA", str(self.ca), "-CAkey", str(self.ca_key))
        constraint = "basicConstraints=critical,CA:FALSE"
        return self._made(name, *signer, "-addext", extension, "-addext", constraint)

    def _made(self, name: str, *options: str) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate), *options),
        )
        return certificate, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
