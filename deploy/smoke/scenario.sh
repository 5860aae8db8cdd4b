# The scenario of deploy/smoke.sh: what is put, what is recorded, and the three faults. What is done to
# processes is done by a driver, containers.sh or plain.sh.

began=$EPOCHREALTIME
faults=""

squall() { "$binaries/squall" "$@"; }

# Milliseconds since a time that EPOCHREALTIME said.
ms_since() { echo $(((${EPOCHREALTIME/./} - ${1/./}) / 1000)); }
secs_since() { printf '%d.%d s' $(($(ms_since "$1") / 1000)) $(($(ms_since "$1") / 100 % 10)); }

say() { printf '%8s  %s\n' "$(secs_since "$began")" "$*"; }

fail() {
    say "FAILED: $*"
    exit 1
}

# Waits until a command succeeds and says how long that took, since the time in $since or since now. Fails after
# so many seconds.
await() {
    local what=$1 at_most=$2 from=${since:-$EPOCHREALTIME}
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$(ms_since "$from")" -ge $((at_most * 1000)) ]; then
            fail "$what: not within $at_most s"
        fi
        sleep 0.1
    done
    took=$(secs_since "$from")
    say "  $what: after $took"
}

# --- What is put ---------------------------------------------------------------------------------------------

# Puts the numbers, a part of those that are left at each turn: they never run out before the last fault, however
# long recovery takes. Notes how many are put.
put_all() {
    local n=0 batch left
    echo 0 >"$state/n_put"
    while [ "$n" -lt "$n_records" ]; do
        left=$((n_records - n))
        batch=$((left / 60 + 1))
        if [ -e "$state/faults-are-over" ]; then batch=$((n_records / 20)); fi
        if [ "$batch" -gt "$left" ]; then batch=$left; fi
        seq "$n" $((n + batch - 1)) | "$binaries/squall" dev put --stream numbers --endpoint "$endpoint" || return 1
        n=$((n + batch))
        echo "$n" >"$state/n_put.new"
        mv "$state/n_put.new" "$state/n_put"
        sleep 0.1
    done
}

n_put() { cat "$state/n_put"; }

# --- What is recorded ----------------------------------------------------------------------------------------

