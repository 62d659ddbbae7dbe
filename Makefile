# make demo         run an example DAG on a local Angus server, then load and plot one week
# make ui           start a local Airflow with a local Angus server and the example DAGs; Ctrl-C stops it
# make test         run the tests on Airflow 3, and those that use Airflow on 2.11 too
# make e2e          run the system tests with a scheduler, a triggerer and a browser, on both versions
# make check        run ruff, mypy and import-linter, and check that docs/reference.md is up to date
# make docs         write docs/reference.md
# make build        build the wheel and the sdist in dist/, and test them in clean environments
# make hostile      run the robustness tests: faults, fuzzing, kills, secrets and load
# make bench        run the benchmarks and write the results to docs/benchmarks.md and README.md
# make pictures     update the screenshots in docs/pictures
# make setup        install the virtual environments; the other commands install what they need
# make constraints  upgrade the versions in constraints/
# make clean        remove all files that these commands write, except README.md, docs/ and constraints/
#
# All files stay in this folder. PYTHON=... selects another Python interpreter.

AIRFLOW_3 := .venv-airflow-3
AIRFLOW_2 := .venv-airflow-2.11
BENCH := .venv-bench
BUILD := .venv-build
# The benchmarks compare the provider with these packages.
PEERS := apache-airflow-providers-http airflow-provider-fivetran-async apache-airflow-providers-dbt-cloud
CHROMIUM := /usr/bin/chromium
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_CACHE_DIR := $(CURDIR)/.cache/uv

# The first interpreter on the PATH with $(1) <= version < $(2).
python = $(shell for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not ($(1)) <= sys.version_info[:2] < ($(2)))' 2>/dev/null && echo $$python && break; done)
PYTHON_FOR_3 = $(call python,(3, 11),(3, 15))
PYTHON_FOR_2 = $(call python,(3, 11),(3, 13))
NO_PYTHON = $(error No Python interpreter found. Install Python 3.11 or newer, or set PYTHON)

.PHONY: demo ui setup test test-airflow-3 test-airflow-2.11 e2e e2e-airflow-3 e2e-airflow-2.11 check docs build \
	build-airflow-3 build-airflow-2.11 hostile hostile-airflow-3 hostile-airflow-2.11 pictures bench constraints clean

demo: $(AIRFLOW_3)/installed
	$(AIRFLOW_3)/bin/python tools/demo.py

ui: $(AIRFLOW_3)/installed
	@$(AIRFLOW_3)/bin/python tools/ui.py

setup: $(AIRFLOW_3)/tested $(if $(PYTHON_FOR_2),$(AIRFLOW_2)/tested) $(BUILD)/installed

# Run both versions in parallel. The longer tests on Airflow 3 run in three processes: many of them wait.
TESTS := -m pytest --numprocesses 3 --dist worksteal
BOTH = +$(MAKE) --jobs=2 --output-sync=target $(@:%=%-airflow-3) $(@:%=%-airflow-2.11)

test:
	$(BOTH)

test-airflow-3: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/python $(TESTS)

e2e:
	$(BOTH)

e2e-airflow-3: $(AIRFLOW_3)/tested $(CHROMIUM)
	$(AIRFLOW_3)/bin/python -m pytest tests/system

ifneq ($(PYTHON_FOR_2),)
# api, model and sandbox import no Airflow (make check), and both constraints pin the same libraries for them. Their
# tests run once, on Airflow 3.
test-airflow-2.11: $(AIRFLOW_2)/tested
	$(AIRFLOW_2)/bin/python -m pytest $(foreach folder,api model sandbox,--ignore tests/unit/$(folder))

e2e-airflow-2.11: $(AIRFLOW_2)/tested $(CHROMIUM)
	$(AIRFLOW_2)/bin/python -m pytest tests/system

hostile-airflow-2.11: $(AIRFLOW_2)/tested
	$(AIRFLOW_2)/bin/python -m pytest tests/robustness/test_secrets.py tests/robustness/test_secrets_live.py
