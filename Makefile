help:
	@sed -n 's/^## \{0,1\}//p' $(MAKEFILE_LIST)

## Try it without a camera
##   make demo         run example DAGs on a local Angus.ai, and draw a week of three cameras
##   make ui           start a local Airflow with a local Angus.ai and the example DAGs; Ctrl-C stops it
##
## Test a change
##   make setup        install the virtual environments; the other commands install what they need
##   make test         run the tests on the newest Airflow, except for the longest
##   make check        run ruff, mypy and import-linter, and build the documentation
##   make docs         build the documentation in docs/_build/html
##
## Prove that it works
##   make compat       run all tests, on the other versions of Airflow and Python
##   make e2e          run the system tests with a scheduler, a triggerer and a browser
##   make stores       run the transfers with the clients of stores and databases, against local servers
##   make cluster      run Airflow with Celery, and kill workers, triggerers and schedulers
##   make hostile      run the robustness tests: faults, fuzzing, kills, secrets and load
##
## Measure
##   make bench        run the benchmarks, and write docs/benchmarks.md
##
## Release
##   make build        build the wheel and the sdist in dist/, and test them in clean environments
##   make pictures     take the pictures in docs/pictures
##   make constraints  upgrade the versions in constraints/
##   make clean        remove all files that these commands write, except docs/ and constraints/
##
## All files stay in this folder. PYTHON=... selects another Python interpreter.

AIRFLOW_3 := .venv-airflow-3
AIRFLOW_2 := .venv-airflow-2.11
BENCH := .venv-bench
BUILD := .venv-build
SERVICES := .venv-services
UV := $(BUILD)/bin/uv pip
# The benchmarks compare the provider with these packages.
PEERS := apache-airflow-providers-http airflow-provider-fivetran-async apache-airflow-providers-dbt-cloud
CHROMIUM := /usr/bin/chromium
MYSQL_CONFIG := /usr/bin/mariadb_config
AZURITE := .cache/node/node_modules/.bin/azurite-blob
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_CACHE_DIR := $(CURDIR)/.cache/uv

# The first interpreter on the PATH with $(1) <= version < $(2).
python = $(shell for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not ($(1)) <= sys.version_info[:2] < ($(2)))' 2>/dev/null && echo $$python && break; done)
PYTHON_FOR_3 = $(call python,(3, 11),(3, 15))
PYTHON_FOR_2 = $(call python,(3, 11),(3, 13))
NO_PYTHON = $(error No Python interpreter found. Install Python 3.11 or newer, or set PYTHON)

.PHONY: help demo ui setup test e2e e2e-airflow-3 e2e-airflow-2.11 check docs build \
	build-airflow-3 build-airflow-2.11 compat stores cluster hostile hostile-airflow-3 hostile-airflow-2.11 pictures bench constraints clean

demo: $(AIRFLOW_3)/installed
	$(AIRFLOW_3)/bin/python tools/demo.py

ui: $(AIRFLOW_3)/installed
	@$(AIRFLOW_3)/bin/python tools/ui.py

setup: $(AIRFLOW_3)/tested $(if $(PYTHON_FOR_2),$(AIRFLOW_2)/tested) $(BUILD)/installed

# Three processes on two cores: many tests wait. make compat runs the thorough tests, too, on each version.
test: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/python -m pytest --numprocesses 3 --dist worksteal -m "not thorough"

# Run both versions in parallel.
BOTH = +$(MAKE) --jobs=2 --output-sync=target $(@:%=%-airflow-3) $(@:%=%-airflow-2.11)

e2e:
	$(BOTH)

e2e-airflow-3: $(AIRFLOW_3)/tested $(CHROMIUM)
	$(AIRFLOW_3)/bin/python -m pytest tests/system

ifneq ($(PYTHON_FOR_2),)
e2e-airflow-2.11: $(AIRFLOW_2)/tested $(CHROMIUM)
	$(AIRFLOW_2)/bin/python -m pytest tests/system

hostile-airflow-2.11: $(AIRFLOW_2)/tested
	$(AIRFLOW_2)/bin/python -m pytest tests/robustness/test_secrets.py tests/robustness/test_secrets_live.py
