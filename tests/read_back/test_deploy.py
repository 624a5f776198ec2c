"""What lies in `deploy/` names flags that there are, and reads exit statuses as they are meant."""

import os
import re
import shlex
import subprocess
import sys
import types

import pytest
import yaml

from conftest import REPOSITORY, program

DEPLOY = REPOSITORY / "deploy"
CONFIG = "/etc/taskloom/taskloom.toml"


def rehearsed(words, tmp_path):
    """What the program says that it would ask for, by these words, with the lake and the file of jobs at hand."""
    words = [str(DEPLOY / "taskloom.toml") if word == CONFIG else word for word in words]
    typed = [*words, "--out", str(tmp_path / "lake"), "--api-url", "http://127.0.0.1:9", "--dry-run", "--metrics-file", str(tmp_path / "m")]
    if "--out" in words:
        typed = [*words, "--dry-run", "--api-url", "http://127.0.0.1:9"]
        typed[typed.index("--out") + 1] = str(tmp_path / "lake")
    done = subprocess.run([program(), *typed], capture_output=True, encoding="utf-8", env={**os.environ, "SCALE_API_KEY": "test_x"})
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def is_asking(text):
    return text.startswith("GET http://127.0.0.1:9/v2/")


def test_the_jobs_of_the_file_are_known(tmp_path):
    assert is_asking(rehearsed(["sync", "--config", CONFIG, "--job", "nightly"], tmp_path))


def test_the_cron_table_is_a_line_of_a_shell_that_tries_once_more(tmp_path):
    lines = [line for line in (DEPLOY / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    (line,) = (line for line in lines if not re.match(r"\w+=", line))
    command = line.split(maxsplit=5)[5]
    first, _, second = command.partition("; test ")
    assert first == second.removesuffix("; }").split("; ", 1)[1]
    assert is_asking(rehearsed([word for word in shlex.split(first)[1:] if "SCALE" not in word and word != "--api-key-file"], tmp_path))
    # In a shell, with a program that ends so.
    for status, attempts in [(0, 1), (1, 1), (4, 2)]:
        script = f"taskloom() {{ echo ran; return {status}; }}; sleep() {{ :; }}; {command}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, encoding="utf-8")
        assert done.stdout.count("ran") == attempts, status


def test_the_service_runs_a_job(tmp_path):
    text = (DEPLOY / "taskloom-sync.service").read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    words = shlex.split(command)[1:]
    words[words.index("--work-dir") + 1] = str(tmp_path)
    assert is_asking(rehearsed(words, tmp_path))
    assert "RestartForceExitStatus=4" in text and "OnCalendar=" in (DEPLOY / "taskloom-sync.timer").read_text()


def test_the_cron_job_runs_the_command_again_after_status_4_alone(tmp_path):
    job = yaml.safe_load((DEPLOY / "cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["operator"], rule["onExitCodes"]["values"]) == ("FailJob", "NotIn", [4])
    (container,) = job["template"]["spec"]["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    words = container["args"]
    assert words[words.index("--work-dir") + 1] in mounts
    words[words.index("--work-dir") + 1] = str(tmp_path)
    assert is_asking(rehearsed(words, tmp_path))


def test_the_workflow_runs_the_command_in_the_image(tmp_path):
    workflow = yaml.safe_load((DEPLOY / "github-actions.yml").read_text())
    script = workflow["jobs"]["sync"]["steps"][-1]["run"].replace("\\\n", " ")
    (command,) = re.findall(r"taskloom:\S+\s+(sync .*)", script)
    assert is_asking(rehearsed(shlex.split(command), tmp_path))
    for status, attempts, ended in [(0, 1, 0), (1, 1, 1), (4, 2, 4)]:
        stubs = f"docker() {{ echo ran; return {status}; }}; sleep() {{ :; }}\n"
        done = subprocess.run(["sh", "-c", stubs + script], capture_output=True, encoding="utf-8")
        assert (done.stdout.count("ran"), done.returncode) == (attempts, ended)


@pytest.mark.parametrize("status, ends", [(0, None), (1, "fail"), (2, "fail"), (4, "retry"), (130, "fail")])
def test_the_dag_retries_status_4_and_fails_at_others(status, ends, monkeypatch):
    class Retry(Exception):
        pass

    class Fail(Exception):
        pass

    ran = []

    def task(**settings):
        assert settings["retries"] > 0
        return lambda function: function

    def dag(**settings):
        return lambda function: lambda: ran.append(function())

    sdk = types.SimpleNamespace(dag=dag, task=task)
    exceptions = types.SimpleNamespace(AirflowException=Retry, AirflowFailException=Fail)
    for name, module in [("airflow", types.ModuleType("airflow")), ("airflow.sdk", sdk), ("airflow.exceptions", exceptions)]:
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(subprocess, "run", lambda command: types.SimpleNamespace(returncode=status))
    code = compile((DEPLOY / "airflow_dag.py").read_text(), "airflow_dag.py", "exec")
    if ends is None:
        exec(code, {})
        assert ran == [None]
    else:
        with pytest.raises({"retry": Retry, "fail": Fail}[ends]):
            exec(code, {})


def test_the_image_is_built_of_what_is_there_and_runs_without_rights():
    """No container engine is needed for the tests: the image itself is not built here."""
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    assert copied and all((REPOSITORY / name).exists() for line in copied for name in line.split())
    assert ":nonroot" in text.split("FROM")[-1]
