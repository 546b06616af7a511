# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# spin.sh - what check-park, check-pool and check-lane share: they source it after `model=`, the name of
# their model beside this file, and end with `succeeded`.
: "${model:?}"
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/poolmux-model-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if ! command -v spin >/dev/null 2>&1; then
  echo "check-$model: SKIPPED: spin is not installed, $model.pml was not checked (Debian: spin)"
  exit 77
fi

# search NAME DEFINES COMPILER-FLAGS PAN-FLAGS: leaves the report in $work/NAME/report.
search()
{
  mkdir "$work/$1" && cd "$work/$1" || return 1
  # shellcheck disable=SC2086
  spin -a $2 "$here/$model.pml" >report 2>&1 &&
    ${CC:-cc} -O1 -w -DMEMLIM=1900 $3 -o pan pan.c >>report 2>&1 &&
    ./pan -m100000 -w23 $4 >>report 2>&1
}

# Not without the directory, for then nobody knows what was noted in it.
succeeded() { [ -d "$work" ] && [ ! -e "$work/failed" ]; }

number() { sed -n "s/^ *\([0-9.e+]*\) $1.*/\1/p" "$work/$2/report" | head -n 1; }
seconds() { sed -n 's/^pan: elapsed time \([0-9.]*\).*/\1/p' "$work/$1/report" | head -n 1; }

# holds NAME DEFINES [COMPILER-FLAGS PAN-FLAGS]: the whole state space, without an error.
holds()
{
  search "$1" "$2" "${3:--DSAFETY}" "${4-}"
  if grep -q 'errors: 0$' "$work/$1/report" &&
    ! grep -Eq 'max search depth too small|Search not completed|out of memory' "$work/$1/report"; then
    printf 'ok    %-18s %9s states  %6s s\n' "$1" "$(number 'states, stored' "$1")" "$(seconds "$1")"
  else
    printf 'FAIL  %s\n' "$1"
    tail -n 20 "$work/$1/report"
    touch "$work/failed"
  fi
}

# caught NAME ERROR DEFINES [COMPILER-FLAGS PAN-FLAGS]: the mutant BREAK_NAME, in which spin must find
# this error. Quick to find, so not optimized.
caught()
{
  search "$1" "-DBREAK_$1 $3" "-O0 ${4:--DSAFETY}" "${5-}"
  error=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$work/$1/report")
  case $error in
    $2*) printf 'ok    %-28s caught: %.60s\n' "$1" "$error" ;;
    *)
      printf 'FAIL  %s: %s instead of %s\n' "$1" "${error:-nothing}" "$2"
      tail -n 20 "$work/$1/report"
      touch "$work/failed"
      ;;
  esac
}
