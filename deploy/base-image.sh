#!/bin/sh
# Makes the base image of deploy/Dockerfile.prebuilt where no image registry is reached.
#
#   deploy/base-image.sh [IMAGE]
#
# It has what Debian's own slim image has for us: a C library, certificates and a shell. Needs root, docker
# and debootstrap; asks Debian's mirror, or the one in DEBIAN_MIRROR. Takes a minute, and 0.5 GB in TMPDIR.
# An image of that name that is there already is left alone.
set -eu

image=${1:-debian:bookworm-slim}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

fail() {
    echo "$image can't be made: $1" >&2
    echo "  what to do: $2" >&2
    exit 1
}

command -v docker >/dev/null || fail "docker is missing" "apt-get install docker.io"
docker version >/dev/null 2>&1 ||
    fail "Docker's engine doesn't answer" "start it (systemctl start docker), or call this as who may talk to it"
if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there already" >&2
    exit 0
fi
[ "$(id -u)" -eq 0 ] ||
    fail "debootstrap changes the root directory, which only root may" "sudo $0, or docker pull $image"
command -v debootstrap >/dev/null || fail "debootstrap is missing" "apt-get install debootstrap"
# debootstrap fetches with wget as well.
wget --quiet --spider --tries 2 --timeout 20 "$mirror/dists/bookworm/Release" ||
    fail "$mirror isn't reached" "name another mirror: DEBIAN_MIRROR=http://HOST/debian $0"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM
debootstrap --variant=minbase --include=ca-certificates bookworm "$root/debian" "$mirror" >"$root/log" 2>&1 || {
    tail -n 20 "$root/log" "$root/debian/debootstrap/debootstrap.log" >&2 || true
    fail "debootstrap failed" "see above; a TMPDIR that is mounted noexec or nodev won't do"
}
rm -rf "$root/debian/var/cache/apt" "$root/debian/var/lib/apt/lists" "$root/debian/usr/share/doc"
tar --directory "$root/debian" --create --one-file-system . | docker import --change 'CMD ["sh"]' - "$image" >/dev/null
echo "made $image" >&2
