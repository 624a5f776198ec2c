"""Sync of Scale tasks into a lake, every night, as a DAG of Airflow."""

import subprocess
from datetime import datetime, timedelta

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import dag, task

COMMAND = ["taskloom", "sync", "--config", "/etc/taskloom/taskloom.toml", "--job", "nightly", "--log-format", "json"]
WORTH_ANOTHER_ATTEMPT = 4


@dag(schedule="10 2 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def taskloom_sync():
    @task(retries=3, retry_delay=timedelta(minutes=30))
    def sync():
        status = subprocess.run(COMMAND).returncode
        if status == WORTH_ANOTHER_ATTEMPT:
            raise AirflowException("the API was out of reach, or another run was faster")
        if status != 0:
            raise AirflowFailException(f"taskloom ended with {status}: it needs a person")

    sync()


taskloom_sync()
