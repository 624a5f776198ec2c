"""A lake in each engine, opened by the code that `taskloom sql` prints: by the lake's records, or, where `TASKLOOM_VIA` says so, by its
logs of Delta Lake. Then Sail stands for Spark, whose packages for these don't come with it.
"""

import functools
import os
import re
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds
from conftest import taskloom

import java

# Sessions stand here before the code runs, which must not fall for it.
ELSEWHERE = "America/Los_Angeles"


VIA = os.environ.get("TASKLOOM_VIA", "records")


def printed_code(engine, lake, *flags):
    if (engine, VIA) == ("spark", "delta") and "--at" not in flags:
        # Sail doesn't tell which version is the newest.
        flags = (*flags, "--at", str(newest(lake)))
    return taskloom("sql", "--engine", engine, lake, "--via", VIA, *flags)


def newest(lake):
    return max(int(record.stem) for record in Path(lake).glob("_taskloom/commits/*.json"))


def in_duckdb(lake):
    """A connection with a view for every table."""
    connection = connect()
    connection.execute(printed_code("duckdb", lake))
    return connection


def connect():
    # Nothing is fetched from the network: all that is needed comes with the package.
    connection = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False})
    if VIA == "delta":
        connection.execute(f"LOAD '{delta_extension(duckdb)}'")
    connection.execute(f"SET TimeZone = '{ELSEWHERE}'")
    return connection


def delta_extension(package):
    """DuckDB's extension, which comes as a package beside it."""
    packages = Path(package.__file__).parent.parent
    return next(packages.glob("duckdb_extension_delta/**/delta.duckdb_extension"))


def in_python(engine, lake):
    """What the code of a Python engine leaves behind, by name: a frame or a dataset for every table."""
    return run_python(engine, printed_code(engine, lake))


def run_python(engine, code):
    names = {}
    exec(compile(code, f"taskloom sql --engine {engine}", "exec"), names)
    return names


def start_spark(folder):
    """The session that the code for Spark finds, on two threads, with a Java of our own."""
    from pyspark.sql import SparkSession

    if VIA == "delta":
        return start_sail(SparkSession)
    os.environ["JAVA_HOME"] = str(java.home(folder))

    builder = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", 2)
    builder = builder.config("spark.ui.enabled", False).config("spark.ui.showConsoleProgress", False)
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    builder = builder.config("spark.driver.extraJavaOptions", f"-Duser.timezone={ELSEWHERE}")
    # Quicker where tables are small: a task for many files, no compiler, and a plan that stays.
    builder = builder.config("spark.sql.files.openCostInBytes", 0).config("spark.sql.codegen.wholeStage", False)
    builder = builder.config("spark.sql.adaptive.enabled", False)
    session = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse")).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


# Servers end when nobody knows them any more.
servers = []


def start_sail(session):
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    servers.append(server)
    server.start(background=True)
    _, port = server.listening_address
    os.environ["SPARK_REMOTE"] = f"sc://127.0.0.1:{port}"
    return session.builder.getOrCreate()


class Opened:
    """A lake in an engine. Every engine is asked the same, and answers with Python's values."""

    def __init__(self, code):
        self.code = code
        self.run()

    def run(self):
        """Runs the code, or runs it again."""
        self.rows = functools.cache(self.read)

    def read(self, name):
        """All rows of a table as dicts; `rows` remembers them."""
        return self.arrow(name).to_pylist()

    def summary(self, table, columns, numbers):
        """What the engine itself says of a table: the rows, the values that are there, the sums of the numbers."""
        asked = ["count(*)", *(f"count(t.{name})" for name in columns), *(f"sum(t.{name})" for name in numbers)]
        return self.sql(f"SELECT {', '.join(f'{what} AS c{n}' for n, what in enumerate(asked))} FROM {table} AS t")[0]

    def tasks_of(self, project, day):
        """The ids of the tasks of a project on a day."""
        project = project.replace("'", "''")
        query = f"SELECT task_id FROM tasks WHERE project = '{project}' AND date = CAST('{day}' AS DATE)"
        return [id for (id,) in self.sql(query)]


class InDuckdb(Opened):
    connection = None

    def run(self):
        super().run()
        self.connection = self.connection or connect()
        self.connection.execute(self.code)

    def types(self, name):
        return {row[0]: row[1] for row in self.connection.sql(f"DESCRIBE {name}").fetchall()}

    def arrow(self, name):
        return self.connection.sql(f"FROM {name}").to_arrow_table()

    def sql(self, query):
        return self.connection.sql(query).fetchall()


class InPolars(Opened):
    def run(self):
        super().run()
        names = run_python("polars", self.code)
        self.frames = {name: value for name, value in names.items() if isinstance(value, pl.LazyFrame)}

    def types(self, name):
        return {column: str(kind) for column, kind in self.frames[name].collect_schema().items()}

    def arrow(self, name):
        return self.frames[name].collect().to_arrow()

    def sql(self, query):
        return pl.SQLContext(self.frames).execute(query).collect().rows()


class InSpark(Opened):
    def run(self):
        from pyspark.sql import SparkSession

        super().run()
        self.session = SparkSession.builder.getOrCreate()
        self.session.conf.set("spark.sql.session.timeZone", ELSEWHERE)
        names = run_python("spark", self.code)
        self.frames = {name: value for name, value in names.items() if hasattr(value, "createOrReplaceTempView")}

    def types(self, name):
        return dict(self.frames[name].dtypes)

    def arrow(self, name):
        # Not `collect`, which hands out times in the zone of the Python process.
        return self.frames[name].toArrow()

    def sql(self, query):
        # Another lake may have taken the names of the views.
        for name in self.frames.keys() & set(re.findall(r"\w+", query)):
            self.frames[name].createOrReplaceTempView(name)
        return [tuple(row) for row in self.session.sql(query).collect()]


    def tasks_of(self, project, day):
        from pyspark.sql.functions import col, lit

        wanted = (col("project") == lit(project)) & (col("date") == lit(date.fromisoformat(day)))
        return [row[0] for row in self.frames["tasks"].where(wanted).select("task_id").collect()]


class InPyarrow(Opened):
    def run(self):
        super().run()
        names = run_python("pyarrow", self.code)
        self.datasets = {name: value for name, value in names.items() if isinstance(value, ds.Dataset)}

    def types(self, name):
        return {field.name: str(field.type) for field in self.datasets[name].schema}

    def arrow(self, name):
        return self.datasets[name].to_table()

    def summary(self, table, columns, numbers):
        dataset = self.datasets[table]
        read = dataset.to_table(columns=columns)
        there = (pc.count(read[name]).as_py() for name in columns)
        return (dataset.count_rows(), *there, *(pc.sum(read[name]).as_py() for name in numbers))

    def tasks_of(self, project, day):
        wanted = (ds.field("project") == project) & (ds.field("date") == date.fromisoformat(day))
        return self.datasets["tasks"].to_table(columns=["task_id"], filter=wanted)["task_id"].to_pylist()


OPEN = {"duckdb": InDuckdb, "polars": InPolars, "spark": InSpark, "pyarrow": InPyarrow}


def opened(engine, lake, *flags):
    return OPEN[engine](printed_code(engine, lake, *flags))


# A lake takes Spark a while.
opened_once = functools.cache(opened)
