"""Combinations of environment and connection, by name: the certificates and the proxy that must apply."""

from __future__ import annotations

from importlib.util import find_spec

from network_lab import REFUSALS, NetworkCase

from airflow_provider_angus.exceptions import AngusAuthError, AngusUnavailableError

CA, OTHER, FOLDER = "{ca}", "{other_ca}", "{ca_folder}"
TRUSTED = {"verify": CA}
REQUESTS, CURL, FILE, DIR = "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"


def refused(env: dict[str, str] | None = None, verify: object = None) -> NetworkCase:
    """Return a case in which the server's certificate is not trusted, or the CA certificates are unusable."""
    return NetworkCase(env or {}, {"verify": verify}, AngusAuthError, ())


def accepted(env: dict[str, str] | None = None, verify: object = None) -> NetworkCase:
    return NetworkCase(env or {}, {"verify": verify})


CERTIFICATES: dict[str, NetworkCase] = {
    "no setting": refused(),
    "verify=true": refused(verify="true"),
    "verify=false": accepted(verify="false"),
    "verify=file": accepted(verify=CA),
    "verify=folder": accepted(verify=FOLDER),
    "verify=other file": refused(verify=OTHER),
    "verify=other folder": refused(verify="{other_folder}"),
    "verify=empty folder": refused(verify="{empty_folder}"),
    "verify=missing": refused(verify="{missing}"),
    "verify=not PEM": refused(verify="{text}"),
    "verify=empty file": refused(verify="{empty}"),
    **{f"{name}=file": accepted({name: CA}) for name in (REQUESTS, CURL, FILE, DIR)},
    **{f"{name}=folder": accepted({name: FOLDER}) for name in (REQUESTS, CURL, FILE, DIR)},
    **{f"{name}=other file": refused({name: OTHER}) for name in (REQUESTS, CURL, FILE)},
    **{f"{name}=missing": refused({name: "{missing}"}) for name in (REQUESTS, CURL, FILE, DIR)},
    **{f"{name} empty": refused({name: ""}) for name in (REQUESTS, CURL, FILE, DIR)},
    f"{REQUESTS}=not PEM": refused({REQUESTS: "{text}"}),
    f"{DIR}=two folders": accepted({DIR: "{empty_folder}:{ca_folder}"}),
    f"{DIR}=missing and folder": accepted({DIR: "{missing}:{ca_folder}"}),
    f"{REQUESTS} before {CURL}": accepted({REQUESTS: CA, CURL: OTHER}),
    f"{REQUESTS} before {CURL}, other": refused({REQUESTS: OTHER, CURL: CA}),
    f"{CURL} before {FILE}": accepted({CURL: CA, FILE: OTHER}),
    f"{CURL} before {FILE}, other": refused({CURL: OTHER, FILE: CA}),
    f"{FILE} before {DIR}": accepted({FILE: CA, DIR: "{other_folder}"}),
    f"{FILE} before {DIR}, other": refused({FILE: OTHER, DIR: FOLDER}),
    f"{REQUESTS} empty, {CURL}=file": accepted({REQUESTS: "", CURL: CA}),
    "three empty, SSL_CERT_DIR=folder": accepted({REQUESTS: "", CURL: "", FILE: "", DIR: FOLDER}),
    "verify=true, environment=file": accepted({REQUESTS: CA}, "true"),
    "verify=file, environment=other": accepted(dict.fromkeys((REQUESTS, CURL, FILE), OTHER), CA),
    "verify=file, environment=missing": accepted(dict.fromkeys((REQUESTS, CURL, FILE), "{missing}"), CA),
    "verify=other, environment=file": refused(dict.fromkeys((REQUESTS, CURL, FILE), CA), OTHER),
    "verify=false, environment=missing": accepted(dict.fromkeys((REQUESTS, CURL, FILE), "{missing}"), "false"),
    "certificates unused for http": NetworkCase({REQUESTS: "{missing}"}, {}, None, ("plain",), "{plain}"),
}


def through(name: str, /, env: dict[str, str] | None = None, **extra: str) -> NetworkCase:
    return NetworkCase(env or {}, TRUSTED | extra, None, ("server", name))


def direct(env: dict[str, str], **extra: str) -> NetworkCase:
    return NetworkCase(env, TRUSTED | extra)


def plain(env: dict[str, str], *names: str, **extra: str) -> NetworkCase:
    return NetworkCase(env, extra, None, ("plain", *names), "{plain}")


