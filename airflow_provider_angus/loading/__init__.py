"""Fetch several streams concurrently, and load them into files of any object store or tables of any SQL database."""
