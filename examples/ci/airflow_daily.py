"""A DAG for Airflow 3 that brings models to the newest session after each close of New York.

Copy it to your folder of DAGs. `cloudlstm` must be on the PATH of the workers. Exit status 3 means that something was
refused: the champion goes on serving, so the task is skipped instead of failed, and its log says what was refused. A
failed task may be repeated: the same command goes on where it stopped.
"""

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

MODELS = ("core6",)
TARGET = "s3://BUCKET"
MAX_USD_MONTH = 20

with DAG(
    dag_id="cloudlstm_daily",
    schedule="30 18 * * 1-5",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,  # a day makes up for those before it
    max_active_runs=1,
    max_active_tasks=1,  # models share the target's trainers; --wait is for runs that somebody else has started
):
    for model in MODELS:
        BashOperator(
            task_id=f"daily_{model}",
            bash_command=f"cloudlstm daily {model} --wait --target={TARGET} --max-usd-month={MAX_USD_MONTH}",
            skip_on_exit_code=3,
            append_env=True,
            retries=2,
            retry_delay=pendulum.duration(minutes=15),
        )
