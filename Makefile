# make demo   watch an Airflow DAG run wait for Angus data and fetch its own interval; a week in SQLite and as a picture
# make ui     a local Airflow with a local Angus, its connections and the example DAGs, to try by hand until Ctrl-C
# make test   the tests, on Airflow 3 and on 2.11
# make e2e    the tests under a real scheduler and triggerer, on both
# make pictures  README's pictures anew, as the browser tests take them
# make check  ruff, mypy, and whether docs/reference.md is up to date; make docs writes it
# make build  a wheel and an sdist in dist/, proved in environments with nothing but an Airflow
# make setup  what the commands above install, which they do by themselves
# make hostile  what the provider survives: faults, fuzz, kills, secrets, load, as a table; secrets also on 2.11
# make bench  what fetching, parsing, waiting and landing cost, beside what one would use instead: docs/benchmarks.md
# Everything these need and write is in this folder. PYTHON=... names another Python to start from.

AIRFLOW_3 := .venv-airflow-3
AIRFLOW_2 := .venv-airflow-2.11
BENCH := .venv-bench
BUILD := .venv-build
# What the benchmark measures beside us.
PEERS := apache-airflow-providers-http airflow-provider-fivetran-async apache-airflow-providers-dbt-cloud
CHROMIUM := /usr/bin/chromium
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_CACHE_DIR := $(CURDIR)/.cache/uv

# The first Python between two versions, $(1) <= version < $(2).
python = $(shell for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not ($(1)) <= sys.version_info[:2] < ($(2)))' 2>/dev/null && echo $$python && break; done)
PYTHON_FOR_3 = $(call python,(3, 11),(3, 15))
PYTHON_FOR_2 = $(call python,(3, 11),(3, 13))

.PHONY: demo ui setup test test-airflow-3 test-airflow-2.11 e2e e2e-airflow-3 e2e-airflow-2.11 check docs build \
	build-airflow-3 build-airflow-2.11 hostile hostile-airflow-3 hostile-airflow-2.11 pictures bench constraints clean

demo: $(AIRFLOW_3)/installed
	$(AIRFLOW_3)/bin/python tools/demo.py

ui: $(AIRFLOW_3)/installed
	@$(AIRFLOW_3)/bin/python tools/ui.py

setup: $(AIRFLOW_3)/tested $(if $(PYTHON_FOR_2),$(AIRFLOW_2)/tested) $(BUILD)/installed

# Both Airflows side by side; in two processes each, for many tests wait for time to pass.
TESTS := -m pytest --numprocesses 2 --dist loadfile
BOTH = +$(MAKE) --jobs=2 --output-sync=target $(@:%=%-airflow-3) $(@:%=%-airflow-2.11)

test:
	$(BOTH)

test-airflow-3: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/python $(TESTS)

e2e:
	$(BOTH)

e2e-airflow-3: $(AIRFLOW_3)/tested $(CHROMIUM)
	$(AIRFLOW_3)/bin/python -m pytest tests/e2e

ifneq ($(PYTHON_FOR_2),)
test-airflow-2.11: $(AIRFLOW_2)/tested
	$(AIRFLOW_2)/bin/python $(TESTS)

e2e-airflow-2.11: $(AIRFLOW_2)/tested $(CHROMIUM)
	$(AIRFLOW_2)/bin/python -m pytest tests/e2e

hostile-airflow-2.11: $(AIRFLOW_2)/tested
	$(AIRFLOW_2)/bin/python -m pytest tests/hostile/test_secrets.py tests/hostile/test_secrets_live.py
else
test-airflow-2.11 e2e-airflow-2.11 hostile-airflow-2.11:
	@echo "Airflow 2.11 needs Python 3.11 or 3.12, and neither is on the PATH: tested on Airflow 3 alone."
endif

hostile: hostile-airflow-3 hostile-airflow-2.11

# Where atheris or what pip-audit asks cannot be reached, the tests of them say so.
hostile-airflow-3: $(AIRFLOW_3)/tested $(BUILD)/installed
	-$(AIRFLOW_3)/bin/python -m pip install --quiet --only-binary :all: --constraint constraints/airflow-3.txt atheris
	$(AIRFLOW_3)/bin/python -m pytest tests/hostile

