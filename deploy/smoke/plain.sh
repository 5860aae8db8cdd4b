# The cluster of deploy/smoke.sh as plain processes on this machine's loopback, at ports that are free. A
# machine is a supervisor with its workers.

declare -A pids
record=$out/numbers-{task}.jsonl
# What workers inherit: the endpoint takes any credentials.
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_REGION=us-east-1

# Starts a daemon under a name; it prints a line on stdout when it serves.
start() {
    local process=$1
    shift
    : >"$state/$process.ready"
    squall_process "$process" "$@"
    until [ -s "$state/$process.ready" ]; do
        if ! kill -0 "${pids[$process]}" 2>/dev/null; then
            tail -n 5 "$state/$process.log"
            fail "$process doesn't start"
        fi
        sleep 0.1
    done
}

squall_process() {
    local process=$1
    shift
    "$binaries/squall" "$@" >"$state/$process.ready" 2>>"$state/$process.log" </dev/null &
    pids[$process]=$!
    # So that the shell doesn't report its end.
    disown
}

# At a free port the first time, later at the same one.
start_nimbus() {
    start nimbus nimbus --data-dir "$state/nimbus" --listen "$SQUALL_NIMBUS" --http 127.0.0.1:0
    SQUALL_NIMBUS=$(sed 's/.*grpc=\([^ ]*\).*/\1/' "$state/nimbus.ready")
    export SQUALL_NIMBUS
}

start_machine() { start "$1" supervisor --id "$1" --data-dir "$state/$1"; }

start_cluster() {
    SQUALL_NIMBUS=127.0.0.1:0
    start_nimbus
    for supervisor in east north west; do
        start_machine "$supervisor"
    done
    start kinesis dev kinesis --port 0 --stream numbers:2
    endpoint=$(cat "$state/kinesis.ready")
    worker_endpoint=$endpoint
}

# Supervisors first: they would start their workers again.
stop_cluster() {
    local process
    for process in east north west nimbus kinesis; do
        [ -z "${pids[$process]:-}" ] || kill -9 "${pids[$process]}" 2>/dev/null || true
    done
    kill_workers_of ""
}

show_logs() {
    local log
    find "$state" -name '*.log' | sort | while read -r log; do
        echo "--- ${log#"$state"/}"
        tail -n 20 "$log"
    done
}

kill_worker() { kill -9 "$2"; }

# Kills a daemon, and waits until it is gone: until then its data directory is in use.
kill_daemon() {
    kill -9 "${pids[$1]}"
    while kill -0 "${pids[$1]}" 2>/dev/null; do sleep 0.05; done
}

kill_machine() {
    kill_daemon "$1"
    kill_workers_of "$1"
}

kill_workers_of() {
    local pid
    for pid in $(worker_processes "$1"); do
        kill -9 "$pid" 2>/dev/null || true
    done
}

kill_nimbus() { kill_daemon nimbus; }

# Prints the process id of each worker, or of those of one supervisor: their launch files lie in its directory.
worker_processes() {
    grep --files-with-matches --null-data --extended-regexp "^$state/${1:-[a-z]+}/slots/[0-9]+/launch\$" \
        /proc/[0-9]*/cmdline 2>/dev/null | cut --delimiter / --fields 3 || true
}
