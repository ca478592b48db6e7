# SPDX-License-Identifier: Apache-2.0
# Every target does the set-up it needs, and only what of it is missing or out of date.
#   make demo [STAGE=depth_pose] [DATA=folder of images, such as samples/depth] [SECONDS=20] [ARGS="--side both"]
#   make test [TESTS=tests/hand] [ARGS='-m "not slow"']
#   make training      (then: . ./env.sh; python -m training)
#   make build | benchmark | clean

SHELL := /bin/bash
STAGE = depth_pose
DATA =
SECONDS = 20
ARGS =
TESTS = tests

.PHONY: demo test build training benchmark clean

demo:
	@scripts/setup.sh runtime demo
	@. ./env.sh && exec python -m hoi_ros.demo --stage $(STAGE) --seconds $(SECONDS) \
	    $(if $(DATA),--data '$(DATA)') $(ARGS)

# Three test processes on two cores: half of the time of those that run nodes is spent waiting for messages. Each
# computes on one core, as OpenMP threads of several processes on the same cores would wait for each other. There
# are at most 16, as two of many more would meet in one of the 50 ROS domains (tests/conftest.py).
test:
	@scripts/setup.sh runtime demo training test docs
	@. ./env.sh && exec env OMP_NUM_THREADS=1 python -m pytest -n $$(($$(nproc) * 3 / 2)) --maxprocesses 16 \
	    --dist loadfile $(TESTS) $(ARGS)

build:
	@scripts/setup.sh runtime

training:
	@scripts/setup.sh runtime demo training
	@echo "ready: . ./env.sh, then python -m training lists the commands"

benchmark:
	@scripts/setup.sh runtime demo training
	@. ./env.sh && exec python -m benchmarks

clean:
	rm -rf build install log out