pictures: $(AIRFLOW_3)/tested $(CHROMIUM)
	ANGUS_PICTURES=$(CURDIR)/docs/pictures $(AIRFLOW_3)/bin/python -m pytest tests/e2e/test_browser.py

# The browser of the tests is Debian's; root installs it, anybody else is told its name.
$(CHROMIUM):
	@test "$$(id -u)" = 0 || { echo "The browser tests need $(CHROMIUM): install the package chromium."; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq chromium >/dev/null

check: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/ruff check
	$(AIRFLOW_3)/bin/ruff format --check
	$(AIRFLOW_3)/bin/mypy
	$(AIRFLOW_3)/bin/python -W ignore tools/reference.py --check

docs: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/python -W ignore tools/reference.py

# Twine says whether an index would take them; the tests install them into environments of their own.
build: $(BUILD)/installed
	rm -rf dist
	$(BUILD)/bin/python -m hatchling build
	$(BUILD)/bin/twine check --strict dist/*
	$(BUILD)/bin/python -m pytest --confcutdir tests/build tests/build/test_distributions.py
	$(BOTH)

build-airflow-3 build-airflow-2.11: build-%:
	mkdir -p .build
	$(BUILD)/bin/python -m pytest --confcutdir tests/build --basetemp .build/$* -vv -k $*-python tests/build

bench: $(BENCH)/installed
	$(BENCH)/bin/python tools/bench

$(AIRFLOW_3)/installed: constraints/airflow-3.txt pyproject.toml
	$(if $(PYTHON_FOR_3),,$(error Python 3.11 or newer is needed and not on the PATH))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(call install,$(@D),$<,[report$(,)sql],apache-airflow-providers-sqlite)

$(AIRFLOW_2)/installed: constraints/airflow-2.11.txt pyproject.toml
	$(PYTHON_FOR_2) -m venv --clear $(@D)
	$(call install,$(@D),$<)

$(AIRFLOW_3)/tested: constraints/airflow-3.txt $(AIRFLOW_3)/installed
	$(call install,$(@D),$<,[dev])

$(AIRFLOW_2)/tested: constraints/airflow-2.11.txt $(AIRFLOW_2)/installed
	$(call install,$(@D),$<,[dev])

$(BENCH)/installed: constraints/airflow-3.txt pyproject.toml
	$(if $(PYTHON_FOR_3),,$(error Python 3.11 or newer is needed and not on the PATH))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(call install,$(@D),$<,[parquet$(,)sql],$(PEERS) apache-airflow-providers-sqlite)

$(BUILD)/installed: constraints/build.txt
	$(if $(PYTHON_FOR_3),,$(error Python 3.11 or newer is needed and not on the PATH))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint $< hatchling pip-audit pytest twine uv
	touch $@

, := ,
# install(virtual environment, constraints, extras, other packages): what builds our own package comes from the
# constraints as well; Airflow first, since some of what it needs has to be built in isolation.
define install
	$(1)/bin/python -m pip install --quiet --constraint $(2) apache-airflow hatchling editables $(4)
	$(1)/bin/python -m pip install --quiet --constraint $(2) --no-build-isolation --editable '.$(3)'
	touch $@
endef

# Its last version with a wheel for Python 3.11, and none has one for 3.14.
ATHERIS := atheris<3.1;python_version<'3.12' atheris;python_version=='3.12.*' atheris;python_version=='3.13.*'

# What a fresh machine installs next year is what was tested today: names and versions, renewed by hand.
constraints: $(BUILD)/installed
	echo "apache-airflow>=3 $(PEERS) $(ATHERIS) hatchling editables" | tr ' ' '\n' | $(compile) --all-extras pyproject.toml --output-file constraints/airflow-3.txt
	echo "apache-airflow~=2.11.0 hatchling editables" | tr ' ' '\n' | $(compile) --all-extras pyproject.toml --output-file constraints/airflow-2.11.txt
	echo "hatchling pip-audit pytest twine uv" | tr ' ' '\n' | $(compile) --output-file constraints/build.txt

compile = $(BUILD)/bin/uv pip compile --quiet --universal --upgrade --no-header --no-annotate --python-version 3.11 -

clean:
	rm -rf .venv-* .build .cache .demo .ui .airflow .bench .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
