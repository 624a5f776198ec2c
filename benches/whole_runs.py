"""Times and weighs whole runs of taskloom, as processes, in fresh folders.

    python benches/whole_runs.py memory                peak memory on 2 GB of tasks, and on 10,000 partitions
    python benches/whole_runs.py duckdb [--runs 5]     against DuckDB on 400 MB, in turn, with medians of the ratios

Folders are made in memory (/dev/shm) where that exists, so that no disk is measured; `--folder` names another place. Builds
nothing: `cargo build --release` first.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TASKLOOM = os.environ.get("TASKLOOM_BIN", str(ROOT / "target/release/taskloom"))


def run(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of a process, which must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit status {process.returncode}: {' '.join(command)}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def generate(path: pathlib.Path, tasks: int, partitions: int = 200) -> None:
    run([TASKLOOM, "generate", "--tasks", str(tasks), "--partitions", str(partitions), "--out", str(path)])


def flatten(source: pathlib.Path, lake: pathlib.Path, *flags: str) -> tuple[float, float, float]:
    shutil.rmtree(lake, ignore_errors=True)
    return run([TASKLOOM, "flatten", str(source), "--out", str(lake), *flags])


def memory(folder: pathlib.Path) -> None:
    print("| input | memory limit | wall s | CPU s | peak MiB |\n| --- | --- | --- | --- | --- |")
    for name, tasks, partitions in (("2 GB, 200 partitions", 102_500, 200), ("2 GB, 10,000 partitions", 100_000, 10_000)):
        source = folder / "tasks.ndjson"
        generate(source, tasks, partitions)
        for limit in ("512MiB", "256MiB"):
            wall, cpu, peak = flatten(source, folder / "lake", "--memory-limit", limit)
            print(f"| {name} | {limit} | {wall:.1f} | {cpu:.1f} | {peak:.0f} |", flush=True)


def duckdb(folder: pathlib.Path, runs: int) -> None:
    import duckdb as module

    source, lake = folder / "tasks.ndjson", folder / "lake"
    generate(source, 20_500)
    other = [sys.executable, str(ROOT / "benches/duckdb_flatten.py"), str(source), str(lake)]
    figures: dict[str, list[tuple[float, float, float]]] = {"taskloom": [], f"DuckDB {module.__version__}": []}
    ours, theirs = figures.values()
    for _ in range(runs):
        ours.append(flatten(source, lake))
        shutil.rmtree(lake)
        theirs.append(run(other))
    print(f"{os.cpu_count()} cores, {source.stat().st_size / 1e6:.0f} MB, medians of {runs} runs in turn\n")
    print("| who | wall s | CPU s | peak MiB |\n| --- | --- | --- | --- |")
    for name, rows in figures.items():
        wall, cpu, peak = (statistics.median(figure) for figure in zip(*rows))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} |")
    ratio = statistics.median(their[0] / our[0] for our, their in zip(ours, theirs))
    print(f"\nmedian of the ratios of wall time: {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "duckdb"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default="/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.what == "memory":
            memory(pathlib.Path(folder))
        else:
            duckdb(pathlib.Path(folder), arguments.runs)


if __name__ == "__main__":
    main()
