"""Ways out of pandas: Arrow, Parquet, CSV and OpenTelemetry."""