else
e2e-airflow-2.11 hostile-airflow-2.11:
	@echo "Skipped on Airflow 2.11: no Python 3.11 or 3.12 found. Install one, or set PYTHON."
endif

# The versions that make test does not run. Each has a virtual environment of its own.
COMPAT := $(addprefix compat-airflow-,3-python-3.13 3.0-python-3.12 3.1-python-3.13 3.2-python-3.12 2.11-python-3.12 3-python-3.14)

compat: $(BUILD)/installed
	+$(MAKE) --jobs=2 --output-sync=target $(COMPAT)
	$(BUILD)/bin/python tools/versions.py

# The tests write what they saw for docs/versions.md.
$(COMPAT): compat-%: $(BUILD)/installed
	@ANGUS_FEATURES=$(CURDIR)/.cache/features PYTHONPATH=tests/support $(BUILD)/bin/python tools/compat.py $*

hostile: hostile-airflow-3 hostile-airflow-2.11

# The fuzz test is skipped if atheris cannot be installed, the audit if pip-audit has no network.
hostile-airflow-3: $(AIRFLOW_3)/tested $(BUILD)/installed
	-$(AIRFLOW_3)/bin/python -m pip install --quiet --only-binary :all: --constraint constraints/airflow-3.txt atheris
	$(AIRFLOW_3)/bin/python -m pytest tests/robustness

pictures: $(AIRFLOW_3)/tested $(CHROMIUM)
	ANGUS_PICTURES=$(CURDIR)/docs/pictures $(AIRFLOW_3)/bin/python -m pytest tests/system/test_browser.py

