"""Where the demo's parts are, and with what a caller identifies itself."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tap import Tap

REPOSITORY = Path(__file__).resolve().parents[3]

# The stand-ins' ports, counted from the first (examples/demo/README.md).
PROVIDERS = ("azure-openai", "openai-compatible", "anthropic", "bedrock", "gemini", "vertex")


class Problem(Exception):
    """Something that stops the drive; its text says what to do."""


@dataclass(frozen=True)
class Gateway:
    """Every call goes to one address, with the caller's own token or key."""

    url: str
    tls_url: str
    ca_file: str | None
    # Notes what the SDKs send.
    tap: Tap | None = None

    def url_of(self, provider: str) -> str:
        # boto3 sends bearer tokens over TLS only.
        return self.tls_url if provider == "bedrock" else self.url


@dataclass(frozen=True)
class Direct:
    """Every call goes to the provider itself, with the provider's own key: no gateway."""

    host: str
    base_port: int
    keys: dict[str, str]
    aws_access_key_id: str
    aws_secret_access_key: str
    ca_file: None = None
    tap: Tap | None = None

    def url_of(self, provider: str) -> str:
        return f"http://{self.host}:{self.base_port + PROVIDERS.index(provider)}"


Place = Gateway | Direct


@dataclass
class Tokens:
    """Access tokens of the demo's people, each fetched once."""

    command: Path
    _known: dict[str, str] = field(default_factory=dict)

    def of(self, person: str) -> str:
        if person not in self._known:
            done = subprocess.run(
                [str(self.command), person], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise Problem(done.stderr.strip() or f"{self.command} {person} failed")
            self._known[person] = done.stdout.strip()
        return self._known[person]
