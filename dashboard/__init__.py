"""Streamlit dashboard over the tables of one project folder. It reads Parquet and imports no learning library."""
