#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this tree ready to run on a machine without a ROS 2 installation: virtual environment, ROS 2 Jazzy
# from wheels, Python requirements, the colcon build. Does only what is missing or out of date.
# Usage: scripts/setup.sh [PURPOSE ...]   a purpose is a file of requirements/ (default: runtime)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=$root/.venv
stamps=$venv/stamps
[ $# -gt 0 ] || set -- runtime

# Another ROS 2 installation that the shell has sourced must not leak into this build.
unset PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH VIRTUAL_ENV LD_LIBRARY_PATH
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE

say() { printf '== %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
fingerprint() { sha256sum | cut -c1-64; }

# up_to_date NAME FINGERPRINT: whether the step of that name was last done for that fingerprint.
up_to_date() { [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }
done_for() { mkdir -p "$stamps" && printf '%s\n' "$2" > "$stamps/$1"; }

# $PYTHON, else the first interpreter that really starts (a pyenv shim may name a version that is not active)
# and is one the wheels exist for; nothing where there is none.
find_python() {
  local candidate
  local -a candidates=(python3.11 python3.12 python3
    "$HOME"/.pyenv/versions/3.11.*/bin/python3.11 "$HOME"/.pyenv/versions/3.12.*/bin/python3.12)
  for candidate in "${PYTHON:-${candidates[@]}}"; do
    if "$candidate" -c 'import sys; exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

# Debian packages that are missing, one a line.
missing_packages() {
  local libraries python=$1
  libraries=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p)
  command -v cmake >/dev/null || echo cmake
  command -v g++ >/dev/null || echo g++
  command -v make >/dev/null || echo make
  grep -q 'libusb-1\.0\.so\.0 ' <<<"$libraries" || echo libusb-1.0-0
  grep -q 'libGL\.so\.1 ' <<<"$libraries" || echo libgl1
  grep -q 'libgomp\.so\.1 ' <<<"$libraries" || echo libgomp1
  grep -q 'libEGL\.so\.1 ' <<<"$libraries" || echo libegl1
  grep -q 'libX11\.so\.6 ' <<<"$libraries" || echo libx11-6
  if [ -z "$python" ]; then
    printf '%s\n' python3 python3-venv python3-dev
  else
    "$python" - <<'PYTHON'
import importlib.util
import pathlib
import sys
import sysconfig

name = f"python{sys.version_info.major}.{sys.version_info.minor}"
if importlib.util.find_spec("ensurepip") is None:
    print(f"{name}-venv")
if not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists():
    print(f"{name}-dev")
PYTHON
  fi
}

install_packages() {
  local -a missing
  [ -z "${PYTHON:-}" ] || [ -n "$(find_python)" ] \
    || fail "PYTHON=$PYTHON is no Python 3.11 or 3.12 that starts"
  mapfile -t missing < <(missing_packages "$(find_python)")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "this machine lacks: ${missing[*]}. On Debian or Ubuntu: sudo apt-get install ${missing[*]}"
  fi
  say "Debian packages: ${missing[*]}"
  apt-get update || say "some package lists could not be refreshed; trying with those that are here"
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
}

create_environment() {
  local python
  python=$(find_python)
  [ -n "$python" ] \
    || fail "no Python 3.11 or 3.12 that starts was found (tried python3.11, python3.12, python3):" \
    "install one with its headers and venv, and name it: make PYTHON=/path/to/python3.12"
  say "virtual environment with $("$python" --version)"
  rm -rf "$venv" build install
  "$python" -m venv "$venv"
}

# PyPI's torch for Linux brings gigabytes of CUDA: without an NVIDIA GPU the CPU build is taken where it can
# be had.
torch_index() {
  local index=https://download.pytorch.org/whl/cpu
  if ! command -v nvidia-smi >/dev/null && "$venv/bin/python" -c "
import urllib.request
urllib.request.urlopen('$index/torch/', timeout=5)" 2>/dev/null; then
    echo "--extra-index-url=$index"
  fi
}

# Paths of the wheels' build machine are baked into their CMake targets.
mend_exported_targets() {
  local python_include numpy_include build_machine='/opt/python/cp[0-9]+-cp[0-9]+'
  python_include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  numpy_include=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
  { grep -rlE "$build_machine" "$venv/share" --include='*.cmake' || true; } | xargs -r sed -i -E \
    -e "s#$build_machine/include/python[0-9.]+#$python_include#g" \
    -e "s#$build_machine/lib/python[0-9.]+/site-packages/numpy/_core/include#$numpy_include#g"
}

install_requirements() {
  local purpose
  local -a pending=() arguments=()
  for purpose in ros_wheels "$@"; do
    [ -f "requirements/$purpose.txt" ] || fail "no requirements/$purpose.txt"
    up_to_date "$purpose" "$(requirements_of "$purpose")" && continue
    pending+=("$purpose")
    arguments+=(-r "requirements/$purpose.txt")
    [ "$purpose" != training ] || arguments+=($(torch_index))
  done
  [ ${#pending[@]} -gt 0 ] || return 0
  say "Python packages: ${pending[*]} (a few minutes the first time)"
  # Few of the modules are ever imported: Python compiles those at their first import.
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-compile \
    -c requirements/constraints.txt "${arguments[@]}" | sed -unE \
    -e 's/^ *((Downloading|Using cached) .* MB\)|(Processing|Building) .*)$/   \1/p' \
    -e 's/^Installing collected packages.*/   installing them/p'
  mend_exported_targets
  for purpose in "${pending[@]}"; do
    done_for "$purpose" "$(requirements_of "$purpose")"
  done
}

requirements_of() { cat "requirements/$1.txt" requirements/constraints.txt | fingerprint; }

# What a build depends on: its own inputs in full; of what it links to, only which files there are.
build_inputs() {
  find CMakeLists.txt package.xml msg srv interfaces scripts/*.in -type f -print0 \
    | sort -z | xargs -0 sha256sum
  find hoi_ros config launch models rviz -name __pycache__ -prune -o -type f -print | sort
  cat "$stamps/ros_wheels"
}

build() {
  local inputs
  inputs=$(build_inputs | fingerprint)
  [ -d install/hoi_ros ] && up_to_date build "$inputs" && return 0
  say "colcon build"
  AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv PATH=$venv/bin:$PATH \
    "$venv/bin/colcon" --log-level error build --base-paths . interfaces/* --symlink-install \
    --cmake-args "-DPython3_EXECUTABLE=$venv/bin/python"
  done_for build "$inputs"
}

# A script cannot name its interpreter in a path with spaces.
[[ $root != *[[:space:]]* ]] || fail "$root: move the tree to a path without spaces"

# Two runs at once would build over each other.
exec 9> "$root/.setup.lock"
flock --nonblock 9 || { say "waiting for another set-up of this tree"; flock 9; }

if ! up_to_date environment "$root" || ! "$venv/bin/python" -c '' 2>/dev/null; then
  install_packages
  create_environment
  done_for environment "$root"
fi
install_requirements "$@"
build
