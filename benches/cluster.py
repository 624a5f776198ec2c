"""What many machines gain, and what the one that leads has to do.

    benches/cluster.py spark             one and two executors of one core each on the same files
    benches/cluster.py lead [PARTS]      a run of so many parts, by default 100,000: time and memory of the lead, and what a lake's record weighs

Needs the module, built for release (`make wheel`), in the Python that runs this; `spark` also
what tests/read_back/requirements.txt and tests/python/requirements.txt name.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import taskloom
from taskloom import _cluster

REPOSITORY = Path(__file__).parents[1]
PROGRAM = REPOSITORY / os.environ.get("TASKLOOM_BIN", "target/release/taskloom")
TASKS, FILES = 40_000, 16
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def spark():
    """A cluster with one executor and with two, each run twice, the better one told."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        folder = Path(folder)
        for number in range(FILES):
            words = ["generate", "--tasks", str(TASKS // FILES), "--seed", str(number), "--out", folder / f"{number:02}.ndjson"]
            subprocess.run([PROGRAM, *words], check=True)
        files = sorted(folder.glob("*.ndjson"))
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        print(f"{megabytes:.0f} MB in {FILES} files")
        print(f"{'who':<28}{'seconds':>9}{'MB/s':>7}")
        for executors in (1, 2):
            seconds = float(subprocess.run([sys.executable, __file__, "executors", str(executors), folder], check=True, capture_output=True, text=True).stdout.split()[-1])
            print(f"{f'Spark, {executors} executors of 1 core':<28}{seconds:>9.2f}{megabytes / seconds:>7.0f}")
        for threads in (1, 2):
            seconds = min(timed(lambda: taskloom.flatten(files, folder / f"lake-{threads}-{time.time()}", threads=threads)) for _ in range(2))
            print(f"{f'one machine, {threads} threads':<28}{seconds:>9.2f}{megabytes / seconds:>7.0f}")


def executors(number, folder):
    sys.path.insert(0, str(REPOSITORY / "tests"))
    import java

    os.environ |= {"JAVA_HOME": str(java.home(Path(tempfile.mkdtemp()))), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    from pyspark.sql import SparkSession

    import taskloom.spark

    builder = SparkSession.builder.master(f"local-cluster[{number},1,1024]").config("spark.ui.enabled", False)
    session = builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.showConsoleProgress", False).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    files = sorted(folder.glob("*.ndjson"))
    seconds = [timed(lambda: taskloom.spark.flatten(files, folder / f"spark-{number}-{attempt}", spark=session, shards=FILES)) for attempt in range(3)]
    session.stop()
    print(min(seconds))


def lead(parts):
    """Tasks that are a partition each, in ten shards written by processes of their own: so the lead's own memory can be told."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        place = Path(folder) / "lake"
        run = _cluster.Lead(place, {}, words="a bench", command="benches.cluster", threads=2)
        shards = []
        for number in range(10):
            share = Path(folder) / "share"
            share.write_bytes(json.dumps([run.share.settings, run.share.ticket.hex(), number, parts // 10]).encode())
            subprocess.run([sys.executable, __file__, "shard", share, Path(folder) / "shard"], check=True)
            shards.append((Path(folder) / "shard").read_bytes())
        before = peak()
        seconds = timed(lambda: run.commit(shards))
        record = max((place / "_taskloom/commits").glob("*.json")).stat().st_size
        snapshot = sum(file.stat().st_size for file in (place / "_taskloom/snapshots").glob("*"))
        logs = sum(file.stat().st_size for file in place.glob("*/_delta_log/*"))
        files = sum(1 for _ in place.glob("*/project=*/**/*.parquet"))
        print(f"{parts} parts, {files} files, {sum(map(len, shards)) / parts:.0f} bytes a part from those who write")
        print(f"commit {seconds:.1f} s, peak {peak()} MiB (before {before} MiB)")
        print(f"record {record / files:.0f} bytes a file, snapshots {snapshot / files:.0f}, logs of Delta Lake {logs / files:.0f}")
        print(f"open {timed(lambda: taskloom.Lake(place)):.1f} s")
        merged = taskloom.flatten([a_task(0, 1)], place)
        print(f"merge of one task behind it {merged['seconds']:.1f} s, peak of all {peak()} MiB")


def shard(share, to):
    settings, ticket, number, parts = json.loads(share.read_bytes())
    tasks = (a_task(number * parts + id) for id in range(parts))
    to.write_bytes(_cluster.Share(settings, bytes.fromhex(ticket)).write(tasks, None, f"shard {number}"))


def a_task(id, content=0):
    message = {"role": "user", "content": {"text": f"text {content}"}}
    # Ids as they come from a hash: each shard has them everywhere.
    name = f"{id * 2654435761 % 2**32:08x}"
    turn = {"id": "turn", "messages": [message]}
    return {"task_id": name, "project": f"p{id % 100}", "batch": f"b{id}", "status": "completed",
            "completed_at": "2025-01-01T00:00:00Z", "threads": [{"id": "thread", "turns": [turn]}]}  # fmt: skip


def timed(act):
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["spark"]:
            spark()
        case ["executors", number, folder]:
            executors(int(number), Path(folder))
        case ["lead", *parts]:
            lead(int(*parts) if parts else 100_000)
        case ["shard", share, to]:
            shard(Path(share), Path(to))
        case _:
            sys.exit(__doc__)
