"""Convert cameras.csv, one camera per line, into connections.json for ``airflow connections import``."""

import csv
import json
from pathlib import Path

with Path("cameras.csv").open(newline="", encoding="utf-8") as file:
    cameras = list(csv.DictReader(file))

connections = {
    camera["conn_id"]: {
        "conn_type": "angus",
        "login": camera["login"],
        "password": camera["access_token"],
        "port": 443,
        "extra": json.dumps({"client_id": camera["client_id"]}),
    }
    for camera in cameras
}
if len(connections) < len(cameras):
    raise SystemExit("cameras.csv has a conn_id twice")

target = Path("connections.json")
target.touch(mode=0o600)  # the file contains secrets
target.write_text(json.dumps(connections, indent=2), encoding="utf-8")
print(f"{len(connections)} connections written to {target}")