else
test-airflow-2.11 e2e-airflow-2.11 hostile-airflow-2.11:
	@echo "Skipped on Airflow 2.11: no Python 3.11 or 3.12 found. Install one, or set PYTHON."
endif

hostile: hostile-airflow-3 hostile-airflow-2.11

# The fuzz test is skipped if atheris cannot be installed, the audit if pip-audit has no network.
hostile-airflow-3: $(AIRFLOW_3)/tested $(BUILD)/installed
	-$(AIRFLOW_3)/bin/python -m pip install --quiet --only-binary :all: --constraint constraints/airflow-3.txt atheris
	$(AIRFLOW_3)/bin/python -m pytest tests/robustness

pictures: $(AIRFLOW_3)/tested $(CHROMIUM)
	ANGUS_PICTURES=$(CURDIR)/docs/pictures $(AIRFLOW_3)/bin/python -m pytest tests/system/test_browser.py

$(CHROMIUM):
	@test "$$(id -u)" = 0 || { echo "$(CHROMIUM) not found. Install the Debian package chromium."; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq chromium >/dev/null

check: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/ruff check
	$(AIRFLOW_3)/bin/ruff format --check
	$(AIRFLOW_3)/bin/mypy
	$(AIRFLOW_3)/bin/lint-imports --no-logo --cache-dir .cache/import-linter
	$(AIRFLOW_3)/bin/python -W ignore tools/reference.py --check

docs: $(AIRFLOW_3)/tested
	$(AIRFLOW_3)/bin/python -W ignore tools/reference.py

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

bench: $(BENCH)/installed
	$(BENCH)/bin/python tools/benchmarks

$(AIRFLOW_3)/installed: constraints/airflow-3.txt pyproject.toml
	$(if $(PYTHON_FOR_3),,$(NO_PYTHON))
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
	$(if $(PYTHON_FOR_3),,$(NO_PYTHON))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(call install,$(@D),$<,[parquet$(,)sql],$(PEERS) apache-airflow-providers-postgres apache-airflow-providers-sqlite)

$(BUILD)/installed: constraints/build.txt
	$(if $(PYTHON_FOR_3),,$(NO_PYTHON))
	$(PYTHON_FOR_3) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --constraint $< hatchling pip-audit pytest twine uv
	touch $@

, := ,
# $(call install,virtual environment,constraints,extras,other packages)
# The build requirements come from the constraints too, so our package is built without isolation. Airflow is installed
# first because some of its dependencies need an isolated build.
define install
	$(1)/bin/python -m pip install --quiet --constraint $(2) apache-airflow hatchling editables $(4)
	$(1)/bin/python -m pip install --quiet --constraint $(2) --no-build-isolation --editable '.$(3)'
	touch $@
endef

# atheris 3.0 is the last version with a wheel for Python 3.11. No version has a wheel for 3.14.
ATHERIS := atheris<3.1;python_version<'3.12' atheris;python_version=='3.12.*' atheris;python_version=='3.13.*'

# Later installations use the tested versions. To add a package without upgrading others, remove --upgrade.
constraints: $(BUILD)/installed
	echo "apache-airflow>=3 $(PEERS) $(ATHERIS) hatchling editables" | tr ' ' '\n' | $(compile) --all-extras pyproject.toml --output-file constraints/airflow-3.txt
	echo "apache-airflow~=2.11.0 hatchling editables" | tr ' ' '\n' | $(compile) --all-extras pyproject.toml --output-file constraints/airflow-2.11.txt
	echo "hatchling pip-audit pytest twine uv" | tr ' ' '\n' | $(compile) --output-file constraints/build.txt

compile = $(BUILD)/bin/uv pip compile --quiet --universal --upgrade --no-header --no-annotate --python-version 3.11 -

clean:
	rm -rf .venv-* .build .cache .demo .ui .airflow .bench .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
