.DEFAULT_GOAL := help

help:  ## What a contributor can do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup:  ## Install everything and the pre-commit hooks
	pip install uv && uv sync && uv run pre-commit install

run:  ## The whole pipeline on the sample set
	uv run dvc repro

dashboard:  ## Look at the results
	uv run streamlit run dashboard/app.py

test:  ## All tests
	uv run pytest

lint:  ## Format, lint, check types and import rules
	uv run ruff format && uv run ruff check && uv run mypy && uv run lint-imports

pins:  ## Write the versions of a fresh resolution into pyproject.toml
	python .ci/pins.py

docs:  ## Make the table dictionary again
	uv run python -m pipeline.dictionary

fixtures:  ## Make the golden files of the tests again (needs OpenVINO, from the group 'parity')
	uv run --group parity python -m tests.data.make_mobile_fixture
	uv run python -m tests.data.make_stlpips_fixture
	test -z "$(E4E)" || uv run python -m tests.data.make_e4e_fixture "$(E4E)"  # E4E=<clone of omertov/encoder4editing>

ci:  ## What the server runs
	bash .ci/run

.PHONY: pins help setup run dashboard test lint docs fixtures ci
