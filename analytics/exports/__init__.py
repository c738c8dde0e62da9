"""Exports: the rollups as tables for other programs, the same in CSV and in Parquet."""
