"""What tells programs inside about the proxy and its certificates: each has a variable of its own for it."""

from collections.abc import Mapping

INSIDE = "/opt/pullwright/certificates.pem"
INSIDE_JAVA = "/opt/pullwright/certificates.p12"
INSIDE_WGET = "/opt/pullwright/wgetrc"
JAVA_PASSWORD = "pullwright"  # noqa: S105 - Java wants one; the file holds public certificates

_LOCAL = "localhost,127.0.0.1,::1"
_BUNDLES = (
    "SSL_CERT_FILE",  # OpenSSL: Python, Ruby, curl, Go, uv and others
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",  # where a machine's npmrc names another file, npm reads only that
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
    "DENO_CERT",
    "YARN_HTTPS_CA_FILE_PATH",
    "BUNDLE_SSL_CA_CERT",
    "NIX_SSL_CERT_FILE",
)


def proxy_variables(port: int) -> dict[str, str]:
    """Where the proxy is, for whatever runs inside."""
    address = f"http://127.0.0.1:{port}"
    found = {"NODE_USE_ENV_PROXY": "1"}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        found |= {name: address, name.upper(): address}
    found |= {"no_proxy": _LOCAL, "NO_PROXY": _LOCAL}
    found |= {"YARN_HTTP_PROXY": address, "YARN_HTTPS_PROXY": address}
    return found


def certificate_variables(bundle: str) -> dict[str, str]:
    """Whom to trust, for whatever brings certificates of its own."""
    return dict.fromkeys(_BUNDLES, bundle) | {"UV_SYSTEM_CERTS": "1", "DENO_TLS_CA_STORE": "system"}


def java_variables(port: int, *, store: bool) -> Mapping[str, str]:
    """The JVM reads neither of the above; Maven takes the properties only when told to."""
    words = [f"-D{scheme}.proxyHost=127.0.0.1 -D{scheme}.proxyPort={port}" for scheme in ("http", "https")]
    words += ["-Dhttp.nonProxyHosts=localhost|127.*|[::1]", "-Daether.connector.http.useSystemProperties=true"]
    if store:
        words += [
            f"-Djavax.net.ssl.trustStore={INSIDE_JAVA}",
            "-Djavax.net.ssl.trustStoreType=PKCS12",
            f"-Djavax.net.ssl.trustStorePassword={JAVA_PASSWORD}",
        ]
    return {"JAVA_TOOL_OPTIONS": " ".join(words)}
