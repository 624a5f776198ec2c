"""Times exports from the simulated API, as processes: taskloom, Scale's own client, and a plain Python loop.

    python benches/export_runs.py clients      the same tasks by all three, in turn; taskloom also flattens and writes them
    python benches/export_runs.py latency      how near taskloom comes to one page for each request and latency
    python benches/export_runs.py attachments  how near fetching attachments comes to requests at a time by latency
    python benches/export_runs.py speed        an export without latency beside flattening the same tasks from a file

The simulated API runs on the same machine, so its work counts against all of them. Needs `scaleapi`; builds nothing.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

from measured import TASKLOOM, Figures, flatten, folder_parser, fresh, generate, machine, mb, medians, our_version, ratio, run, scratch, table

# Page after page of every project; each task parsed and written as a line.
PLAIN = """
import json, os, sys, urllib3
pool, url = urllib3.PoolManager(headers={"Authorization": "Bearer " + os.environ["SCALE_API_KEY"]}), os.environ["SCALE_API_URL"]
get = lambda path, **fields: json.loads(pool.request("GET", url + path, fields=fields).data)
opts = ["annotation_details", "attachment_details", "model_parameters", "submissions"]
with open(sys.argv[1], "w") as out:
    for project in get("/v2/projects")["projects"]:
        token = ""
        while token is not None:
            fields = [("project_id", project["id"]), ("limit", "100"), *(("opts", opt) for opt in opts)]
            page = json.loads(pool.request("GET", url + "/v2/tasks", fields=fields + [("next_token", token)] * bool(token)).data)
            out.writelines(json.dumps(task) + "\\n" for task in page["tasks"])
            token = page.get("next_token") or None
"""

SCALEAPI = """
import os, sys
from scaleapi.api_client.v2 import ApiClient, Configuration, V2Api
api = V2Api(ApiClient(Configuration(host=os.environ["SCALE_API_URL"], access_token=os.environ["SCALE_API_KEY"])))
opts = ["annotation_details", "attachment_details", "model_parameters", "submissions"]
with open(sys.argv[1], "w") as out:
    for project in api.get_projects().projects:
        token = None
        while True:
            page = api.get_tasks(project_id=project.id, limit=100, next_token=token, opts=opts)
            out.writelines(task.to_json() + "\\n" for task in page.tasks)
            token = page.next_token
            if not token:
                break
"""


@contextmanager
def simulator(*flags: str):
    """Serves while the block runs, and tells the block's processes where. Gives a function that tells the CPU seconds it has taken."""
    server = subprocess.Popen([TASKLOOM, "simulate", "--port", "0", *flags], stdout=subprocess.PIPE, encoding="utf-8")
    settings = server.stdout.readline().removeprefix("export ").split()
    os.environ.update(setting.split("=", 1) for setting in settings)
    try:
        yield lambda: cpu_seconds(server.pid)
    finally:
        server.terminate()
        server.wait()


def cpu_seconds(pid: int) -> float:
    """What a process has taken up to now, by Linux."""
    user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def seconds(command: list[str]) -> float:
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"exit status {done.returncode}: {' '.join(command[:3])}")
    return time.monotonic() - start


def export(lake: pathlib.Path, *flags: str) -> list[str]:
    shutil.rmtree(lake, ignore_errors=True)
    return [TASKLOOM, "export", "--all-projects", "--out", str(lake), "--quiet", *flags]


def readable_by_scaleapi(path: pathlib.Path, count: int) -> None:
    """Scale's client fails on every attachment, and on labels in a list of their own."""
    from scaleapi.api_client.v2 import Task

    def is_readable(line: bytes) -> bool:
        try:
            return Task.from_dict(json.loads(line)) is not None
        except (ValueError, TypeError):
            return False

    made = subprocess.run([TASKLOOM, "generate", "--tasks", str(count)], stdout=subprocess.PIPE, check=True).stdout
    path.write_bytes(b"".join(line for line in made.splitlines(keepends=True) if is_readable(line)))


def clients(folder: pathlib.Path, runs: int, tasks: int) -> None:
    source = folder / "tasks.ndjson"
    readable_by_scaleapi(source, tasks)
    count = sum(1 for _ in source.open("rb"))
    print(f"{count:,} tasks of {source.stat().st_size / count / 1000:.0f} KB, {os.cpu_count()} cores, medians of {runs} runs in turn")
    for ms in (0, 50):
        clients_at(ms, source, folder, runs, count)


def clients_at(ms: int, source: pathlib.Path, folder: pathlib.Path, runs: int, count: int) -> None:
    out = str(folder / "out.ndjson")
    python = [sys.executable, "-c"]
    figures: dict[str, list[float]] = {"taskloom": [], "a Python loop": [], "scaleapi": []}
    with simulator("--from", str(source), "--latency", str(ms)):
        for _ in range(runs):
            figures["taskloom"].append(seconds(export(folder / "lake", "--skip-delivery-tasks")))
            figures["a Python loop"].append(seconds([*python, PLAIN, out]))
            with open(out, "rb") as lines:
                assert sum(1 for _ in lines) == count
            figures["scaleapi"].append(seconds([*python, SCALEAPI, out]))
    print(f"\nlatency {ms} ms\n")
    print("| who | wall s | tasks/s | times as fast |\n| --- | --- | --- | --- |")
    for name, row in figures.items():
        ratio = statistics.median(own / other for own, other in zip(row, figures["taskloom"]))
        wall = statistics.median(row)
        print(f"| {name} | {wall:.2f} | {count / wall:,.0f} | {'' if name == 'taskloom' else f'{ratio:.1f}'} |")


