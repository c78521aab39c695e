"""The report: summaries of the tables, figures, and one self-contained HTML page. Importing this package is cheap."""
