"""What the benches have in common: whole processes, timed and weighed, in turn, and tables of what they took.

Nothing is built here: `cargo build --release` first. Files lie in memory (/dev/shm) where that exists, so that no disk is measured.
"""
import argparse
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
from contextlib import contextmanager
from typing import Callable, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
TASKLOOM = os.environ.get("TASKLOOM_BIN", str(ROOT / "target/release/taskloom"))


class Figures(NamedTuple):
    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: list[str], stdout=subprocess.DEVNULL) -> Figures:
    """What a process takes, which must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=stdout)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit status {process.returncode}: {' '.join(command)}")
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(runs: int, commands: dict[str, list[str] | Callable[[], Figures]], behind: Callable[[str], None]) -> dict[str, list[Figures]]:
    """Each command so many times, one after the other round by round, so that a machine that changes its pace does so to all.
    `behind` is called with its name after each."""
    figures: dict[str, list[Figures]] = {who: [] for who in commands}
    for _ in range(runs):
        for who, command in commands.items():
            figures[who].append(command() if callable(command) else run(command))
            behind(who)
    return figures


def medians(of_one: list[Figures]) -> Figures:
    return Figures(*map(statistics.median, zip(*of_one)))


def ratio(of_one: list[Figures], to: list[Figures], figure: str = "wall_s") -> str:
    """Round by round: the median, and the least and the greatest."""
    found = sorted(getattr(own, figure) / getattr(other, figure) for own, other in zip(of_one, to))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def quickest(of_one: list[Figures], to: list[Figures], figure: str = "wall_s") -> str:
    """The least of each by the other: of a machine that others slow down, what is left when they don't."""
    least = [min(getattr(figures, figure) for figures in all_of_one) for all_of_one in (of_one, to)]
    return f"{least[0] / least[1]:.2f}"


def table(heads: str, rows: list[list[str]]) -> None:
    """Prints Markdown."""
    print(f"\n| {heads} |\n|{' --- |' * (heads.count('|') + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def machine() -> str:
    """The processor, its cores and the memory."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE)
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB of memory"


def our_version() -> str:
    return subprocess.run([TASKLOOM, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def generate(path: pathlib.Path, tasks: int, partitions: int = 200, *flags: str) -> pathlib.Path:
    run([TASKLOOM, "generate", "--tasks", str(tasks), "--partitions", str(partitions), "--out", str(path), *flags])
    return path


def flatten(source: pathlib.Path, lake: pathlib.Path, *flags: str) -> list[str]:
    return [TASKLOOM, "flatten", str(source), "--out", str(lake), "--quiet", *flags]


def fresh(folder: pathlib.Path) -> pathlib.Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def mb(path: pathlib.Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def folder_parser(description: str, what: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=what)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--folder", default="/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None)
    return parser


@contextmanager
def scratch(arguments: argparse.Namespace):
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        yield pathlib.Path(folder)
