"""Times and weighs whole runs, as processes, in fresh folders.

    python benches/whole_runs.py memory      taskloom's peak memory on 2 GB of tasks, and on 10,000 partitions
    python benches/whole_runs.py compare     taskloom, DuckDB and Polars in turn on 400 MB: medians, and ratios round by round
            [--runs 5] [--tasks 20500] [--chart runs.svg] [--json runs.json]

Folders are made in memory (/dev/shm) where that exists, so that no disk is measured; `--folder` names another place. Builds
nothing: `cargo build --release` first.
"""
import argparse
import html
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
TASKLOOM = os.environ.get("TASKLOOM_BIN", str(ROOT / "target/release/taskloom"))
# The tables that all write, and of which annotations; taskloom has more of both.
COMMON = ("tasks", "task_errors", "threads", "turns", "messages", "reference_texts", "attachments", "annotations")
COMMON_SCOPES = "('thread', 'turn', 'message')"


class Figures(NamedTuple):
    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: list[str]) -> Figures:
    """What a process takes, which must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit status {process.returncode}: {' '.join(command)}")
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def generate(path: pathlib.Path, tasks: int, partitions: int = 200) -> None:
    run([TASKLOOM, "generate", "--tasks", str(tasks), "--partitions", str(partitions), "--out", str(path)])


def flatten(source: pathlib.Path, lake: pathlib.Path, *flags: str) -> list[str]:
    return [TASKLOOM, "flatten", str(source), "--out", str(lake), *flags]


def memory(folder: pathlib.Path) -> None:
    source, lake = folder / "tasks.ndjson", folder / "lake"
    print("| input | memory limit | wall s | CPU s | peak MiB |\n| --- | --- | --- | --- | --- |")
    for name, tasks, partitions in (("2 GB, 200 partitions", 102_500, 200), ("2 GB, 10,000 partitions", 100_000, 10_000)):
        generate(source, tasks, partitions)
        for limit in ("512MiB", "256MiB"):
            shutil.rmtree(lake, ignore_errors=True)
            wall, cpu, peak = run(flatten(source, lake, "--memory-limit", limit))
            print(f"| {name} | {limit} | {wall:.1f} | {cpu:.1f} | {peak:.0f} |", flush=True)


def competitors(source: pathlib.Path, lake: pathlib.Path) -> dict[str, list[str]]:
    ours = subprocess.run([TASKLOOM, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    commands = {ours: flatten(source, lake)}
    for name in ("DuckDB", "Polars"):
        script = ROOT / f"benches/{name.lower()}_flatten.py"
        commands[f"{name} {version(name.lower())}"] = [sys.executable, str(script), str(source), str(lake)]
    return commands


def count_rows(lake: pathlib.Path) -> dict[str, int]:
    import duckdb

    def count(table: str) -> int:
        scopes = f"WHERE scope IN {COMMON_SCOPES}" if table == "annotations" else ""
        return duckdb.sql(f"SELECT count(*) FROM read_parquet('{lake}/{table}/project=*/**/*.parquet') {scopes}").fetchall()[0][0]

    return {table: count(table) for table in COMMON}


def compare(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    source, lake = folder / "tasks.ndjson", folder / "lake"
    generate(source, arguments.tasks)
    commands = competitors(source, lake)
    runs: dict[str, list[Figures]] = {who: [] for who in commands}
    rows = {}
    for _ in range(arguments.runs):
        for who, command in commands.items():
            runs[who].append(run(command))
            rows[who] = rows.get(who) or count_rows(lake)
            shutil.rmtree(lake)
        if any(of_one != next(iter(rows.values())) for of_one in rows.values()):
            sys.exit(f"the tables have different numbers of rows: {json.dumps(rows, indent=2)}")
    what = f"{source.stat().st_size / 1e6:.0f} MB of NDJSON ({arguments.tasks:,} tasks)"
    print_table(what, runs)
    if arguments.chart:
        arguments.chart.write_text(chart(what, runs))
    if arguments.json:
        raw = {who: [figures._asdict() for figures in of_one] for who, of_one in runs.items()}
        facts = {"machine": machine(), "bytes": source.stat().st_size, "rows": next(iter(rows.values())), "runs": raw}
        arguments.json.write_text(json.dumps(facts, indent=2) + "\n")


def medians(runs: dict[str, list[Figures]]) -> dict[str, Figures]:
    return {who: Figures(*map(statistics.median, zip(*of_one))) for who, of_one in runs.items()}


def ratios(runs: dict[str, list[Figures]], who: str) -> list[float]:
    """Wall time by taskloom's, round by round, in ascending order."""
    ours, *_ = runs.values()
    return sorted(theirs.wall_s / our.wall_s for our, theirs in zip(ours, runs[who]))


