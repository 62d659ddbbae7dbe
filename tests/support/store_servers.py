"""Local servers of stores, each with a bucket: S3 (moto), Azure (Azurite), GCS (gcp-storage-emulator), SFTP (asyncssh).

``names`` and ``read`` use another client than the transfers, or the disk below the server.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import sys
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from databases import skip_or_fail
from http_servers import HttpServer
from server_process import free_port, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
AZURITE = ROOT / ".cache" / "node" / "node_modules" / ".bin" / "azurite-blob"


class Server:
    """A server with an empty bucket, until the end of ``with``.

    ``scheme`` and ``bucket`` begin the URLs of its files. The methods that return Airflow connections take the port of
    the server, or of a proxy in front of it.
    """

    scheme: ClassVar[str]
    bucket = "bucket"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._stack = ExitStack()

    def start(self) -> None:
        raise NotImplementedError

    def connection(self, port: int) -> dict[str, Any]:
        raise NotImplementedError

    @contextmanager
    def refused_connection(self) -> Iterator[dict[str, Any]]:
        """Yield a connection that may not write to the bucket."""
        raise NotImplementedError
        yield

    def missing_bucket(self) -> str:
        """Return the URL of a file whose bucket does not exist."""
        return f"{self.scheme}://no-such-bucket/day.csv"

    def names(self) -> list[str]:
        raise NotImplementedError

    def read(self, key: str) -> bytes:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with self._stack as stack:
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_process(self, *command: str, **env: str) -> None:
        self._stack.enter_context(server_process(self.port, self.folder, command, env))


class S3(Server):
    """Amazon S3."""

    scheme = "s3"

    def start(self) -> None:
        self._start_process(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port))
        self._client("s3").create_bucket(Bucket=self.bucket)

    def connection(self, port: int) -> dict[str, Any]:
        extra = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
        return {"conn_type": "aws", "login": "test", "password": "test-secret", "extra": extra}

    @contextmanager
    def refused_connection(self) -> Iterator[dict[str, Any]]:
        self._client("iam").create_user(UserName="reader")
        key = self._client("iam").create_access_key(UserName="reader")["AccessKey"]
        # From now on, the server checks the user's policies. There are none.
        requests.post(f"{self.url}/moto-api/reset-auth", data="0", timeout=30)
        yield self.connection(self.port) | {"login": key["AccessKeyId"], "password": key["SecretAccessKey"]}
        requests.post(f"{self.url}/moto-api/reset-auth", data="inf", timeout=30)

    def names(self) -> list[str]:
        found = self._client("s3").list_objects_v2(Bucket=self.bucket)
        return [item["Key"] for item in found.get("Contents", [])]

    def read(self, key: str) -> bytes:
        content: bytes = self._client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def _client(self, service: str) -> Any:
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test-secret"}
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **keys)


class Azure(Server):
    """Azure Blob Storage."""

    scheme = "abfs"

    _account, _key = "angus", base64.b64encode(b"the key of a test account").decode()

    def start(self) -> None:
        if not AZURITE.exists() or not shutil.which("node"):
            skip_or_fail("node", "Azurite is not installed. Install Node.js and npm, and run make stores")
        options = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
        account = f"{self._account}:{self._key}"
        self._start_process(str(AZURITE), "--blobPort", str(self.port), *options, AZURITE_ACCOUNTS=account)
        self._container.create_container()

    def connection(self, port: int) -> dict[str, Any]:
        return self._connection(port, f"AccountName={self._account};AccountKey={self._key}")

    @contextmanager
    def refused_connection(self) -> Iterator[dict[str, Any]]:
        from azure.storage.blob import ContainerSasPermissions, generate_container_sas

        token = generate_container_sas(
            self._account,
            self.bucket,
            self._key,
            permission=ContainerSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        yield self._connection(self.port, f"SharedAccessSignature={token}")

    def names(self) -> list[str]:
        return list(self._container.list_blob_names())

    def read(self, key: str) -> bytes:
        content: bytes = self._container.download_blob(key).readall()
        return content

    def _connection(self, port: int, credentials: str) -> dict[str, Any]:
        endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/{self._account}"
        text = f"DefaultEndpointsProtocol=http;{endpoint};{credentials}"
        return {"conn_type": "wasb", "extra": {"connection_string": text}}

    @property
    def _container(self) -> Any:
        from azure.storage.blob import ContainerClient

        text = self.connection(self.port)["extra"]["connection_string"]
        return ContainerClient.from_connection_string(text, self.bucket)


class Gcs(Server):
    """Google Cloud Storage. A local server issues tokens, so that no client looks for a metadata server."""

    scheme = "gs"

    def start(self) -> None:
        command = (sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--in-memory")
        self._start_process(*command, "--port", str(self.port), "--default-bucket", self.bucket)
        token = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
        self._tokens = self._stack.enter_context(HttpServer(lambda exchange: exchange.send(token)))
        key = rsa.generate_private_key(65537, 2048)
        plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._key = key.private_bytes(*plain).decode()

    def connection(self, port: int) -> dict[str, Any]:
        account = {
            "type": "service_account",
            "project_id": "test",
            "private_key_id": "1",
            "private_key": self._key,
            "client_email": "test@test.iam.gserviceaccount.com",
            "token_uri": self._tokens.url,
        }
        extra = {"keyfile_dict": account, "project": "test", "gcs.endpoint": f"http://127.0.0.1:{port}"}
        return {"conn_type": "google_cloud_platform", "extra": extra}

    @contextmanager
    def refused_connection(self) -> Iterator[dict[str, Any]]:
        # The emulator knows no permissions.
        with HttpServer(_refuse) as refusing:
            yield self.connection(refusing.port)

    def names(self) -> list[str]:
        found = requests.get(f"{self.url}/storage/v1/b/{self.bucket}/o", timeout=30).json()
        return [item["name"] for item in found.get("items", [])]

    def read(self, key: str) -> bytes:
        name = quote(key, safe="")
        return requests.get(f"{self.url}/storage/v1/b/{self.bucket}/o/{name}?alt=media", timeout=30).content


def _refuse(exchange: Any) -> None:
    """Respond as the vendor's documentation shows it."""
    message = "test@test.iam.gserviceaccount.com does not have storage.objects.create access to the object."
    reason = {"domain": "global", "message": message, "reason": "forbidden"}
    exchange.send({"error": {"code": 403, "message": message, "errors": [reason]}}, 403)


