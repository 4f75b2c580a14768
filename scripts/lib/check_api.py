"""Asks every operation of sidecar/openapi.json what schemathesis thinks of, of a sidecar that is
started for it on a database of its own. Ends non-zero if an answer is a server error, has a status or a
body that the description does not have, or if something goes through that the description forbids.

check_api.py SEKISHO [SCHEMATHESIS_ARGUMENT...]
"""

import base64
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
ISSUER = "https://login.example/8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab/v2.0"
TENANT = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab"
AUDIENCE = "api://sekisho"
# The ids that stand in the description as examples.
PEOPLE = """\
user_id,name,email,department,job_title,phone,start_date,end_date,status,object_id
001,山田太郎,taro@example.com,sales,manager,,2023/04/01,,active,00000000-0000-4000-8000-000000000001
002,鈴木花子,hanako@example.com,hr,,,2023/04/01,,active,00000000-0000-4000-8000-000000000002
"""


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


def signing_key(folder: pathlib.Path) -> tuple[pathlib.Path, dict]:
    """A private key, and the public one as a JWK."""
    key = folder / "key.pem"
    openssl("genrsa", "-out", str(key), "2048")
    modulus = openssl("rsa", "-in", str(key), "-noout", "-modulus").decode().strip().split("=")[1]
    jwk = {"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "e": "AQAB"}
    return key, jwk | {"n": encoded(bytes.fromhex(modulus))}


def token(key: pathlib.Path) -> str:
    """An application's, so that nobody can disable its person on the way."""
    now = int(time.time())
    claims = {
        "iss": ISSUER, "tid": TENANT, "aud": AUDIENCE, "oid": "00000000-0000-4000-8000-0000000000ff",
        "idtyp": "app", "roles": ["Sekisho.Administrator"], "iat": now, "nbf": now, "exp": now + 3600,
    }
    head = {"alg": "RS256", "typ": "JWT", "kid": "k"}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    return text + "." + encoded(openssl("dgst", "-sha256", "-sign", str(key), stdin=text.encode()))


def policy(jwk: dict) -> dict:
    return {
        "version": 1, "organisation": "Example", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all_apis": None, "text_apis": "all_apis"},
        "issuers": [{"issuer": ISSUER, "tenant": TENANT, "audiences": [AUDIENCE], "jwks": {"keys": [jwk]}}],
        "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example"}],
        "apis": [{"name": "azure", "provider": "azure_openai", "operations": ["chat_completions"],
                  "scope": "text_apis", "models": [{"name": "gpt-4o", "upstream": "azure"}]}],
        "departments": [{"id": "sales", "name": "営業部"}, {"id": "hr", "name": "人事部"}],
        "titles": [{"id": "manager", "name": "課長", "entitlements": ["text_apis"]}],
        "budgets": [{"id": "sales-cost", "department": "sales", "meter": "cost", "window": "month",
                     "limit": "50000"}],
        "prices": [{"model": "gpt-4o", "from": "2024-10-01", "input_per_million": 375,
                    "output_per_million": 1500}],
        "people": {"tenant": TENANT, "plain_csv": True},
        "push": {"contact": "mailto:operations@example.com"},
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_active(sidecar: subprocess.Popen, url: str, log: pathlib.Path) -> None:
    for _ in range(600):
        if sidecar.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/v1/system/health", timeout=2) as answer:
                if json.load(answer)["status"] == "ok":
                    return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.1)
    sys.exit(f"the sidecar is not ready:\n{log.read_text()[-4000:]}")


def main() -> int:
    sekisho, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        key, jwk = signing_key(folder)
        (folder / "sekisho.yaml").write_text(json.dumps(policy(jwk), ensure_ascii=False))
        (folder / "people.csv").write_text(PEOPLE)
        common = ["--policy", str(folder / "sekisho.yaml"), "--db", f"sqlite:{folder / 'sekisho.db'}"]
        subprocess.run([sekisho, "users", "import", str(folder / "people.csv"), *common], check=True,
                       stdout=subprocess.DEVNULL)
        port, link = free_port(), free_port()
        url, log = f"http://127.0.0.1:{port}", folder / "sidecar.log"
        with log.open("wb") as output:
            sidecar = subprocess.Popen(
                [sekisho, "serve", *common, "--state", str(folder / "state"), "--api", f"127.0.0.1:{port}",
                 "--link", f"127.0.0.1:{link}", "--reserve", "0"], stdout=output, stderr=output)
        try:
            wait_until_active(sidecar, url, log)
            # The program beside this Python.
            schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")
            status = subprocess.run(
                [schemathesis, "--config-file", str(ROOT / "scripts/lib/schemathesis.toml"), "run",
                 str(ROOT / "sidecar/openapi.json"), "--url", url, "-H", f"Authorization: Bearer {token(key)}",
                 *arguments], cwd=folder).returncode
            if sidecar.poll() is not None:
                print("the sidecar has ended", file=sys.stderr)
                status = 1
            if status != 0:
                failed = re.compile(r"ERROR|panicked")
                lines = log.read_text(errors="replace").splitlines()
                print("\n".join(line for line in lines if failed.search(line))[-4000:], file=sys.stderr)
            return status
        finally:
            sidecar.terminate()
            sidecar.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
