# Tickcast: one command to run it, one to test it. `make help` lists the others.
# Each target is a script under scripts/, which sets up by itself what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: run test test-ferretdb torture bench e2e lint fmt screenshot setup clean help

ARGS ?=

run: ## Set up, build, and start Tickcast on http://127.0.0.1:3000 (ARGS="--port 3001")
	@scripts/run $(ARGS)

test: ## Format, lints, docs, licences, all tests; ends with the totals
	@scripts/test

test-ferretdb: ## The store's tests on FerretDB, a second server of MongoDB's protocol (wants Go)
	@scripts/test ferretdb

torture: ## Kill and cut everything at random, 50 rounds (ROUNDS=5 SEED=1)
	@scripts/torture

bench: ## Measure throughput, latency, memory and download size
	@scripts/bench $(ARGS)

e2e: ## The end-to-end tests alone (ARGS="end2end/tests/live.test.mjs")
	@scripts/e2e $(ARGS)

lint: ## Clippy on everything, as `make test` does it
	@scripts/test lint-server lint-browser

fmt: ## Format the Rust code
	@cargo fmt --all

screenshot: ## Take docs/screenshot.png from the running program
	@scripts/screenshot

setup: ## Install the tools and packages that `run` and `test` need
	@scripts/setup --tests

clean: ## Remove what was built; tools, npm packages and prices stay
	@cargo clean
	@rm -rf dist end2end/results

help: ## This list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/' | expand -t 19
