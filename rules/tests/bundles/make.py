#!/usr/bin/env python3
"""Makes the signed bundles of this directory, without any code of Sentinel's.

Written from OPA's documentation of bundle signatures, with Python's standard library and the `openssl` command. Keys are
made anew and thrown away; only the public ones are kept. Run it here: ./make.py
"""

import base64, gzip, hashlib, hmac, io, json, pathlib, subprocess, tarfile, tempfile

HERE = pathlib.Path(__file__).parent

FILES = {
    ".manifest": '{"roots": ["sentinel/office", "sentinel/office_test", "office"], "revision": "7", "metadata": {"by": "make.py", "n": 1.50}}',
    "office/data.json": '{ "ports": [443, 8443],\n  "name": "B\\u00fcro <1>", "limit": 1.50, "far": 1e3 }\n',
    "office/more/data.yaml": "b: two\na: 1\n",
    "policy/office.rego": (
        "package sentinel.office\n\ndeny contains msg if {\n\tinput.event.action == \"connect\"\n"
        "\tnot input.destination.port in data.office.ports\n\tmsg := \"a port that the office does not use\"\n}\n"
    ),
    "policy/office_test.rego": "package sentinel.office_test\n\ntest_data if data.office.more.a == 1\n",
    "README.md": "Not loaded, but signed.\n",
}


class Number(str):
    """A number as it was written."""


def spell(value):
    """The content of a document in the one spelling that is hashed."""
    if isinstance(value, Number) or value is None or isinstance(value, (bool, int)):
        return value if isinstance(value, Number) else json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(spell(item) for item in value) + "]"
    return "{" + ",".join(spell(key) + ":" + spell(value[key]) for key in sorted(value)) + "}"


def digest(name, text):
    base = name.rsplit("/")[-1]
    if base in (".manifest", "data.json"):
        text = spell(json.loads(text, parse_float=Number, parse_int=Number))
    elif base == "data.yaml":
        text = '{"a":1,"b":"two"}'
    return hashlib.sha256(text.encode()).hexdigest()


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(algorithm, sign, claims):
    header = {"alg": algorithm, "typ": "JWT", "kid": "office"}
    files = [{"name": name, "hash": digest(name, text), "algorithm": "SHA-256"} for name, text in FILES.items()]
    payload = {"files": files, "iat": 1795000000, "iss": "make.py", **claims}
    message = encode(json.dumps(header).encode()) + "." + encode(json.dumps(payload).encode())
    return message + "." + encode(sign(message.encode()))


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def raw(der, size):
    """An ECDSA signature as JSON Web Signatures have it, out of its DER form."""
    at = 4 if der[1] < 0x80 else 5
    length = der[at - 1]
    r = der[at : at + length]
    s = der[at + length + 2 :]
    return b"".join(int.from_bytes(part, "big").to_bytes(size, "big") for part in (r, s))


def bundle(name, token_, prefix=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file, text in {**FILES, ".signatures.json": json.dumps({"signatures": [token_]})}.items():
            entry = tarfile.TarInfo(prefix + file)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    (HERE / name).write_bytes(gzip.compress(buffer.getvalue(), mtime=0))


def main():
    with tempfile.TemporaryDirectory() as directory:
        keys = {
            "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        }
        private = {}
        for name, options in keys.items():
            private[name] = f"{directory}/{name}.pem"
            openssl("genpkey", *options, "-out", private[name])
            (HERE / f"{name}.pub").write_bytes(openssl("pkey", "-in", private[name], "-pubout"))
        (HERE / "rsa.pkcs1.pub").write_bytes(openssl("rsa", "-in", private["rsa"], "-RSAPublicKey_out"))
        (HERE / "secret").write_bytes(b"not much of a secret")

        def asymmetric(key, hash_, *options):
            return lambda message: openssl("dgst", f"-{hash_}", "-sign", private[key], *options, data=message)

        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        signers = {
            "rs256": asymmetric("rsa", "sha256"),
            "rs512": asymmetric("rsa", "sha512"),
            "ps256": asymmetric("rsa", "sha256", *pss),
            "es256": lambda message: raw(asymmetric("p256", "sha256")(message), 32),
            "es384": lambda message: raw(asymmetric("p384", "sha384")(message), 48),
            "hs256": lambda message: hmac.digest(b"not much of a secret", message, "sha256"),
        }
        for name, sign in signers.items():
            bundle(f"{name}.tar.gz", token(name.upper(), sign, {"scope": "write"}))
        # As `opa build` writes names.
        bundle("slashes.tar.gz", token("RS256", signers["rs256"], {}), prefix="/")


main()