HTTPS = {"HTTPS_PROXY": "{proxy}"}
PROXIES: dict[str, NetworkCase] = {
    "proxy": through("proxy", proxy="{proxy}"),
    "proxy without scheme": through("proxy", proxy="127.0.0.1:{proxy_port}"),
    "proxy with password": through("proxy", proxy="http://me:p%2Fassword@127.0.0.1:{proxy_port}"),
    "proxy with password, not Latin-1": through("proxy", proxy="http://me:p%E2%82%AC@127.0.0.1:{proxy_port}"),
    "https proxy": through("tls_proxy", proxy="{tls_proxy}"),
    "proxy wins over HTTPS_PROXY": through("proxy", {"HTTPS_PROXY": "{closed}"}, proxy="{proxy}"),
    "proxy wins over NO_PROXY": through("proxy", {"NO_PROXY": "*"}, proxy="{proxy}"),
    **{f"{name}": through("proxy", {name: "{proxy}"}) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")},
    "HTTPS_PROXY without scheme": through("proxy", {"HTTPS_PROXY": "127.0.0.1:{proxy_port}"}),
    "HTTPS_PROXY of type https": through("tls_proxy", {"HTTPS_PROXY": "{tls_proxy}"}),
    "HTTPS_PROXY wins over ALL_PROXY": through("proxy", HTTPS | {"ALL_PROXY": "{closed}"}),
    "https_proxy wins over HTTPS_PROXY": through("proxy", {"https_proxy": "{proxy}", "HTTPS_PROXY": "{other_proxy}"}),
    "HTTP_PROXY is not for https": direct({"HTTP_PROXY": "{closed}"}),
    "HTTPS_PROXY empty": direct({"HTTPS_PROXY": ""}),
    **{
        f"NO_PROXY={entry}": direct(HTTPS | {"NO_PROXY": entry})
        for entry in ("127.0.0.1", "127.0.0.0/8", "127.0.0.1:{server_port}", "*", "a.example, 127.0.0.1", "0.0.0.0/0")
    },
    "no_proxy=127.0.0.0/8": direct(HTTPS | {"no_proxy": "127.0.0.0/8"}),
    "no_proxy empty, NO_PROXY": direct(HTTPS | {"no_proxy": "", "NO_PROXY": "127.0.0.1"}),
    "NO_PROXY before ALL_PROXY": direct({"ALL_PROXY": "{closed}", "NO_PROXY": "127.0.0.0/8"}),
    **{
        f"NO_PROXY={entry}, another": through("proxy", HTTPS | {"NO_PROXY": entry})
        for entry in ("127.0.0.1:1", "10.0.0.0/8", "localhost", "fd00::/8", "")
    },
    "NO_PROXY=localhost": NetworkCase(
        HTTPS | {"NO_PROXY": "LOCALHOST"}, TRUSTED, None, ("server",), "https://localhost:{server_port}"
    ),
    "certificates of the environment for an https proxy": NetworkCase(
        {"HTTPS_PROXY": "{tls_proxy}", CURL: CA}, {}, None, ("server", "tls_proxy")
    ),
    "verify=folder for an https proxy": through("tls_proxy", proxy="{tls_proxy}", verify=FOLDER),
    "verify=false for an https proxy": through("tls_proxy", proxy="{tls_proxy}", verify="false"),
    "http": plain({}),
    "http, proxy": plain({}, "proxy", proxy="{proxy}"),
    "http, proxy with password": plain({}, "proxy", proxy="http://me:secret@127.0.0.1:{proxy_port}"),
    "http, https proxy": plain({}, "tls_proxy", proxy="{tls_proxy}", verify=CA),
    **{f"http, {name}": plain({name: "{proxy}"}, "proxy") for name in ("HTTP_PROXY", "http_proxy", "all_proxy")},
    "http, HTTPS_PROXY is not for http": plain({"HTTPS_PROXY": "{closed}"}),
    "http, NO_PROXY": plain({"HTTP_PROXY": "{closed}", "NO_PROXY": "127.0.0.0/8"}),
    "http, remote HTTP_PROXY": plain({"HTTP_PROXY": "http://proxy.invalid:3128"}),
    "http, remote ALL_PROXY": plain({"ALL_PROXY": "http://proxy.invalid:3128"}),
    "dot of the DNS root": NetworkCase({}, TRUSTED, None, ("server",), "https://localhost.:{server_port}"),
}


def fails(url: str = "{server}", *route: str, env: dict[str, str] | None = None, **extra: object) -> NetworkCase:
    return NetworkCase(env or {}, extra, AngusAuthError, route, url)


def retried(url: str = "{server}", *route: str, env: dict[str, str] | None = None, **extra: object) -> NetworkCase:
    return NetworkCase(env or {}, extra, AngusUnavailableError, route, url)


INVALID_PROXIES = {
    "scheme": "ftp://me:hunter2@127.0.0.1",
    "unknown scheme": "gopher9://127.0.0.1",
    "port": "http://me:hunter2@127.0.0.1:port",
    "large port": "http://me:hunter2@127.0.0.1:99999",
    "slash": "http://me:22/hunter2@127.0.0.1:3128",
    "no host": "http://me:hunter2@",
    "invalid host": "http://me:hunter2@proxy..example",
    "SOCKS 4": "socks4://127.0.0.1:1080",
}
INVALID_HOSTS = {
    "two dots": "console..example",
    "long label": f"{'a' * 64}.example",
    "long name": ".".join(["abcdefg"] * 40),
    "punycode": "xn--a.invalid",
    "IPv4": "127.0.0.256",
    "IPv6": "[::g]",
    "space": "my host.example",
    "percent": "my%20host.example",
    "port of letters": "127.0.0.1:port",
    "large port": "127.0.0.1:99999",
    "port 0": "127.0.0.1:0",
}
NO_SOCKS = not (find_spec("socks") and find_spec("socksio"))
RETRIED_REFUSALS = {408, 429, 500, 502, 503, 504}

#: Errors of TLS, hosts, URLs and proxies.
ERRORS: dict[str, NetworkCase] = {
    "untrusted certificate": fails(verify=OTHER),
    "expired certificate": fails("{expired}", verify="{expired_ca}"),
    "certificate not yet valid": retried("{future}", verify="{future_ca}"),
    "certificate of another host": fails("{elsewhere}", verify="{elsewhere_ca}"),
    "certificate of another host, proxy": fails("{elsewhere}", "proxy", verify="{elsewhere_ca}", proxy="{proxy}"),
    "untrusted certificate, proxy": fails("{server}", "proxy", proxy="{proxy}"),
    "expired certificate, https proxy": fails("{expired}", "tls_proxy", proxy="{tls_proxy}", verify=CA),
    "untrusted https proxy": fails(proxy="{tls_proxy}", verify=OTHER),
    "untrusted https proxy of the environment": fails(env={"HTTPS_PROXY": "{tls_proxy}", FILE: OTHER}),
    "untrusted https proxy, http": fails("{plain}", proxy="{tls_proxy}", verify=OTHER),
    "expired https proxy": fails(proxy="{expired_tls_proxy}", verify="{expired_ca}"),
    "handshake closed": retried("https://127.0.0.1:{closing_port}"),
    "handshake reset": retried("https://127.0.0.1:{resetting_port}"),
    "handshake without response": retried("https://127.0.0.1:{silent_port}", timeout=0.2),
    "handshake with HTTP": retried("https://127.0.0.1:{plain_port}"),
    "handshake closed by proxy": retried(proxy="https://127.0.0.1:{closing_port}"),
    "unknown host": retried("https://angus.invalid"),
    "closed port": retried("{closed}"),
    **{f"invalid host: {name}": fails(f"https://{host}") for name, host in INVALID_HOSTS.items()},
    **({"proxy, SOCKS 5 without its packages": fails(proxy="socks5://127.0.0.1:1080")} if NO_SOCKS else {}),
    **{f"invalid proxy: {name}": fails(proxy=url) for name, url in INVALID_PROXIES.items()},
    **{f"invalid HTTPS_PROXY: {name}": fails(env={"HTTPS_PROXY": url}) for name, url in INVALID_PROXIES.items()},
    "invalid ALL_PROXY": fails(env={"ALL_PROXY": INVALID_PROXIES["scheme"]}),
    "invalid HTTP_PROXY, http": fails("{plain}", env={"HTTP_PROXY": INVALID_PROXIES["port"]}),
    "proxy, closed port": retried(proxy="{closed}"),
    "HTTPS_PROXY, closed port": retried(env={"HTTPS_PROXY": "{closed}"}),
    "proxy, unknown host": retried(proxy="http://proxy.invalid:3128"),
    "proxy, tunnel closed": retried(proxy="{closing}"),
    "proxy, tunnel reset": retried(proxy="{resetting}"),
    "proxy, tunnel without response": retried(proxy="{silent}", timeout=0.2),
    **{
        f"proxy, tunnel refused with {status}": (retried if status in RETRIED_REFUSALS else fails)(
            "{server}", f"proxy_{status}", proxy=f"http://me:p%2Fassword@127.0.0.1:{{proxy_{status}_port}}"
        )
        for status in REFUSALS
    },
    "HTTPS_PROXY, tunnel refused with 407": fails("{server}", "proxy_407", env={"HTTPS_PROXY": "{proxy_407}"}),
    "proxy, http request refused with 407": fails("{plain}", "proxy_407", proxy="{proxy_407}"),
    "proxy, http request refused with 503": retried("{plain}", "proxy_503", proxy="{proxy_503}"),
}

#: All cases by name.
NETWORK_CASES = CERTIFICATES | PROXIES | ERRORS
