"""The rules of Angus data, as pure functions: intervals, buckets, entities, columns, availability, windows.

Nothing here imports an HTTP library, and only ``exceptions.py`` imports Airflow.
"""
