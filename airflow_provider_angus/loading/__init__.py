"""Where rows go: several streams at a time, into files of any object store and tables of any SQL database."""