def latency(folder: pathlib.Path, runs: int, tasks: int) -> None:
    pages_a_second, again, page_size, ms = [], [], 10, 50
    source = folder / "tasks.ndjson"
    subprocess.run([TASKLOOM, "generate", "--tasks", str(tasks), "--task-bytes", "4000", "--out", str(source)], check=True)
    with simulator("--from", str(source), "--latency", str(ms)):
        for _ in range(runs):
            flags = ["--skip-delivery-tasks", "--page-size", str(page_size), "--json"]
            start = time.monotonic()
            done = subprocess.run(export(folder / "lake", *flags), stdout=subprocess.PIPE, check=True)
            seconds_taken, report = time.monotonic() - start, json.loads(done.stdout)
            pages_a_second.append(report["fetch"]["requests"] / seconds_taken)
            again.append(report["superseded"] / tasks)
    print(f"{tasks:,} tasks of 4 KB, {page_size} a page, {ms} ms latency, 8 requests at a time, medians of {runs} runs\n")
    found, possible = statistics.median(pages_a_second), 8 / (ms / 1000)
    print(f"{found:.0f} requests/s of at most {possible:.0f}: {found / possible:.0%}; {statistics.median(again):.0%} of the tasks came again")


def attachments(folder: pathlib.Path, runs: int, count: int) -> None:
    """Pictures of 50 KB, ten a task; how many come a second while they do."""
    ms, picture, of_task = 20, "50KB", 10
    source = folder / "tasks.ndjson"
    with source.open("w") as file:
        for number in range(count // of_task):
            urls = [f"https://files.example.com/{number * of_task + index:08x}.png" for index in range(of_task)]
            content = {"text": "look", "attachments": [{"url": url} for url in urls]}
            turn = {"messages": [{"role": "user", "content": content}]}
            day = f"2025-01-{number % 28 + 1:02}T00:00:00Z"
            task = {"task_id": f"{number:06}", "project": "p", "status": "completed", "completed_at": day, "threads": [{"turns": [turn]}]}
            file.write(json.dumps(task) + "\n")
    print(f"{count:,} pictures of {picture}, {ms} ms latency, {our_version()}, {machine()}; medians of {runs} runs")
    rows = []
    with simulator("--from", str(source), "--latency", str(ms), "--attachments", "--picture-bytes", picture):
        for at_a_time in (16, 32):
            flags = ["--skip-delivery-tasks", "--attachment-host", "127.0.0.1", "--attachment-concurrency", str(at_a_time)]
            own = [seconds(export(folder / "lake", "--fetch-attachments", *flags)) for _ in range(runs)]
            kept = sum(1 for _ in (folder / "lake/_taskloom/attachments").glob("*/*"))
            assert kept == count, f"{kept} pictures"
            least, wall = count * ms / 1000 / at_a_time, statistics.median(own)
            rows.append([str(at_a_time), f"{wall:.2f}", f"{least:.2f}", f"{least / wall:.0%}"])
    table("requests at a time | wall s | requests by latency alone, s | of what is possible", rows)


def speed(folder: pathlib.Path, runs: int, tasks: int) -> None:
    """The simulator makes its pages on the same cores: what it takes of them is told apart."""
    source, lake = generate(folder / "tasks.ndjson", tasks), folder / "lake"
    files, exports, alone, servers = [], [], [], []
    for _ in range(runs):
        files.append(run(flatten(source, fresh(lake))))
        with simulator("--from", str(source), "--latency", "0") as taken:
            before = taken()
            exports.append(run(export(lake, "--skip-delivery-tasks")))
            servers.append(taken() - before)
        wall = exports[-1].wall_s - servers[-1] / os.cpu_count()
        alone.append(exports[-1]._replace(wall_s=wall))
    print(f"{mb(source):.0f} MB of NDJSON, {our_version()}, {machine()}; medians of {runs} runs in turn")
    rows = (("flatten", files), ("export", exports), ("export, without the simulator's share of the cores", alone))
    table("what | wall s | CPU s | flatten's wall by it | flatten's CPU by it", [
        [who, f"{figures.wall_s:.2f}", f"{figures.cpu_s:.2f}", ratio(files, of_one), ratio(files, of_one, "cpu_s")]
        for who, of_one in rows for figures in [medians(of_one)]
    ])
    print(f"\nthe simulator took {statistics.median(servers):.2f} s of CPU time")


def main() -> None:
    kinds = {"clients": (clients, 11_000), "latency": (latency, 40_000), "speed": (speed, 20_500), "attachments": (attachments, 10_000)}
    arguments = folder_parser(__doc__, list(kinds)).parse_args()
    act, tasks = kinds[arguments.what]
    with scratch(arguments) as folder:
        act(folder, arguments.runs or 3, arguments.tasks or tasks)


if __name__ == "__main__":
    main()
