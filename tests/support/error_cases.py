"""The errors of databases, stores and disks, each with the class of our error: the table of the documentation.

The classes of client libraries that are not installed here have the attributes of the originals.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import Any, NamedTuple

from airflow_provider_angus.exceptions import AngusError, AngusRowError, AngusStorageError, AngusTargetError


class Case(NamedTuple):
    """An error of a target, and our error for it.

    ``kind`` is ``sql``, ``store`` or ``disk``. ``conn_type`` is the type of the database's connection.
    """

    name: str
    kind: str
    error: Exception
    expected: type[AngusError]
    conn_type: str = "other"


def _library(*names: str, base: type[Exception] = Exception) -> type[Any]:
    """Return the last of several exception classes, each derived from the one before."""
    for name in names:
        base = type(name, (base,), {})
    return base


def _with(error: Exception, **attributes: Any) -> Exception:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _sqlite(kind: type[Exception], message: str, code: int) -> Exception:
    return _with(kind(message), sqlite_errorcode=code)


DatabaseError = _library("Error", "DatabaseError")
ProgrammingError = _library("ProgrammingError", base=DatabaseError)
NotSupportedError = _library("NotSupportedError", base=DatabaseError)
DataError = _library("DataError", base=DatabaseError)
IntegrityError = _library("IntegrityError", base=DatabaseError)
InternalError = _library("InternalError", base=DatabaseError)
OperationalError = _library("OperationalError", base=DatabaseError)
InterfaceError = _library("Error", "InterfaceError")

_PEP_249 = [
    Case(f"PEP 249 {kind.__name__}", "sql", kind("refused"), expected)
    for kind, expected in [
        (ProgrammingError, AngusTargetError),
        (NotSupportedError, AngusTargetError),
        (DataError, AngusRowError),
        (IntegrityError, AngusRowError),
        (OperationalError, AngusStorageError),
        (InternalError, AngusStorageError),
        (InterfaceError, AngusStorageError),
        (DatabaseError, AngusStorageError),
    ]
]

_SQLSTATE = [
    Case(f"SQLSTATE {state} ({attribute})", "sql", _with(kind("refused"), **{attribute: state}), expected)
    for state, kind, expected in [
        ("08006", OperationalError, AngusStorageError),
        ("0A000", NotSupportedError, AngusTargetError),
        ("22001", ProgrammingError, AngusRowError),
        ("22P05", DataError, AngusRowError),
        ("23505", IntegrityError, AngusRowError),
        ("25006", InternalError, AngusStorageError),
        ("28P01", OperationalError, AngusTargetError),
        ("3D000", OperationalError, AngusTargetError),
        ("3F000", ProgrammingError, AngusTargetError),
        ("40001", ProgrammingError, AngusStorageError),
        ("40P01", OperationalError, AngusStorageError),
        ("42501", ProgrammingError, AngusTargetError),
        ("42P01", ProgrammingError, AngusTargetError),
        ("44000", OperationalError, AngusRowError),
        ("53100", OperationalError, AngusStorageError),
        ("53300", OperationalError, AngusStorageError),
        ("54000", OperationalError, AngusRowError),
        ("55000", OperationalError, AngusTargetError),
        ("55P03", OperationalError, AngusStorageError),
        ("57014", ProgrammingError, AngusStorageError),
        ("57P01", OperationalError, AngusStorageError),
        ("P0001", InternalError, AngusRowError),
    ]
    for attribute in ("pgcode", "sqlstate")
]

_ODBC = [
    Case(f"pyodbc {state}", "sql", kind(state, "[ODBC] refused"), expected, "odbc")
    for state, kind, expected in [
        ("28000", InterfaceError, AngusTargetError),
        ("42S02", ProgrammingError, AngusTargetError),
        ("22001", DataError, AngusRowError),
        ("23000", IntegrityError, AngusRowError),
        ("40001", DatabaseError, AngusStorageError),
        ("08S01", OperationalError, AngusStorageError),
        ("HYT00", OperationalError, AngusStorageError),
    ]
]

_MYSQL = [
    Case(f"MySQL {number} ({how})", "sql", error, expected, "mysql")
    for number, kind, expected in [
        (1040, OperationalError, AngusStorageError),
        (1044, OperationalError, AngusTargetError),
        (1045, OperationalError, AngusTargetError),
        (1048, IntegrityError, AngusRowError),
        (1049, OperationalError, AngusTargetError),
        (1054, OperationalError, AngusTargetError),
        (1062, IntegrityError, AngusRowError),
        (1114, OperationalError, AngusStorageError),
        (1142, OperationalError, AngusTargetError),
        (1146, ProgrammingError, AngusTargetError),
        (1203, OperationalError, AngusStorageError),
        (1205, OperationalError, AngusStorageError),
        (1213, OperationalError, AngusStorageError),
        (1264, DataError, AngusRowError),
        (1290, OperationalError, AngusStorageError),
        (1364, OperationalError, AngusRowError),
        (1366, OperationalError, AngusRowError),
        (1406, DataError, AngusRowError),
        (1526, OperationalError, AngusRowError),
        (1698, OperationalError, AngusTargetError),
        (2003, OperationalError, AngusStorageError),
        (2006, OperationalError, AngusStorageError),
        (2013, OperationalError, AngusStorageError),
        (3819, OperationalError, AngusRowError),
        (4025, OperationalError, AngusRowError),
    ]
    for how, error in [
        ("args", kind(number, "refused")),
        ("errno", _with(kind(f"{number} (HY000): refused"), errno=number, sqlstate="HY000")),
    ]
]

_SQLITE = [
    Case(f"SQLite {message}", "sql", _sqlite(kind, message, code), expected, "sqlite")
    for message, kind, code, expected in [
        ("unable to open database file", sqlite3.OperationalError, sqlite3.SQLITE_CANTOPEN, AngusTargetError),
        ("attempt to write a readonly database", sqlite3.OperationalError, 8 | 5 << 8, AngusTargetError),
        ("file is not a database", sqlite3.DatabaseError, sqlite3.SQLITE_NOTADB, AngusTargetError),
        ("database disk image is malformed", sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT, AngusTargetError),
        ("no such column: x", sqlite3.OperationalError, sqlite3.SQLITE_ERROR, AngusTargetError),
        ("NOT NULL constraint failed", sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT_NOTNULL, AngusRowError),
        ("string or blob too big", sqlite3.DataError, sqlite3.SQLITE_TOOBIG, AngusRowError),
        ("database is locked", sqlite3.OperationalError, sqlite3.SQLITE_BUSY, AngusStorageError),
        ("database or disk is full", sqlite3.OperationalError, sqlite3.SQLITE_FULL, AngusStorageError),
        ("disk I/O error", sqlite3.OperationalError, sqlite3.SQLITE_IOERR, AngusStorageError),
    ]
]

_SERVER = 'connection to server at "127.0.0.1", port 5432 failed: '

# Failed connections have no code, nor have the errors of DuckDB.
_MESSAGES = [
    Case(f"message {message[-60:]}", "sql", OperationalError(message), expected)
    for message, expected in [
        (f'{_SERVER}FATAL:  database "nope" does not exist', AngusTargetError),
        (f'{_SERVER}FATAL:  role "nope" does not exist', AngusTargetError),
        (f'{_SERVER}FATAL:  password authentication failed for user "me"', AngusTargetError),
        (f'{_SERVER}FATAL:  no pg_hba.conf entry for host "::1", user "me"', AngusTargetError),
        (f"{_SERVER}fe_sendauth: no password supplied", AngusTargetError),
        (f"{_SERVER}server does not support SSL, but SSL was required", AngusTargetError),
        (f"{_SERVER}SSL error: certificate verify failed", AngusTargetError),
        ('invalid sslmode value: "nope"', AngusTargetError),
        (f"{_SERVER}Connection refused\n\tIs the server running on that host", AngusStorageError),
        (f"{_SERVER}FATAL:  the database system is starting up", AngusStorageError),
        (f"{_SERVER}FATAL:  sorry, too many clients already", AngusStorageError),
        (f"{_SERVER}timeout expired", AngusStorageError),
        ('could not translate host name "db" to address: Name or service not known', AngusStorageError),
        ("server closed the connection unexpectedly", AngusStorageError),
        ("SSL SYSCALL error: EOF detected", AngusStorageError),
        ('IO Error: Cannot open file "/none/x.db": No such file or directory', AngusTargetError),
        ('IO Error: The file "x" exists, but it is not a valid DuckDB database file!', AngusTargetError),
        ('IO Error: Could not set lock on file "x": Conflicting lock is held', AngusStorageError),
        ("TransactionContext Error: Conflict on tuple deletion!", AngusStorageError),
        ("Login failed for user 'me'.", AngusTargetError),
        ('Cannot open database "nope" requested by the login.', AngusTargetError),
        ("String or binary data would be truncated.", AngusRowError),
        ("ORA-01017: invalid username/password; logon denied", AngusTargetError),
        ("ORA-12899: value too large for column", AngusRowError),
        ("Incorrect username or password was specified.", AngusTargetError),
    ]
]

#: Errors of databases while rows are written.
SQL_CASES = [*_PEP_249, *_SQLSTATE, *_ODBC, *_MYSQL, *_SQLITE, *_MESSAGES]

_ClientError = _library("BotoCoreError", "ClientError")


def _boto(code: str, status: int) -> Exception:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return _with(_ClientError(f"An error occurred ({code}) when calling the PutObject operation"), response=response)


def _s3fs(error: Exception, code: str, status: int) -> Exception:
    return _caused(error, _boto(code, status))


_HttpError = _library("HttpError")
_AzureError = _library("AzureError", "HttpResponseError")
_ResponseError = _library("ClientError", "ClientResponseError")
_OssError = _library("OssError", "ServerError")

_S3_CASES = [
    ("S3 NoSuchBucket", _s3fs(FileNotFoundError("The specified bucket does not exist"), "NoSuchBucket", 404), True),
    ("S3 AccessDenied", _s3fs(PermissionError("Access Denied"), "AccessDenied", 403), True),
    ("S3 InvalidAccessKeyId", _s3fs(PermissionError("The key does not exist"), "InvalidAccessKeyId", 403), True),
    ("S3 SignatureDoesNotMatch", _s3fs(PermissionError("The signature"), "SignatureDoesNotMatch", 403), True),
    ("S3 InvalidBucketName", _s3fs(OSError(errno.EINVAL, "not valid"), "InvalidBucketName", 400), True),
    ("S3 ExpiredToken", _s3fs(PermissionError("The provided token has expired."), "ExpiredToken", 400), False),
    ("S3 IncompleteBody", _s3fs(OSError(errno.EINVAL, "incomplete"), "IncompleteBody", 400), False),
    ("S3 SlowDown", _s3fs(OSError(errno.EBUSY, "Reduce your rate"), "SlowDown", 503), False),
    ("S3 InternalError", _s3fs(OSError(errno.EREMOTEIO, "We failed"), "InternalError", 500), False),
    ("S3 RequestTimeout", _s3fs(TimeoutError("idle"), "RequestTimeout", 400), False),
    ("botocore NoSuchBucket", _boto("NoSuchBucket", 404), True),
    ("botocore AccessDenied", _boto("AccessDenied", 403), True),
    ("botocore ServiceUnavailable", _boto("ServiceUnavailable", 503), False),
    ("botocore NoCredentialsError", _library("NoCredentialsError")("Unable to locate credentials"), True),
    ("botocore EndpointConnectionError", _library("EndpointConnectionError")("Could not connect"), False),
    ("s3fs parameter validation", ValueError("Param validation failed: Invalid bucket name"), True),
]

_OTHER_STORE_CASES = [
    ("GCS 404", FileNotFoundError("bucket/day.csv"), True),
    ("GCS 403", OSError("Forbidden: https://storage.googleapis.com/b\nno storage.objects.create access"), True),
    ("GCS 403 rate limit", OSError("Forbidden: https://storage.googleapis.com/b\nrateLimitExceeded"), False),
    ("GCS 401", _with(_HttpError("Invalid Credentials, 401"), code=401), True),
    ("GCS 503", _with(_HttpError("Backend Error, 503"), code=503), False),
    ("GCS without credentials", _library("GoogleAuthError", "DefaultCredentialsError")("not found"), True),
    ("GCS RefreshError", _library("GoogleAuthError", "RefreshError")("metadata server"), False),
    ("Azure missing container", FileNotFoundError("Container 'x' does not exist"), True),
    ("Azure 403", _with(_AzureError("AuthorizationFailure"), status_code=403), True),
    ("Azure 404 as a cause", _caused(RuntimeError("Failed"), _with(_AzureError("no"), status_code=404)), True),
    ("Azure ClientAuthenticationError", _library("ClientAuthenticationError", base=_AzureError)("no"), True),
    ("Azure 409", _with(_AzureError("ContainerBeingDeleted"), status_code=409), False),
    ("Azure without credentials", ValueError("unable to connect to account for Must provide credentials"), True),
    ("OSS 403", _with(_OssError("AccessDenied"), status=403, code="AccessDenied"), True),
    ("OSS 500", _with(_OssError("InternalError"), status=500, code="InternalError"), False),
    ("HTTP 401", _with(_ResponseError("Unauthorized"), status=401), True),
    ("HTTP 502", _with(_ResponseError("Bad Gateway"), status=502), False),
    ("SFTP permission", OSError(errno.EACCES, "Permission denied"), True),
    ("SFTP login", _library("SSHException", "AuthenticationException")("Authentication failed."), True),
    ("SFTP file as a folder", _library("SFTPError", "SFTPFailure")("/data/a.csv is not a directory"), True),
    ("SFTP folder as a file", _library("SFTPError", "SFTPFailure")("Is a directory"), True),
    ("SFTP failure", _library("SFTPError", "SFTPFailure")("Failure"), False),
    ("SFTP lost connection", _library("SSHException")("Server connection dropped"), False),
    ("connection refused", ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False),
    ("connection reset", ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), False),
    ("time-out", TimeoutError("timed out"), False),
    ("untrusted certificate", OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), True),
    ("response that is not JSON", _library("JSONDecodeError", base=ValueError)("Expecting value"), False),
    ("store without write access", NotImplementedError("read-only"), True),
]

#: Errors of fsspec's file systems and their client libraries.
STORE_CASES = [
    Case(name, "store", error, AngusTargetError if stays else AngusStorageError)
    for name, error, stays in [*_S3_CASES, *_OTHER_STORE_CASES]
]

#: Errors of a local disk.
DISK_CASES = [
    Case(f"disk {errno.errorcode[code]}", "disk", OSError(code, os.strerror(code)), expected)
    for codes, expected in [
        ((errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.EISDIR, errno.ENOTDIR), AngusTargetError),
        ((errno.ENAMETOOLONG, errno.ELOOP), AngusTargetError),
        ((errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EBUSY), AngusStorageError),
        ((errno.EMFILE, errno.EINVAL, errno.ETIMEDOUT), AngusStorageError),
    ]
    for code in codes
]

ALL_CASES = [*SQL_CASES, *STORE_CASES, *DISK_CASES]
