"""The report: figures of a period, what stands out, comparisons; as a terminal page, JSON, CSV files and one HTML file."""
