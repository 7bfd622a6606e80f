# `make` lists what there is to make.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_TESTS := $(BIN)/python -m pytest -n 2 --dist loadfile

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

# Everything stands in one stamp, so that a second `make` costs nothing.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[export,lab,demo,test]'
	@touch $@

venv: $(VENV)/.installed ## create .venv with everything in it

DIGITS := playbooks/models/digits
$(DIGITS)/digits.pt: $(VENV)/.installed $(DIGITS)/train.py $(DIGITS)/model.py
	$(BIN)/python $(DIGITS)/train.py

demo: $(DIGITS)/digits.pt ## train a digit classifier and deploy it to five virtual Jetsons
	$(BIN)/fleet deploy --inventory inventory/lab.yml

test: $(VENV)/.installed ## run every test tier that this machine can run
	$(RUN_TESTS)

lint: $(VENV)/.installed ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed ## rerun the figures that the README quotes
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/redeploy.py
	$(BIN)/python benchmarks/converged_play.py
	$(BIN)/python benchmarks/converged_play.py --rtt 50

pictures: $(DIGITS)/digits.pt ## make the README's pictures anew from the newest run
	$(BIN)/python -m orchestrator.reports.capture runs/latest docs/images

ansible-goldens: $(VENV)/.installed ## record anew what Ansible makes of the playbooks in tests/ansible (PAIRS="copy file")
	$(BIN)/python tests/ansible/ansible_side.py $(PAIRS)

clean: ## stop the lab and remove what was made here
	-$(BIN)/fleet lab down --inventory inventory/lab.yml
	rm -rf $(VENV) .fleet runs build dist

.PHONY: help venv demo test lint format bench pictures ansible-goldens clean
