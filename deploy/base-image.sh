#!/bin/sh
# Makes the base image of deploy/Dockerfile.prebuilt where no image registry is reached.
#
#   deploy/base-image.sh [IMAGE]
#
# It has what Debian's own slim image has for us: a C library, certificates and a shell. Needs root, docker
# and debootstrap (`apt-get install debootstrap`); asks Debian's mirror, or the one in DEBIAN_MIRROR.
# An image of that name that is there already is left alone.
set -eu

image=${1:-debian:bookworm-slim}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there already" >&2
    exit 0
fi
if ! command -v debootstrap >/dev/null; then
    echo "debootstrap is missing: apt-get install debootstrap" >&2
    exit 1
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates bookworm "$root/debian" "$mirror" >&2
rm -rf "$root/debian/var/cache/apt" "$root/debian/var/lib/apt/lists" "$root/debian/usr/share/doc"
tar --directory "$root/debian" --create --one-file-system . | docker import --change 'CMD ["sh"]' - "$image"