# Prints the number in each whole line of the record: half a line of a killed worker is none.
recorded() {
    { grep --no-filename --extended-regexp '^\{"n":[0-9]+,.*\}$' "$out"/*.jsonl || true; } 2>/dev/null |
        sed 's/^{"n":\([0-9]*\),.*/\1/'
}

# Whether some number from $1 on is recorded, and whether all below $1 are.
is_recorded_from() { recorded | awk -v n="$1" '$1 >= n { found = 1 } END { exit !found }'; }
is_recorded_below() { recorded | awk -v n="$1" '$1 < n && !seen[$1]++ { found++ } END { exit found + 0 != n }'; }

# Compares the record with what was put: n_lines, n_lost, n_duplicates. A number that was never put is none of ours.
count() {
    local strange
    read -r n_lines n_distinct strange <<<"$(recorded | awk -v n="$n_records" '
        $1 < n && !seen[$1]++ { distinct++ }
        $1 >= n { strange++ }
        END { print NR, distinct + 0, strange + 0 }')"
    n_lost=$((n_records - n_distinct))
    n_duplicates=$((n_lines - n_distinct))
    [ "$strange" -eq 0 ] || fail "$strange numbers are recorded that were never put"
}

summary() {
    printf '\n%s' "$faults"
    echo "put $n_records, recorded $n_lines lines, lost $n_lost, duplicates $n_duplicates"
}

# --- What the cluster says -----------------------------------------------------------------------------------

# Prints `WORKER SUPERVISOR PID EPOCH INCARNATION` for each worker that is ready.
workers() {
    squall describe "$name" -o json |
        grep --only-matching --extended-regexp \
            '"worker":[0-9]+,"supervisor":"[^"]+","state":"ready","pid":[0-9]+,"placement_epoch":[0-9]+,"incarnation":[0-9]+' |
        sed 's/"[a-z_]*"://g; s/"//g; s/,ready,/,/; s/,/ /g'
}

all_ready() { [ "$(workers | wc -l)" -eq "$n_workers" ]; }

# Whether so many supervisors are `alive` or `lost`.
n_supervisors() {
    local listed
    listed=$(squall supervisors -o json)
    [ "$(grep --only-matching "\"state\":\"$1\"" <<<"$listed" | wc -l)" -eq "$2" ]
}

# Whether `squall list` and `describe` tell of so many workers, active and ready, and these are the processes
# that there are. None: no topology, and no worker left.
is_truth() {
    local listed processes
    listed=$(squall list -o json)
    processes=$(worker_processes | sort --numeric-sort)
    if [ "$1" -eq 0 ]; then
        [ "$listed" = "[]" ] && [ -z "$processes" ]
        return
    fi
    [[ $listed == *"\"name\":\"$name\""*'"state":"active","phase":"active"'*"\"workers\":$1,\"workers_ready\":$1,"* ]] &&
        [ "$(workers | cut --delimiter ' ' --fields 3 | sort --numeric-sort)" = "$processes" ]
}

# --- The faults ----------------------------------------------------------------------------------------------

# Begins a fault: notes the time and what was put, and makes sure that more is being put.
begin_fault() {
    kill -0 "$putting" 2>/dev/null || fail "all was put before the fault: $1"
    before=$(workers)
    put_before=$(n_put)
    [ "$put_before" -lt "$n_records" ] || fail "all was put before the fault: $1"
    say "fault: $1; $put_before of $n_records are put"
    since=$EPOCHREALTIME
}

# Waits until what is put from now on is recorded, and nothing from before is missing; keeps how long both took.
await_records() {
    await "what is put after it is recorded" 60 is_recorded_from "$put_before"
    flows=$took
    await "all that was put before it is recorded" 60 is_recorded_below "$put_before"
    complete=$took
    since=""
}

# Notes for the end how a fault went.
note() { faults+="$1; records flow after $flows, none from before is missing after $complete"$'\n'; }

# Succeeds when all workers are ready and the one of the fault runs in another process: $1 is an awk condition on
# its epoch `e`, incarnation `i` and supervisor `s`, with `e0`, `i0` and `s0` from before.
is_back() {
    all_ready && workers | awk -v w="$victim" -v s0="$supervisor" -v e0="$epoch" -v i0="$incarnation" \
        "\$1 == w { s = \$2; e = \$4; i = \$5; back = $1 } END { exit !back }"
}

# Takes the `first` or the `last` worker.
pick_victim() {
    local listed
    listed=$(workers)
    if [ "$1" = first ]; then listed=${listed%%$'\n'*}; else listed=${listed##*$'\n'}; fi
    read -r victim supervisor pid epoch incarnation <<<"$listed"
}

fault_worker() {
    pick_victim first
    begin_fault "worker $victim on $supervisor, process $pid, is killed with SIGKILL"
    kill_worker "$supervisor" "$pid"
    await "worker $victim is ready again in its slot, all others too" 30 is_back 's == s0 && e == e0 && i > i0'
    local ready=$took
    await_records
    note "worker killed: ready again after $ready"
}

fault_machine() {
    pick_victim last
    begin_fault "supervisor $supervisor and its workers are killed with SIGKILL"
    kill_machine "$supervisor"
    await "worker $victim is ready on another machine, all others too" 60 is_back 's != s0 && e > e0'
    local moved=$took
    n_supervisors lost 1 || fail "nimbus doesn't say that $supervisor is lost"
    await_records
    note "supervisor killed with its workers: elsewhere and ready after $moved"
    lost_supervisor=$supervisor
}

fault_nimbus() {
    begin_fault "nimbus is killed with SIGKILL"
    kill_nimbus
    if squall list >/dev/null 2>&1; then fail "nimbus answers, though it was killed"; fi
    await_records
    say "  nimbus is started again"
    since=$EPOCHREALTIME
    start_nimbus
    await "nimbus answers" 30 squall list
    local answers=$took
    await "all workers are ready" 60 all_ready
    since=""
    note "nimbus killed: answers $answers after its start"
    [ "$(workers)" = "$before" ] || fail "nimbus's restart moved or started workers: $(workers), before $before"
    start_machine "$lost_supervisor"
    await "the lost supervisor is back" 60 n_supervisors alive 3
    [ "$(workers)" = "$before" ] || fail "a supervisor that came back moved workers: $(workers), before $before"
}
