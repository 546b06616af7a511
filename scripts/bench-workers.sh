# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: BSD-3-Clause
# bench-workers.sh - what scripts/check-bench-workers and check-bench-failures share, and read into
# themselves: a place for files, the workers that were built, checks, and their sum.
build=${POOLMUX_BUILD:?}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
url=$POOLMUX_URL
own=$build/bench/poolmux-bench-poolmux
client=$(command -v redis-cli || command -v valkey-cli) || client=
checks=0
failed=0

wrong()
{
  failed=$((failed + 1))
  echo "FAILED: $1"
  grep -v '^latency' "$dir/out" "$dir/err" | sed 's/^/  /'
}

# gives STATUS COMMAND...: into $dir/out and $dir/err; what hangs does not
gives()
{
  checks=$((checks + 1))
  wanted=$1
  shift
  status=0
  timeout 100 "$@" >"$dir/out" 2>"$dir/err" || status=$?
  [ $status = "$wanted" ] || wrong "$* ends with $status instead of $wanted"
}

# says TEXT...: all of them are in $dir/err, which is one line
says()
{
  for text in "$@"; do
    checks=$((checks + 1))
    grep -qF -- "$text" "$dir/err" || wrong "not said: $text"
  done
  [ "$(wc -l <"$dir/err")" = 1 ] || wrong "not one line"
}

# consistent WHAT [CALLS]: do the figures in $dir/out agree? CALLS: so many were to be made.
consistent()
{
  checks=$((checks + 1))
  what=$1
  awk -v wanted="${2-}" -v size="${batch_size:-100}" '
    function fault(text) { print "  " text; bad = 1 }
    NR == 1 && $0 != "poolmux-bench-result 1" { fault("another first line: " $0) }
    $1 == "calls" { calls[$2] = $3; if ($2 !~ /^(pop|message|big-read)$/) made += $3 }
    $1 == "commands" {
      commands += $3
      if ($3 != calls[$2] * ($2 == "message" ? 0 : $2 == "transaction" ? 5 : $2 == "batch" ? size : 1))
        fault($0 " of " calls[$2] " calls")
    }
    $1 == "failed" && $3 != 0 { fault($3 " calls failed: " $2) }
    $1 == "error" { fault($0) }
    $1 == "latency" {
      for (i = 3; i <= NF; i++) {
        split($i, part, ":")
        if (i > 3 && part[1] + 0 <= last) fault("buckets are not in order")
        last = part[1] + 0
        counted[$2] += part[2]
      }
    }
    $1 == "slice" {
      if ($2 != slices++) fault("slices are not in order")
      if ($4 > $5 || $5 > $6) fault("percentiles are not in order: " $0)
      sliced += $3
    }
    $1 == "seconds" { seconds = $2 }
    $1 == "server" { server[$2] = $3 }
    $1 == "schedule" { due = $2; begun = $3; if (begun > made || made > due) fault($0 ", made " made) }
    { end = $0 }
    END {
      if (end != "end") fault("the last line is: " end)
      if (made == 0 && due == "") fault("no calls") # at a fixed rate all of them may be too late
      if (wanted != "" && made != wanted) fault(made " calls instead of " wanted)
      if (wanted == "" && (seconds < 0.09 || seconds > 30)) fault(seconds " seconds")
      for (kind in calls)
        if (calls[kind] != counted[kind]) fault(kind ": " calls[kind] " calls, " counted[kind] " times")
      if (sliced != made) fault(made " calls, " sliced " in slices")
      if (calls["pop"] != calls["push"]) fault(calls["push"] " pushed, " calls["pop"] " popped")
      # What blocks may be counted when it begins or when it ends, and somebody may say PING.
      off = server["commands"] - commands
      if (off < -100 || off > 100) fault("the server counted " server["commands"] ", we " commands)
      if (server["bytes_in"] < commands * 10) fault("the server read " server["bytes_in"] " bytes")
      if (server["reads"] > server["commands"] * 3 + 1000) fault("reads " server["reads"])
      exit bad
    }
  ' "$dir/out" || wrong "$what"
}

ways_of()
{
  "$1" --ways | cut -f 1
}

workers=
for worker in "$build"/bench/poolmux-bench-*; do
  case $worker in *.o | *.log | *'*') continue ;; esac
  [ -x "$worker" ] && workers="$workers $worker"
done

# The last command of a script: its status.
summary()
{
  echo "$(((checks - failed) * 100 / checks))%: Checks: $checks, Failures: $failed, Errors: 0"
  [ $failed = 0 ]
}
