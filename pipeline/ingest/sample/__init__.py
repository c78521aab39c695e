"""The sample set: clips of people who do not exist, and forgeries of them.

``build.build_sample`` makes it; the committed copy lies in ``pipeline/ingest/sample_data``.
"""
