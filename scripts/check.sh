#!/usr/bin/env bash
# README command 2: everything that must be true before a commit, on a bare machine.
# Installs what the tests need, then runs tests, lint, format, types and the manifest check.
# All of them run even if one fails; the exit code is 0 only if all passed.
#
#   bash scripts/check.sh              PYTHON=python3.12 and VENV=DIR change what it uses
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

python=${PYTHON:-python3}
venv=${VENV:-.venv-test}
# One process of tests a core, each with a screen of its own; more than four gain little. Their
# thread pools would only get into each other's way.
workers=$(nproc 2>/dev/null || echo 2)
[ "$workers" -le 4 ] || workers=4
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export MPLBACKEND=agg PIP_DISABLE_PIP_VERSION_CHECK=1

die() { printf 'error: %s\n' "$1" >&2; exit 1; }

# What a Qt window and a screen without a screen (Xvfb) need on a slim Debian or Ubuntu image.
system_packages=(
  xvfb xauth libgl1 libegl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libx11-xcb1
  libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1
  libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libxcb-randr0 libxcb-xfixes0 libxcb-sync1
)

missing_system_packages() {
  local name
  for name in "${system_packages[@]}"; do
    # Newer releases install libglib2.0-0 as libglib2.0-0t64, which "provides" the old name.
    dpkg-query -W -f='${db:Status-Status} ${Package} ${Provides}\n' "$name" "${name}t64" 2>/dev/null |
      grep -q '^installed ' || printf '%s ' "$name"
  done
}

install_system_packages() {
  command -v dpkg-query >/dev/null || {
    echo "Not a Debian system: expecting the Qt libraries and, without a screen, Xvfb to be there."
    return
  }
  local missing
  missing=$(missing_system_packages)
  [ -z "$missing" ] && return
  if [ "$(id -u)" -ne 0 ]; then
    die "the Qt tests need system packages that are missing; run: sudo apt-get install $missing"
  fi
  echo "Installing: $missing"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # one word a package
  apt-get -q update && apt-get -q install -y --no-install-recommends $missing ||
    die "apt-get could not install: $missing"
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  die "$python is not Python 3.11 or newer; set PYTHON to one that is"
install_system_packages

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || die "could not make $venv"
rm -rf build  # setuptools would pack files that were deleted since
"$venv/bin/python" -m pip install -qq --upgrade 'pip>=25.1' &&
  "$venv/bin/python" -m pip install -qq -c constraints.txt ".[simulate,explain,index]" --group test --group lint ||
  die "pip could not install the package and what its tests need"

failed=()
check() {
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  "$@" </dev/null || failed+=("$name")
}

bin=$venv/bin

# A crash of all processes ends pytest-xdist without a test and without an error: count, too. (It
# would wait for ever for one that has crashed, if it might start another.)
run_tests() {
  local report status
  report=$(mktemp)
  "$bin/python" -m pytest -n "$workers" --dist loadfile --max-worker-restart 0 | tee "$report"
  status=${PIPESTATUS[0]}
  [ "$status" -ne 0 ] || grep -qE '^=+ .*[0-9]+ passed' "$report" || status=1
  rm -f "$report"
  return "$status"
}

check "lint" "$bin/ruff" check .
check "format" "$bin/ruff" format --check .
check "types" "$bin/mypy"
check "manifest" "$bin/npe2" validate napari_ebsd_phase --imports
check "tests" run_tests  # last, so that its count closes the report

if [ "${#failed[@]}" -gt 0 ]; then
  printf '\nFAILED: %s\n' "${failed[*]}"
  exit 1
fi
printf '\nAll passed: lint, format, types, manifest, tests.\n'
