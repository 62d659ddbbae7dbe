from __future__ import annotations
import pytest
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow.timetables.interval import CronDataIntervalTimetable
from datetime import timedelta

def test_smoke(airflow, connection, sandbox):
    out = airflow.run(lambda: AngusEntitiesOperator(task_id="f", metrics="passing_by", time="by_hour"), schedule=CronDataIntervalTimetable("@daily", timezone="UTC"))
    print({k:(v.state, v.tries, len(v.returned), v.errors) for k,v in out.items()})
    out = airflow.run(lambda: AngusEntitiesOperator(task_id="f", metrics="passing_by", time="by_hour",retries=1,retry_delay=timedelta(0)), schedule=None)
    print(out)
    out = airflow.run(lambda: AngusEntitiesOperator.partial(task_id="f", metrics="passing_by", interval=timedelta(hours=1)).expand(angus_conn_id=[connection,connection]), schedule=None)
    print(out)
    out = airflow.run(lambda: AngusEntitiesOperator.partial(task_id="f", metrics="passing_by", interval=timedelta(hours=1),retries=1,retry_delay=timedelta(0)).expand(angus_conn_id=[connection,"nix"]), schedule=None)
    print(out)
    assert 0
