"""The archive: clicks, starts and conversions as Parquet by day, for other programs. A copy, without who it was."""
