"""Times and weighs whole runs, as processes, in fresh folders.

    python benches/whole_runs.py compare     taskloom, DuckDB and Polars in turn on 400 MB [--chart runs.svg] [--json runs.json]
    python benches/whole_runs.py floor       beside a program that only reads, compresses the same pages and writes them
    python benches/whole_runs.py scaling     taskloom with one thread and two, and on 400 MB and 2 GB
    python benches/whole_runs.py memory      taskloom's peak memory on 2 GB, on 200 partitions and on 10,000
    python benches/whole_runs.py back        restore and a deep verify beside flatten
    python benches/whole_runs.py merge       the newest 1 % of the tasks, changed, into lakes of 400 MB and 4 GB

All take `--runs N`, `--tasks N` and `--folder DIR`.
"""
import argparse
import html
import json
import pathlib
import statistics
import subprocess
import sys
from importlib.metadata import version

from measured import (
    ROOT, TASKLOOM, Figures, flatten, folder_parser, fresh, generate, in_turn, machine, mb, medians, our_version, quickest, ratio, run, scratch, table,
)

# 404 MB of JSON.
TASKS = 20_500
# The tables that all write, and of which annotations; taskloom has more of both.
COMMON = ("tasks", "task_errors", "threads", "turns", "messages", "reference_texts", "attachments", "annotations")
COMMON_SCOPES = "('thread', 'turn', 'message')"


def competitors(source: pathlib.Path, lake: pathlib.Path) -> dict[str, list[str]]:
    # The others' level of zstd is 3: so ours is shown with it too.
    commands = {our_version(): flatten(source, lake), "at level 3": flatten(source, lake, "--compression-level", "3")}
    for name in ("DuckDB", "Polars"):
        script = ROOT / f"benches/{name.lower()}_flatten.py"
        commands[f"{name} {version(name.lower())}"] = [sys.executable, str(script), str(source), str(lake)]
    return commands


def count_rows(lake: pathlib.Path) -> dict[str, int]:
    import duckdb

    def count(name: str) -> int:
        scopes = f"WHERE scope IN {COMMON_SCOPES}" if name == "annotations" else ""
        return duckdb.sql(f"SELECT count(*) FROM read_parquet('{lake}/{name}/project*=*/**/*.parquet') {scopes}").fetchall()[0][0]

    # The others call their folders by other names of the same partitions.
    return {name: count(name) for name in COMMON}


