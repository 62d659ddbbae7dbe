"""Classify the errors of disks and stores: a retry may help, or the path stays wrong.

fsspec's file systems raise OSErrors and the errors of their client libraries, which share no base class. So the HTTP
status, the code of the store and the names of classes decide.
"""

from __future__ import annotations

import errno
import re

from airflow_provider_angus.exceptions import AngusError, AngusStorageError, AngusTargetError

ErrorClass = type[AngusError]

# EINVAL is missing: s3fs raises it also for incomplete bodies. ENOENT on a disk may be a mount that is away.
_STAYS_WRONG = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP),
}
_OS_ERRORS = (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError)

# 401, 403 and 404.
_STATUSES = {401, 403, 404}

# S3 responds with 400 to some wrong requests, but also to time-outs.
_S3_CODES = {"InvalidBucketName", "InvalidToken", "AuthorizationHeaderMalformed", "PermanentRedirect"}

# botocore, google-auth, Azure, paramiko and asyncssh: no or wrong credentials or host keys.
_CLASSES = {
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "NoRegionError", "ParamValidationError"),
    *("DefaultCredentialsError", "ClientAuthenticationError", "CredentialUnavailableError"),
    *("AuthenticationException", "BadHostKeyException", "PermissionDenied", "HostKeyNotVerifiable"),
    *("SFTPPermissionDenied", "SFTPNoSuchFile", "SFTPNoSuchPath", "SSLCertVerificationError"),
    *("ImportError", "NotImplementedError"),
}

# gcsfs raises a plain OSError for 403, asyncssh a plain failure for a file instead of a folder.
_WRONG_MESSAGE = re.compile(r"^Forbidden: |certificate.verify.failed|is (not )?a directory$", re.IGNORECASE)

# Google limits rates with 403. A new session gets a new token.
_PASSES = re.compile(r"rateLimitExceeded|quotaExceeded|SlowDown|ExpiredToken|[Tt]oken .*expired")


def classify_disk(error: OSError) -> ErrorClass:
    """Return the class of our error for an error of a local disk."""
    wrong = error.errno in _STAYS_WRONG or isinstance(error, _OS_ERRORS)
    return AngusTargetError if wrong else AngusStorageError


def classify_store(error: BaseException) -> ErrorClass:
    """Return the class of our error for an error of a store's file system, or of the client library below it."""
    causes = [error] if error.__cause__ is None else [error, error.__cause__]
    if any(_PASSES.search(f"{_code(each)} {each}") for each in causes):
        return AngusStorageError
    return AngusTargetError if any(map(_stays_wrong, causes)) else AngusStorageError


def _stays_wrong(error: BaseException) -> bool:
    if isinstance(error, OSError) and classify_disk(error) is AngusTargetError:
        return True
    # A subclass of ValueError may be a response that is not JSON.
    if isinstance(error, FileNotFoundError) or type(error) is ValueError:
        return True
    if _CLASSES & {kind.__name__ for kind in type(error).__mro__}:
        return True
    return _status(error) in _STATUSES or _code(error) in _S3_CODES or bool(_WRONG_MESSAGE.search(str(error)))


def _status(error: BaseException) -> object:
    """Return the HTTP status in an error of aiohttp, requests, botocore, gcsfs, Azure, OSS or OCI."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    found = [str(getattr(error, name, None)) for name in ("status_code", "status", "code")]
    found.append(str(getattr(response, "status_code", None)))
    return next((int(status) for status in found if status.isdecimal()), None)


def _code(error: BaseException) -> object:
    """Return the code in an error of botocore."""
    response = getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
