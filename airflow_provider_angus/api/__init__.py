"""A client of the Angus Data API, usable without an Airflow connection or a DAG.

``settings`` describes a stream; ``auth`` and ``pagination`` hold the API's rules as flows (see ``messages``);
``client`` runs them with requests, ``async_client`` with httpx.
"""