$(CHROMIUM): PACKAGE := chromium
# PyPI has only the source of mysqlclient.
$(MYSQL_CONFIG): PACKAGE := libmariadb-dev
$(CHROMIUM) $(MYSQL_CONFIG):
	@test "$$(id -u)" = 0 || { echo "$@ not found. Install the Debian package $(PACKAGE)."; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq $(PACKAGE) >/dev/null

check: docs
	$(AIRFLOW_3)/bin/ruff check
	$(AIRFLOW_3)/bin/ruff format --check
	$(AIRFLOW_3)/bin/mypy
	$(AIRFLOW_3)/bin/lint-imports --no-logo --cache-dir .cache/import-linter

# Each warning is an error. The pages are read anew, because a change of the package can break each of them.
docs: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/python -W ignore -m sphinx --quiet --fail-on-warning --fresh-env --doctree-dir .cache/docs docs docs/_build/html

# Twine checks the metadata. The tests install the wheel into clean environments.
build: $(BUILD)/installed
	rm -rf dist
	$(BUILD)/bin/python -m hatchling build
	$(BUILD)/bin/twine check --strict dist/*
	$(BUILD)/bin/python -m pytest --confcutdir tests/build tests/build/test_distributions.py
	$(BOTH)

build-airflow-3 build-airflow-2.11: build-%:
	mkdir -p .build
	$(BUILD)/bin/python -m pytest --confcutdir tests/build --basetemp .build/$* -vv -k $*-python tests/build

# The tests of one store or database run in one process, which starts its servers.
stores: $(SERVICES)/installed $(AZURITE)
	$(SERVICES)/bin/python -m pytest --numprocesses 4 --dist loadgroup -rs tests/stores \
		$(wildcard tests/unit/loading/test_sql*.py tests/tasks/test_transfer_*.py) tests/tasks/test_audit.py

$(AZURITE):
	@if npm --version >/dev/null 2>&1; then npm install --silent --no-save --prefix .cache/node azurite@3.37.0; \
	else echo "The tests of Azure are skipped. To run them, install Node.js and npm."; fi

cluster: $(SERVICES)/installed
	$(SERVICES)/bin/python -m pytest -rs tests/cluster

bench: $(BENCH)/installed
	$(BENCH)/bin/python tools/benchmarks

$(AIRFLOW_3)/installed: constraints/airflow-3.txt pyproject.toml | $(BUILD)/installed
	$(if $(PYTHON_FOR_3),,$(NO_PYTHON))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(call install,$(@D),$<,[report$(,)sql],apache-airflow-providers-sqlite)

$(AIRFLOW_2)/installed: constraints/airflow-2.11.txt pyproject.toml | $(BUILD)/installed
	$(PYTHON_FOR_2) -m venv --clear $(@D)
	$(call install,$(@D),$<)

$(AIRFLOW_3)/tested: constraints/airflow-3.txt $(AIRFLOW_3)/installed
	$(call install,$(@D),$<,[dev$(,)docs])

$(AIRFLOW_2)/tested: constraints/airflow-2.11.txt $(AIRFLOW_2)/installed
	$(call install,$(@D),$<,[dev])

$(BENCH)/installed: constraints/airflow-3.txt pyproject.toml | $(BUILD)/installed
	$(if $(PYTHON_FOR_3),,$(NO_PYTHON))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(call install,$(@D),$<,[parquet$(,)sql],$(PEERS) apache-airflow-providers-postgres apache-airflow-providers-sqlite)

# Apart from airflow-3.txt: fakesnow pins DuckDB, sqlglot and Snowflake's connector.
$(SERVICES)/installed: constraints/services.txt pyproject.toml | $(BUILD)/installed $(MYSQL_CONFIG)
	$(if $(PYTHON_FOR_3),,$(NO_PYTHON))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(call install,$(@D),$<,[services],apache-airflow-providers-mysql)

$(BUILD)/installed: constraints/build.txt
	$(if $(PYTHON_FOR_3),,$(NO_PYTHON))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint $< hatchling pip-audit pytest twine uv
	touch $@

, := ,
# $(call install,virtual environment,constraints,extras,other packages)
# uv takes a tenth of pip's time. Our package is built with the constraints' hatchling, so without isolation, which comes
# first.
define install
	$(UV) install --quiet --python $(1)/bin/python --constraint $(2) apache-airflow hatchling editables $(4)
	$(UV) install --quiet --python $(1)/bin/python --constraint $(2) --no-build-isolation-package airflow-provider-angus --editable '.$(3)'
	touch $@
endef

# atheris 3.0 is the last version with a wheel for Python 3.11. No version has a wheel for 3.14.
ATHERIS := atheris<3.1;python_version<'3.12' atheris;python_version=='3.12.*' atheris;python_version=='3.13.*'

# Later installations use the tested versions. To add a package without upgrading others, remove --upgrade.
constraints: $(BUILD)/installed
	echo "apache-airflow>=3 $(PEERS) $(ATHERIS) hatchling editables" | tr ' ' '\n' | $(compile) --extra dev --extra docs pyproject.toml --output-file constraints/airflow-3.txt
	echo "apache-airflow>=3 hatchling editables" | tr ' ' '\n' | $(compile) --extra services pyproject.toml --output-file constraints/services.txt
	echo "apache-airflow~=2.11.0 hatchling editables" | tr ' ' '\n' | $(compile) --extra dev pyproject.toml --output-file constraints/airflow-2.11.txt
	echo "apache-airflow==3.0.6 apache-airflow-providers-fab hatchling editables" | tr ' ' '\n' | $(compile) $(call as_of,2025-09-01) --extra dev pyproject.toml --output-file constraints/airflow-3.0.txt
	echo "apache-airflow==3.1.8 apache-airflow-providers-fab hatchling editables" | tr ' ' '\n' | $(compile) $(call as_of,2026-03-14) --extra dev pyproject.toml --output-file constraints/airflow-3.1.txt
	echo "apache-airflow==3.2.2 hatchling editables" | tr ' ' '\n' | $(compile) $(call as_of,2026-06-01) --extra dev pyproject.toml --output-file constraints/airflow-3.2.txt
	echo "hatchling pip-audit pytest twine uv" | tr ' ' '\n' | $(compile) --output-file constraints/build.txt

# Old versions of Airflow fail with later versions of their dependencies. The provider needs later versions of these three.
as_of = --exclude-newer $(1) $(foreach package,apache-airflow-providers-common-compat apache-airflow-providers-common-sql asgiref,--exclude-newer-package $(package)=false)

compile = $(UV) compile --quiet --universal --upgrade --no-header --no-annotate --python-version 3.11 -

clean:
	rm -rf .venv-* .build .cache .demo .ui .airflow .bench .hypothesis .mypy_cache .pytest_cache .ruff_cache dist docs/_build