def print_table(what: str, runs: dict[str, list[Figures]]) -> None:
    ours, *others = runs
    print(f"{what}, {machine()}; medians of {len(runs[ours])} runs in turn; times taskloom's wall time: median (least to most)\n")
    print("| who | wall s | CPU s | peak MiB | times taskloom |\n| --- | --- | --- | --- | --- |")
    for who, (wall, cpu, peak) in medians(runs).items():
        by_round = ratios(runs, who)
        spread = f"{statistics.median(by_round):.1f} ({by_round[0]:.1f} to {by_round[-1]:.1f})"
        times = spread if who in others else "1"
        print(f"| {who} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {times} |")


def machine() -> str:
    """The processor, its cores and the memory."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE)
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB of memory"


# Every colour can be read on white and on black: a viewer may tell its own theme instead of the page's.
STYLE = """
    text { font: 15px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #707a85 }
    .title { font-weight: 600 } .small { font-size: 13px }
    .ours { fill: #2f81f7 } .other { fill: #8c959f }
    @media (prefers-color-scheme: dark) { text { fill: #8b949e } .other { fill: #6e7681 } }
"""
WIDTH, BAR_LEFT, BAR_WIDTH, BAR_HEIGHT, ROW_HEIGHT, TOP = 720, 132, 420, 24, 38, 66


def chart(what: str, runs: dict[str, list[Figures]]) -> str:
    """Bars of wall time."""
    walls = {who: figures.wall_s for who, figures in medians(runs).items()}
    ours, *others = walls
    title, where = f"{what} to Parquet: wall time, less is better", html.escape(machine())
    labels = {ours: f"{walls[ours]:.1f} s"}
    labels |= {who: f"{walls[who]:.1f} s ({statistics.median(ratios(runs, who)):.1f} times)" for who in others}
    bars = []
    for row, (who, wall) in enumerate(walls.items()):
        y, width = TOP + row * ROW_HEIGHT, max(2, wall / max(walls.values()) * BAR_WIDTH)
        kind = "ours" if who == ours else "other"
        bars.append(
            f"""  <text x="{BAR_LEFT - 10}" y="{y + 17}" text-anchor="end">{who}</text>
  <rect class="{kind}" x="{BAR_LEFT}" y="{y}" width="{width:.0f}" height="{BAR_HEIGHT}" rx="3"/>
  <text x="{BAR_LEFT + width + 8:.0f}" y="{y + 17}">{labels[who]}</text>"""
        )
    height = TOP + len(walls) * ROW_HEIGHT
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"
    aria-labelledby="title desc">
  <title id="title">{title}</title>
  <desc id="desc">{', '.join(f'{who}: {label}' for who, label in labels.items())}; {where}</desc>
  <style>{STYLE}  </style>
  <text class="title" x="10" y="24">{title}</text>
  <text class="small" x="10" y="46">{where}</text>
{chr(10).join(bars)}
</svg>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "compare"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=20_500)
    parser.add_argument("--chart", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--folder", default="/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.what == "memory":
            memory(pathlib.Path(folder))
        else:
            compare(pathlib.Path(folder), arguments)


if __name__ == "__main__":
    main()
