"""Where a model is: the URL of its endpoint, the key, the headers, and which certificates are trusted."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from docendo import __version__
from docendo.errors import ConfigError
from docendo.models.spec import ModelSpec

OPENAI = "https://api.openai.com/v1"
AZURE_VERSION = "2024-10-21"

Path = Literal["chat/completions", "completions"]


@dataclass(frozen=True, slots=True)
class Address:
    """One model's place.

    `base` is the endpoint that models share, `root` what paths are put behind, `query` what follows them.
    `model` is the name in requests. `headers` hold the key; `secret` is the key itself, and `key_env` the variable that
    it came from. `filled` is what other headers were filled with: like the key, to be kept out of messages.
    """

    base: str
    root: str
    query: str
    model: str
    headers: dict[str, str]
    secret: str | None
    key_env: str
    filled: tuple[str, ...] = ()

    def url(self, path: Path) -> str:
        """The URL that requests of a kind go to."""
        return f"{self.root}/{path}{self.query}"

    @property
    def shown(self) -> str:
        """The endpoint without what may be secret in it: user, password and query."""
        parts = urlsplit(self.base)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def hidden(self, text: str) -> str:
        """`text` without the key, and without what other headers were filled with."""
        for secret in sorted(filter(None, (self.secret, *self.filled)), key=len, reverse=True):
            text = text.replace(secret, "…") if len(secret) > 3 else text
        return text


def address_of(spec: ModelSpec) -> Address:
    """Where the model of a specification is.

    `openai:NAME`: `base_url`, else OPENAI_BASE_URL, else OpenAI's own; the key from `key_env`, else
    OPENAI_API_KEY, which an endpoint other than OpenAI's may do without. `azure:DEPLOYMENT`: `base_url`, else
    AZURE_OPENAI_ENDPOINT; the key from `key_env`, else AZURE_OPENAI_API_KEY; the version from `api_version`, else
    OPENAI_API_VERSION. An Azure address that ends in `/v1` is spoken to as one of OpenAI's, without a version.

    Raises:
        ConfigError: no address, or no key where one is needed; says which variable to set.
    """
    kind, model = spec.kind, spec.target
    if kind not in ("openai", "azure"):
        raise ConfigError(f"model {spec.label!r}: endpoints are named openai:MODEL or azure:DEPLOYMENT")
    base = spec.base_url or os.environ.get(
        "OPENAI_BASE_URL" if kind == "openai" else "AZURE_OPENAI_ENDPOINT", ""
    )
    if not base:
        if kind == "azure":
            raise ConfigError(
                f"model {spec.label!r}: where is it? Set base_url, or AZURE_OPENAI_ENDPOINT, to the resource's "
                "address (https://NAME.openai.azure.com)"
            )
        base = OPENAI
    base = base.strip().rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ConfigError(f"model {spec.label!r}: base_url {base!r} should begin with http:// or https://")
    key_env = spec.key_env or ("OPENAI_API_KEY" if kind == "openai" else "AZURE_OPENAI_API_KEY")
    key = os.environ.get(key_env, "").strip() or None
    if key is None and (spec.key_env or kind == "azure" or base == OPENAI):
        own = "; a server of your own is named by base_url (--base-url)" if base == OPENAI else ""
        raise ConfigError(
            f"model {spec.label!r}: the environment variable {key_env} is not set; it should hold the key for "
            f"{base}{own}"
        )
    headers = {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": f"docendo/{__version__}",
    }
    if key is not None and not key.isascii():
        raise ConfigError(f"model {spec.label!r}: the key in {key_env} has characters that no key has")
    if key is not None:
        headers |= {"api-key": key} if kind == "azure" else {"authorization": f"Bearer {key}"}
    headers |= {name.lower(): value for name, value in spec.sent_headers().items()}
    root, query = base, ""
    if kind == "azure" and not base.endswith("/v1"):
        version = spec.api_version or os.environ.get("OPENAI_API_VERSION") or AZURE_VERSION
        root, query = f"{base}/openai/deployments/{model}", f"?api-version={version}"
    filled = tuple(os.environ[name].strip() for name in spec.variables)
    return Address(base, root, query, model, headers, key, key_env, filled)


def identity(spec: ModelSpec) -> str:
    """A digest of all in a specification that decides what a request means: replies are only good under it.

    How the model is reached is not in it (`spec.REACH`), so that a server may move between two sessions of a run, and
    what is sampled is in each call.
    """
    return _digest([spec.model, spec.mode, spec.body])


def identity_before(spec: ModelSpec) -> str:
    """What `identity` was in stores of version 5, when an address that was written down was in it."""
    return _digest([spec.model, spec.base_url, spec.api_version, spec.mode, spec.body])


def _digest(said: list[object]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def trust(base: str) -> ssl.SSLContext:
    """The certificates to trust: the system's or SSL_CERT_FILE's; where there are none, certifi's if installed."""
    if not base.startswith("https://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused: reading the system's takes its time
    context = ssl.create_default_context()
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if not named and not context.cert_store_stats()["x509_ca"] and not _has_folder():
        try:
            import certifi
        except ImportError:
            return context  # what to do about it is said when a certificate cannot be verified
        context.load_verify_locations(cafile=certifi.where())
    return context


def _has_folder() -> bool:
    """Whether there is a folder of certificates, which OpenSSL only reads when it needs one."""
    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(os.scandir(folder))
