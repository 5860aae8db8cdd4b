#!/usr/bin/env bash
# The smoke test of a cluster: what is put into a stream comes out, whatever is killed meanwhile.
#
#   deploy/smoke.sh [RECORDS]            in containers, those of docker-compose.yml
#   deploy/smoke.sh --plain [RECORDS]    with plain processes on this machine's loopback: no Docker needed
#
# Starts nimbus, three supervisors and a Kinesis endpoint, submits topologies/kinesis-record with its own
# bolt, puts RECORDS numbers (50000) and, while they flow, kills a worker, then a supervisor together with its
# workers, then nimbus, and starts the last two again. Then compares what was recorded with what was put, and
# what `squall list` says with the processes that there are.
#
# Exit status 1 if a number is missing, a fault didn't happen, or the cluster doesn't recover in time.
#
# Takes debug or release builds of squall and kinesis-record from the directory SQUALL_BINARIES (target/release,
# built if they are missing). In containers it needs docker, docker-compose and deploy/base-image.sh's image.
set -euo pipefail
cd "$(dirname "$0")/.."

driver=containers
if [ "${1:-}" = --plain ]; then
    driver=plain
    shift
fi
n_records=${1:-50000}
if ! [[ $n_records =~ ^[0-9]+$ ]] || [ "$n_records" -lt 1000 ]; then
    echo "usage: deploy/smoke.sh [--plain] [RECORDS], 1000 or more" >&2
    exit 2
fi
binaries=${SQUALL_BINARIES:-target/release}
if [ ! -x "$binaries/squall" ] || [ ! -x "$binaries/kinesis-record" ]; then
    if [ -n "${SQUALL_BINARIES:-}" ]; then
        echo "SQUALL_BINARIES: squall and kinesis-record aren't both in $binaries" >&2
        exit 2
    fi
    cargo build --release --package squall-cli --package kinesis-record
fi
binaries=$(cd "$binaries" && pwd)

name=kinesis-record
n_workers=2
state=$(mktemp --directory) # this script's own notes, and a plain cluster's data
out=$(mktemp --directory)   # what the topology records
putting=""

# shellcheck source=deploy/smoke/scenario.sh
. deploy/smoke/scenario.sh
# What a driver has: start_cluster, stop_cluster, show_logs, kill_worker, kill_machine, start_machine, kill_nimbus,
# start_nimbus, worker_processes; and where things are: endpoint, worker_endpoint, record.
# shellcheck source=/dev/null
. "deploy/smoke/$driver.sh"

clean_up() {
    local status=$?
    trap - EXIT
    if [ "$status" -ne 0 ]; then
        squall supervisors || true
        squall describe "$name" || true
        show_logs || true
        say "FAILED"
    fi
    [ -z "$putting" ] || kill "$putting" 2>/dev/null || true
    stop_cluster >/dev/null 2>&1 || true
    rm -rf "$state" "$out"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

say "starting nimbus, three supervisors and a Kinesis endpoint ($driver)"
start_cluster
await "three supervisors are there" 60 n_supervisors alive 3

RECORD=$record KINESIS_ENDPOINT=$worker_endpoint \
    squall submit topologies/kinesis-record/topology.yaml --bin "$binaries/kinesis-record" --wait
say "submitted $name, with its own bolt"
put_all >"$state/put.log" 2>&1 &
putting=$!
await "records flow" 60 is_recorded_from 500

fault_worker
fault_machine
fault_nimbus

touch "$state/faults-are-over"
if ! wait "$putting"; then
    putting=""
    cat "$state/put.log"
    fail "not all could be put"
fi
putting=""
say "all is put"
await "all is recorded" 120 is_recorded_below "$n_records"
count
squall list
squall supervisors
is_truth "$n_workers" || fail "squall list says something else than the processes that there are"
squall kill "$name" --wait 10s --yes
await "the topology is gone, and its workers" 60 is_truth 0
summary
[ "$n_lost" -eq 0 ] || fail "$n_lost numbers are lost"
