"""``make bench``: the cost of fetching, parsing, waiting and loading, compared with the alternatives.

The numbers are for people. A missed bound is reported and is not a failure; an incomplete result is.
``python tools/benchmarks fetching`` measures one part and updates its tables.
"""

from __future__ import annotations

import sys

import databases
import fetching
import loading
import parsing
import waiting
from report import FILE, ROOT, update_tables, write_report

PARTS = {"fetching": fetching, "parsing": parsing, "waiting": waiting, "loading": loading, "databases": databases}


def main() -> int:
    """Measure all parts, or the named parts, and write the report."""
    names = sys.argv[1:]
    tables = [table for name in names or PARTS for table in PARTS[name].tables()]
    (update_tables if names else write_report)(tables)
    print(f"\nWritten to {FILE.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
