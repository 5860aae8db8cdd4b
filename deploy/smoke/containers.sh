# The cluster of deploy/smoke.sh in containers: those of docker-compose.yml, under names and ports of its own.

export COMPOSE_PROJECT_NAME=squall-smoke
export SQUALL_IMAGE=squall-smoke SQUALL_PORT=16627 SQUALL_HTTP_PORT=16628 SQUALL_KINESIS_PORT=14567
export SQUALL_NIMBUS=127.0.0.1:$SQUALL_PORT SQUALL_OUT=$out
endpoint=http://127.0.0.1:$SQUALL_KINESIS_PORT
worker_endpoint=http://kinesis:4567
record=/out/numbers-{task}.jsonl

compose() { deploy/compose "$@"; }

start_cluster() {
    # Containers of this name are left over from a test that was killed.
    compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    chmod 777 "$out"
    SQUALL_BINARY=$binaries/squall deploy/up 3
    nimbus=$(compose ps --quiet nimbus)
}

stop_cluster() {
    compose down --volumes --timeout 5
    docker image rm "$SQUALL_IMAGE"
}

show_logs() { compose logs --tail 40; }

# A supervisor is called after its machine, and a container's machine after the container.
container_of() { echo "${1%-*}"; }

kill_worker() { docker exec "$(container_of "$1")" sh -c "kill -9 $2"; }
kill_machine() { docker kill "$(container_of "$1")" >/dev/null; }
start_machine() { docker start "$(container_of "$1")" >/dev/null; }

# The container is looked up at the start: docker-compose takes seconds for it.
kill_nimbus() { docker kill "$nimbus" >/dev/null; }
start_nimbus() { docker start "$nimbus" >/dev/null; }

# Prints the process id of each worker in any of the containers, as the container counts them.
worker_processes() {
    local container
    for container in $(docker ps --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
        --filter label=com.docker.compose.service=supervisor); do
        docker exec "$container" sh -c \
            'grep --files-with-matches --null-data --extended-regexp "/slots/[0-9]+/launch$" /proc/[0-9]*/cmdline 2>/dev/null' |
            cut --delimiter / --fields 3 || true
    done
}