def compare(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    source = arguments.source or generate(folder / "tasks.ndjson", arguments.tasks or TASKS)
    lake, rows, written = folder / "lake", {}, {}

    def note(who: str) -> None:
        rows[who] = rows.get(who) or count_rows(lake)
        written[who] = sum(mb(lake / name) for name in COMMON)
        fresh(lake)

    runs = in_turn(arguments.runs or 5, competitors(source, lake), note)
    if any(of_one != next(iter(rows.values())) for of_one in rows.values()):
        sys.exit(f"the tables have different numbers of rows: {json.dumps(rows, indent=2)}")
    ours, *_ = runs.values()
    what = f"{mb(source):.0f} MB of NDJSON ({next(iter(rows.values()))['tasks']:,} tasks)"
    print(f"{what}, {machine()}; medians of {len(ours)} runs in turn; times taskloom's: median (least to most), and the quickest by its quickest")
    table("who | wall s | CPU s | peak MiB | times taskloom's wall | quickest | times its CPU | least | MB of the eight tables", [
        [who, f"{figures.wall_s:.2f}", f"{figures.cpu_s:.2f}", f"{figures.peak_mib:.0f}", ratio(of_one, ours), quickest(of_one, ours),
         ratio(of_one, ours, "cpu_s"), quickest(of_one, ours, "cpu_s"), f"{written[who]:.0f}"]
        for who, of_one in runs.items() for figures in [medians(of_one)]
    ])
    if arguments.chart:
        arguments.chart.write_text(chart(what, runs))
    if arguments.json:
        raw = {who: [figures._asdict() for figures in of_one] for who, of_one in runs.items()}
        facts = {"machine": machine(), "bytes": source.stat().st_size, "rows": next(iter(rows.values())), "runs": raw}
        arguments.json.write_text(json.dumps(facts, indent=2) + "\n")


def floor(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    """Beside a program that only reads, compresses the same pages and writes them."""
    source, lake = generate(folder / "tasks.ndjson", arguments.tasks or TASKS), folder / "lake"
    command = ["cargo", "bench", "--quiet", "--bench", "floor", "--", str(source), str(lake), str(folder / "floor")]

    def told() -> Figures:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return Figures(*map(float, done.stdout.split()), 0)

    commands = {"flatten": lambda: run(flatten(source, fresh(lake))), "floor": told}
    ours, bare = in_turn(arguments.runs or 5, commands, lambda _: None).values()
    print(f"{mb(source):.0f} MB of NDJSON, {our_version()}, {machine()}; medians of {len(ours)} runs in turn")
    table("what | wall s | CPU s | times the floor's wall | times its CPU", [
        [who, f"{figures.wall_s:.2f}", f"{figures.cpu_s:.2f}", ratio(of_one, bare), ratio(of_one, bare, "cpu_s")]
        for who, of_one in (("flatten", ours), ("reading, compressing, writing", bare)) for figures in [medians(of_one)]
    ])


def scaling(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    tasks, lake = arguments.tasks or TASKS, folder / "lake"
    small, large = generate(folder / "small.ndjson", tasks), generate(folder / "large.ndjson", tasks * 5)
    commands = {
        "one thread": flatten(small, lake, "--threads", "1"),
        "two threads": flatten(small, lake, "--threads", "2"),
        "two threads, five times the input": flatten(large, lake, "--threads", "2"),
    }
    runs = in_turn(arguments.runs or 5, commands, lambda _: fresh(lake))
    one, two, more = runs.values()
    five = [Figures(*(figure / 5 for figure in figures)) for figures in more]
    print(f"{mb(small):.0f} MB and {mb(large):.0f} MB of NDJSON, {machine()}")
    table("what | wall s | CPU s | peak MiB | beside two threads", [
        [who, f"{figures.wall_s:.2f}", f"{figures.cpu_s:.2f}", f"{figures.peak_mib:.0f}", beside]
        for (who, of_one), beside in zip(runs.items(), [f"{ratio(one, two)} times the wall", "1", f"{ratio(five, two)} times the wall a byte"])
        for figures in [medians(of_one)]
    ])


def memory(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    source, lake, rows = folder / "tasks.ndjson", folder / "lake", []
    for name, tasks, partitions in (("2 GB, 200 partitions", 102_500, 200), ("2 GB, 10,000 partitions", 100_000, 10_000)):
        generate(source, tasks, partitions)
        for limit in ("512MiB", "256MiB"):
            wall, cpu, peak = run(flatten(source, fresh(lake), "--memory-limit", limit))
            rows.append([name, limit, f"{wall:.1f}", f"{cpu:.1f}", f"{peak:.0f}"])
    print(f"{our_version()}, {machine()}")
    table("input | memory limit | wall s | CPU s | peak MiB", rows)


def back(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    source, lake, other = generate(folder / "tasks.ndjson", arguments.tasks or TASKS), folder / "lake", folder / "other"
    run(flatten(source, lake))
    text = folder / "back.ndjson"

    def clean(_: str) -> None:
        fresh(other)
        text.unlink(missing_ok=True)

    commands = {
        "flatten": flatten(source, other),
        "restore": [TASKLOOM, "restore", str(lake), "--out", str(text), "--quiet"],
        "verify --deep": [TASKLOOM, "verify", str(lake), "--deep", "--quiet"],
    }
    runs = in_turn(arguments.runs or 5, commands, clean)
    print(f"{mb(source):.0f} MB of NDJSON, {our_version()}, {machine()}")
    table("command | wall s | CPU s | peak MiB | flatten's wall by it", [
        [who, f"{figures.wall_s:.2f}", f"{figures.cpu_s:.2f}", f"{figures.peak_mib:.0f}", ratio(runs["flatten"], of_one)]
        for who, of_one in runs.items() for figures in [medians(of_one)]
    ])


def newest_changed(source: pathlib.Path, to: pathlib.Path, count: int) -> pathlib.Path:
    """Changed copies of the tasks that were completed, or made, last."""
    def date(line: bytes) -> str:
        task = json.loads(line)
        return task.get("completed_at") or task["created_at"]

    with source.open("rb") as lines:
        dates = sorted(((date(line), number) for number, line in enumerate(lines)), reverse=True)
    wanted = {number for _, number in dates[:count]}
    with source.open("rb") as lines, to.open("w") as out:
        for task in (json.loads(line) for number, line in enumerate(lines) if number in wanted):
            task["metadata"] = (task.get("metadata") or {}) | {"changed": True}
            out.write(json.dumps(task) + "\n")
    return to


def merge(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    rows, merged, empty = [], folder / "merged", folder / "empty"
    print(f"{our_version()}, {machine()}")
    for times in (1, 10):
        tasks = (arguments.tasks or TASKS) * times
        source = generate(folder / "tasks.ndjson", tasks)
        changed = newest_changed(source, folder / "changed.ndjson", (arguments.tasks or TASKS) // 100)
        lake = folder / "lake"
        whole, json_mb = run(flatten(source, fresh(lake))), mb(source)
        source.unlink()
        alone, into, reports = [], [], []
        for _ in range(arguments.runs or 5):
            subprocess.run(["cp", "-r", "--reflink=auto", str(lake), str(fresh(merged))], check=True)
            alone.append(run(flatten(changed, fresh(empty))))
            into.append(run(flatten(changed, merged)))
            reports.append(json.loads(max((merged / "_taskloom/runs").iterdir(), key=lambda path: path.stat().st_mtime).read_text()))
        replaced, parts = reports[-1]["merged"]["parts_replaced"], len(list(lake.glob("tasks/project=*/**/*.parquet")))
        rewriting = medians([whole]).wall_s * replaced / parts
        allowed = 2 * medians(alone).wall_s + rewriting
        rows.append([
            f"{json_mb:.0f} MB", f"{mb(changed):.1f} MB", f"{replaced} of {parts}", f"{medians(alone).wall_s:.3f}", f"{rewriting:.3f}",
            f"{medians(into).wall_s:.3f}", f"{medians(into).wall_s / allowed:.2f}",
        ])
    table("lake | what came | parts rewritten | into an empty lake, s | rewriting at flatten's speed, s | merged, s | of twice the first and the second",
          rows)


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
    walls = {who: medians(of_one).wall_s for who, of_one in runs.items()}
    ours_of_each, *_ = runs.values()
    ours, *others = walls

    def times(of_one: list[Figures]) -> float:
        return statistics.median(own.wall_s / our.wall_s for own, our in zip(of_one, ours_of_each))

    title, where = f"{what} to Parquet: wall time, less is better", html.escape(machine())
    labels = {ours: f"{walls[ours]:.1f} s"}
    labels |= {who: f"{walls[who]:.1f} s ({times(runs[who]):.1f} times)" for who in others}
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
    kinds = {"compare": compare, "floor": floor, "scaling": scaling, "memory": memory, "back": back, "merge": merge}
    parser = folder_parser(__doc__, list(kinds))
    parser.add_argument("--source", type=pathlib.Path, help="compare: this file instead of a generated one")
    parser.add_argument("--chart", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    with scratch(arguments) as folder:
        kinds[arguments.what](folder, arguments)


if __name__ == "__main__":
    main()
