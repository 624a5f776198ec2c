"""The engines agree on a lake, opened by the code that `taskloom sql` prints."""

import engines


def test_spark_counts_what_duckdb_counts(generated, spark):
    engines.in_python("spark", generated.root)
    query = "SELECT count(*), sum(annotation_count) FROM messages"
    assert [tuple(row) for row in spark.sql(query).collect()] == engines.in_duckdb(generated.root).sql(query).fetchall()
