#!/usr/bin/env bash
# The smoke test of a cluster in containers: what it puts into a stream must come out, whatever is killed.
# New, and not yet run to its end: it is no proof of anything before it was.
#
#   deploy/smoke.sh [RECORDS]
#
# Starts the cluster of docker-compose.yml (three supervisors), submits topologies/kinesis-record with its
# own bolt, puts RECORDS numbers (50000) and, while they flow, kills a worker, then a supervisor's
# container, then restarts nimbus. Then compares what was recorded with what was put. Exit status 1 if a
# number is missing. Needs docker, docker-compose and release builds of squall and kinesis-record, which it
# makes if they are missing; SQUALL_BINARIES names another directory than target/release.
set -euo pipefail
cd "$(dirname "$0")/.."

n_records=${1:-50000}
binaries=${SQUALL_BINARIES:-target/release}
export COMPOSE_PROJECT_NAME=squall-smoke
export SQUALL_IMAGE=squall-smoke SQUALL_PORT=16627 SQUALL_HTTP_PORT=16628 SQUALL_KINESIS_PORT=14567
export SQUALL_NIMBUS=127.0.0.1:$SQUALL_PORT
out=$(mktemp --directory)
export SQUALL_OUT=$out

say() { printf '%6d s  %s\n' "$SECONDS" "$*"; }
compose() { docker-compose -f deploy/docker-compose.yml "$@"; }
squall() { "$binaries/squall" "$@"; }
count() { cat "$out"/*.jsonl 2>/dev/null | wc -l; }
distinct() { grep --only-matching --no-filename '"n":[0-9]*' "$out"/*.jsonl 2>/dev/null | sort --unique | wc -l; }

# Waits until a command succeeds; says how long that took. Fails after so many seconds.
await() {
    local what=$1 at_most=$2 began=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $((SECONDS - began)) -ge "$at_most" ]; then
            say "FAILED: $what: not within $at_most s"
            return 1
        fi
        sleep 0.5
    done
    say "$what: after $((SECONDS - began)) s"
}

clean_up() {
    local status=$?
    if [ "$status" -ne 0 ]; then
        squall describe kinesis-record || true
        compose logs --tail 40 || true
    fi
    compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    rm -rf "$out"
    exit "$status"
}
trap clean_up EXIT

if [ ! -x "$binaries/squall" ] || [ ! -x "$binaries/kinesis-record" ]; then
    cargo build --release --package squall-cli --package kinesis-record
fi
chmod 777 "$out"
say "starting"
SQUALL_BINARY=$binaries/squall deploy/up 3
n_supervisors() { [ "$(squall supervisors -o json | grep --only-matching '"state":"alive"' | wc -l)" -ge "$1" ]; }
await "three supervisors are there" 60 n_supervisors 3

RECORD=/out/numbers-{task}.jsonl KINESIS_ENDPOINT=http://kinesis:4567 \
    squall submit topologies/kinesis-record/topology.yaml --bin "$binaries/kinesis-record" --wait
say "submitted"

endpoint=http://127.0.0.1:$SQUALL_KINESIS_PORT
seq 0 $((n_records - 1)) | while mapfile -t -n 1000 lines && [ ${#lines[@]} -gt 0 ]; do
    printf '%s\n' "${lines[@]}" | squall dev put --stream numbers --endpoint "$endpoint" >/dev/null 2>&1
    sleep 0.2
done &
putting=$!

flows() { [ "$(count)" -gt "$1" ]; }
# A fault counts only if records still flow: a test in which it did not happen proves nothing.
in_flight() { kill -0 "$putting" 2>/dev/null; }
worker_of() { docker exec "$1" sh -c 'grep --files-with-matches --text -- --launch /proc/[0-9]*/cmdline 2>/dev/null | grep --invert-match self | head -n 1 | cut -d / -f 3'; }

await "records flow" 60 flows 500

container=""
for each in $(compose ps -q supervisor); do
    pid=$(worker_of "$each")
    if [ -n "$pid" ]; then container=$each; break; fi
done
[ -n "$container" ] || { say "FAILED: no worker found"; exit 1; }
in_flight || { say "FAILED: all was put before the first fault"; exit 1; }
docker exec "$container" sh -c "kill -9 $pid"
say "fault: worker $pid killed"
before=$(count)
await "records flow again" 30 flows $((before + 500))

in_flight || { say "FAILED: all was put before the second fault"; exit 1; }
docker kill "$container" >/dev/null
say "fault: supervisor killed with its workers"
before=$(count)
await "records flow again" 60 flows $((before + 500))

in_flight || { say "FAILED: all was put before the third fault"; exit 1; }
compose restart --timeout 1 nimbus >/dev/null 2>&1
say "fault: nimbus restarted"
before=$(count)
await "records flow again" 30 flows $((before + 500))
await "nimbus answers" 30 squall list

wait "$putting"
say "all is put"
all_there() { [ "$(distinct)" -ge "$n_records" ]; }
await "all is recorded" 120 all_there

seq 0 $((n_records - 1)) | sort >"$out/put"
grep --only-matching --no-filename '"n":[0-9]*' "$out"/*.jsonl | cut -d : -f 2 | sort >"$out/recorded"
lost=$(sort --unique "$out/recorded" | comm -23 "$out/put" - | wc -l)
lines=$(wc -l <"$out/recorded")
say "put $n_records, recorded $lines lines, lost $lost, duplicates $((lines - n_records + lost))"
squall list
squall kill kinesis-record --wait 10s --yes
[ "$lost" -eq 0 ]