class Sftp(Server):
    """An SFTP server with an empty folder. The user ``reader`` may not write.

    The connection selects the server, not the host in the URL.
    """

    scheme = "sftp"
    bucket = "host/upload"
    _upload: Path

    def start(self) -> None:
        import asyncssh

        # It would log the end of connections after pytest has closed its log.
        asyncssh.set_log_level("WARNING")
        self._upload = self.folder / "upload"
        self._upload.mkdir()
        loop = asyncio.new_event_loop()
        key = asyncssh.generate_private_key("ssh-ed25519")
        served = asyncssh.listen(
            "127.0.0.1", self.port, server_factory=_login, server_host_keys=[key], sftp_factory=_sftp(self.folder)
        )
        acceptor = loop.run_until_complete(served)
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        def stop() -> None:
            loop.call_soon_threadsafe(acceptor.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

        self._stack.callback(stop)

    def connection(self, port: int, login: str = "writer") -> dict[str, Any]:
        extra = {"no_host_key_check": "true"}
        return {
            "conn_type": "sftp",
            "host": "127.0.0.1",
            "port": port,
            "login": login,
            "password": "secret",
            "extra": extra,
        }

    @contextmanager
    def refused_connection(self) -> Iterator[dict[str, Any]]:
        yield self.connection(self.port, "reader")

    def missing_bucket(self) -> str:
        """Return the URL of a file below another file. Missing folders are created."""
        (self._upload / "file").touch()
        return f"{self.scheme}://{self.bucket}/file/day.csv"

    def names(self) -> list[str]:
        return sorted(path.name for path in self._upload.iterdir())

    def read(self, key: str) -> bytes:
        return (self._upload / key).read_bytes()


def _login() -> Any:
    import asyncssh

    class Login(asyncssh.SSHServer):
        def validate_password(self, username: str, password: str) -> bool:
            return username in {"reader", "writer"} and password == "secret"

        def password_auth_supported(self) -> bool:
            return True

    return Login()


def _sftp(folder: Path) -> Any:
    import asyncssh

    class Files(asyncssh.SFTPServer):
        def __init__(self, channel: Any) -> None:
            super().__init__(channel, chroot=str(folder))

        def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
            if pflags & asyncssh.FXF_WRITE and self.channel.get_extra_info("username") == "reader":
                raise asyncssh.SFTPPermissionDenied("Permission denied")
            return super().open(path, pflags, attrs)

    return Files


SERVERS: dict[str, type[Server]] = {"s3": S3, "azure": Azure, "gcs": Gcs, "sftp": Sftp}
