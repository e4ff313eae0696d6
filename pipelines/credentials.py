"""Content Credentials: a C2PA signature that says what made the picture, and breaks when one byte changes.

In: the bytes of a finished picture and a signing certificate. Out: the bytes with the signature inside; or the state of the signature in a file.
Works offline with the c2pa-python package (extra `provenance`); asks no time stamp service. A certificate that you make yourself proves that the file is unchanged,
not who you are: readers call it "Valid" but not "Trusted" until they trust your certificate.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipelines.errors import ExportError

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MISSING = 'Install the extra: pip install "brandprint[provenance]".'
YEARS = 5


@dataclass(frozen=True)
class Credentials:
    """A signing certificate with its chain, and its private key, both PEM files. algorithm: C2PA's name of the key's kind."""

    certificates: Path
    key: Path
    algorithm: str = "es256"


def sign(content: bytes, mime_type: str, *, credentials: Credentials, title: str) -> bytes:
    """The picture with its signed statement. Raises ExportError where the package is missing or the certificate is refused."""
    c2pa = _package()
    try:
        settings = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})  # a thumbnail would add 0.4-1.2 MB
        chain, key = credentials.certificates.read_text(), credentials.key.read_text()
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(credentials.algorithm, chain.encode(), key.encode(), None))
        builder = c2pa.Builder.from_json(statement(title), context=c2pa.Context(settings))
        target = io.BytesIO()
        builder.sign(signer, mime_type, io.BytesIO(content), target)
    except (OSError, c2pa.C2paError) as error:
        fix = "Check the certificate and key files, or make new ones with make_credentials."
        raise ExportError(f"The picture could not be signed: {error}.", fix=fix) from error
    return target.getvalue()


def verify(content: bytes, mime_type: str, *, trust_anchors: str = "") -> str | None:
    """ "Trusted", "Valid" (unchanged, signer unknown) or "Invalid"; None: no signature, or the package is not installed."""
    if find_spec("c2pa") is None:
        return None
    c2pa = _package()
    wanted = {"trust": {"trust_anchors": trust_anchors}, "verify": {"verify_trust": True}} if trust_anchors else {}
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(wanted)) if wanted else c2pa.Context()
        with c2pa.Reader(mime_type, io.BytesIO(content), context=context) as reader:
            return reader.get_validation_state()
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error) or "no JUMBF data" in str(error):
            return None
        return "Invalid"


def statement(title: str) -> str:
    """What is signed: the picture was created by a trained model, with Brandprint."""
    action = {"action": "c2pa.created", "digitalSourceType": TRAINED, "softwareAgent": {"name": "Brandprint"}}
    assertions = [{"label": "c2pa.actions", "data": {"actions": [action]}}]
    return json.dumps({"claim_generator_info": [{"name": "Brandprint"}], "title": title, "assertions": assertions})


def make_credentials(folder: Path, *, organisation: str) -> Credentials:
    """A certificate authority of your own and a signing certificate under it, valid for five years, written into folder. ca.pem is what readers may trust."""
    from cryptography.hazmat.primitives.asymmetric import ec

    ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate(organisation + " root", ca_key, issuer=organisation + " root", issuer_key=ca_key, is_ca=True)
    leaf = _certificate(organisation, leaf_key, issuer=organisation + " root", issuer_key=ca_key, is_ca=False)
    folder.mkdir(parents=True, exist_ok=True)
    made = Credentials(folder / "chain.pem", folder / "key.pem")
    made.certificates.write_bytes(_pem(leaf) + _pem(ca))
    (folder / "ca.pem").write_bytes(_pem(ca))
    made.key.touch(mode=0o600)
    made.key.write_bytes(_key_pem(leaf_key))
    return made


def _certificate(name: str, key: Any, *, issuer: str, issuer_key: Any, is_ca: bool) -> Any:
    """As the C2PA specification asks (2.1, section 14.5): version 3, key identifiers, digitalSignature with emailProtection for the one that signs."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.now(UTC)
    build = x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(issuer)).public_key(key.public_key())
    build = (
        build.serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
    )
    build = build.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    build = build.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    build = build.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    build = build.add_extension(_usage(is_ca), critical=True)
    if not is_ca:
        build = build.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return build.sign(issuer_key, hashes.SHA256())


def _name(name: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name), x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _usage(is_ca: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_ca, key_cert_sign=is_ca, crl_sign=is_ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _package() -> Any:
    if find_spec("c2pa") is None:
        raise ExportError("Signing needs the package c2pa-python, which is not installed.", fix=MISSING)
    import c2pa

    return c2pa
