"""Events that are never lost: accepted into a log on disk, deduplicated, kept as Parquet, read with SQL."""
