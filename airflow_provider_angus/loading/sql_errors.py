"""Classify the errors of database drivers: a retry may help, the table is wrong, or only the rows of one stream are.

Drivers share no base class, but PEP 249 names their classes. Codes decide first, as they are more precise: SQLSTATE,
and the numbers of SQLite and MySQL. Without a code, as for most failed connections, class and message decide.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from airflow_provider_angus.api.redaction import quote_untrusted
from airflow_provider_angus.exceptions import AngusError, AngusRowError, AngusStorageError, AngusTargetError

ErrorClass = type[AngusError]

#: Drivers raise these for values that they cannot send: more than 64 bits, a NUL character.
VALUE_ERRORS = (OverflowError, ValueError)

_SQLSTATE = re.compile(r"[0-9A-Z]{5}")

# By all or the first two characters. 08 is missing, as drivers also report a wrong password as a failed connection.
_BY_SQLSTATE: dict[str, ErrorClass] = {
    # Transaction read-only or rolled back, no resources, lock not available, shutdown or time-out, system error.
    **dict.fromkeys(("25", "40", "53", "55", "57", "58"), AngusStorageError),
    # The table is a view, for example.
    "55000": AngusTargetError,
    # Not supported, login refused, no such database, no such schema, wrong statement or no permission.
    **dict.fromkeys(("0A", "28", "3D", "3F", "42"), AngusTargetError),
    # Wrong value, constraint or partition, check of a view, error of a trigger, row too long, error of a trigger.
    **dict.fromkeys(("22", "23", "44", "45", "54", "P0"), AngusRowError),
}

_SQLITE: dict[int, ErrorClass] = {
    **dict.fromkeys((sqlite3.SQLITE_ERROR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH), AngusTargetError),
    **dict.fromkeys((sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN), AngusTargetError),
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB), AngusTargetError),
    **dict.fromkeys((sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH), AngusRowError),
}

# Most of them are OperationalErrors or have a vague SQLSTATE.
_MYSQL: dict[int, ErrorClass] = {
    # Too many connections.
    **dict.fromkeys((1040, 1203, 1226), AngusStorageError),
    # Unknown database, column, character set or engine; name or key too long; wrong table name.
    **dict.fromkeys((1049, 1054, 1059, 1071, 1103, 1115, 1273, 1286), AngusTargetError),
    # Access denied, host not allowed, no such login plug-in, password expired, account locked.
    **dict.fromkeys((1044, 1045, 1129, 1130, 1142, 1143, 1227, 1251, 1370, 1524, 1698), AngusTargetError),
    **dict.fromkeys((1820, 1862, 2059, 3118, 4151), AngusTargetError),
    # NOT NULL, no default, value out of range, truncated or too long, row too long, error of a trigger, JSON, CHECK.
    **dict.fromkeys((1048, 1118, 1264, 1265, 1292, 1364, 1366, 1406, 1411, 1644, 1690), AngusRowError),
    **dict.fromkeys((3140, 3819, 4025), AngusRowError),
    # No partition for the row.
    **dict.fromkeys((1526, 1591, 1748), AngusRowError),
}

_BY_PEP_249_CLASS: dict[str, ErrorClass] = {
    **dict.fromkeys(("ProgrammingError", "NotSupportedError"), AngusTargetError),
    **dict.fromkeys(("DataError", "IntegrityError"), AngusRowError),
}

_TARGET_MESSAGE = re.compile(
    r"(database|role|user|schema) \S+ does not exist|no such database|cannot open (database|file) \""
    r"|authentication failed|no password supplied|pg_hba\.conf|not permitted to log in|access denied|login failed"
    r"|incorrect username or password|permission (was )?denied|insufficient privilege"
    r"|is a directory|not a valid duckdb database|read-only mode"
    r"|certificate|does not support ssl|invalid (sslmode value|port number|connection option)"
    r"|ORA-0(0942|1017|1031|1045|28000|28001)",
    re.IGNORECASE,
)

_ROW_MESSAGE = re.compile(r"would be truncated|ORA-(12899|14400|01438)")


def classify(error: Exception, conn_type: str, *, rows: bool = False) -> ErrorClass | None:
    """Return the class of our error for a driver's error, or None if it is not an error of a driver.

    :param conn_type: the type of the Airflow connection.
    :param rows: whether the statement writes rows. Otherwise an error of a value is an ``AngusTargetError``.
    """
    if not is_driver_error(error):
        return None
    found = _by_code(error, conn_type) or _by_class_and_message(error)
    return AngusTargetError if found is AngusRowError and not rows else found


def is_driver_error(error: BaseException | None, name: str = "Error") -> bool:
    """Return whether the error has this class of PEP 249."""
    return name in {kind.__name__ for kind in type(error).__mro__}


def describe_error(error: Exception) -> str:
    """Return the message of a driver's error, or its class if it has none, as a part of a sentence."""
    return quote_untrusted(str(error)).rstrip(".") or type(error).__name__


def _by_code(error: Exception, conn_type: str) -> ErrorClass | None:
    first: Any = error.args[0] if error.args else None
    number = getattr(error, "errno", None) or first
    if conn_type == "mysql" and number in _MYSQL:
        return _MYSQL[number]
    if isinstance(error, sqlite3.Error):
        # The lower byte of an extended code is the primary code.
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    # psycopg2, other drivers, and pyodbc.
    for state in (getattr(error, "pgcode", None), getattr(error, "sqlstate", None), first):
        if isinstance(state, str) and _SQLSTATE.fullmatch(state):
            return _BY_SQLSTATE.get(state) or _BY_SQLSTATE.get(state[:2])
    return None


def _by_class_and_message(error: Exception) -> ErrorClass:
    for name, found in _BY_PEP_249_CLASS.items():
        if is_driver_error(error, name):
            return found
    if _ROW_MESSAGE.search(str(error)):
        return AngusRowError
    return AngusTargetError if _TARGET_MESSAGE.search(str(error)) else AngusStorageError
