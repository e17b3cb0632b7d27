# Sourced by Tests/run and examples/quickstart: finding Swift, installing packages, building as the right user.

root_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# packages_in SECTION…: the names of those sections of the one list.
packages_in() {
    local section
    for section in "$@"; do
        awk -v wanted="[$section]" '/^\[/ { on = ($0 == wanted); next } on && NF && !/^#/ { print $1 }' \
            "$root_folder/Tests/lib/packages"
    done
}

# missing_packages SECTION…: those of them that dpkg does not know as installed.
missing_packages() {
    local name
    for name in $(packages_in "$@"); do
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed$' || echo "$name"
    done
}

# install_packages LOG SECTION…: installs what is missing, and says what it runs.
install_packages() {
    local log=$1 missing
    shift
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    echo "+ apt-get install --no-install-recommends $missing"
    {
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
    } >"$log" 2>&1 || {
        echo "Installing failed; the end of $log:" >&2
        tail -n 15 "$log" >&2
        return 1
    }
}

# find_swift: puts swift into PATH. sudo's secure_path hides it, so the invoking user's login PATH and the
# usual places are tried as well.
find_swift() {
    command -v swift >/dev/null && return 0
    local found="" place
    if [ -n "${SUDO_USER:-}" ]; then
        found=$(su - "$SUDO_USER" -c 'command -v swift' 2>/dev/null | tail -n 1 || true)
    fi
    for place in "$found" /opt/swift/usr/bin/swift /usr/local/swift/usr/bin/swift /usr/share/swift/usr/bin/swift \
        /usr/libexec/swift/bin/swift "${SUDO_USER:+/home/$SUDO_USER/.local/share/swiftly/bin/swift}" \
        "$HOME/.local/share/swiftly/bin/swift"; do
        [ -n "$place" ] && [ -x "$place" ] || continue
        PATH=$PATH:$(dirname "$place")
        export PATH
        return 0
    done
    echo "No Swift toolchain found (PATH, /opt/swift, /usr/local/swift, swiftly). Get one from https://swift.org/install" >&2
    return 1
}

# as_owner COMMAND…: as the user who owns the sources, so that no root-owned file is left in their .build.
as_owner() {
    local owner
    owner=$(stat -c %U "$root_folder")
    if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
        setpriv --reuid "$owner" --regid "$(id -g "$owner")" --init-groups \
            env HOME="$(getent passwd "$owner" | cut -d: -f6)" PATH="$PATH" "$@"
    else
        "$@"
    fi
}

# build_programs LOG: the four programs into .build/release.
build_programs() {
    echo "+ swift build -c release --static-swift-stdlib"
    as_owner swift build --package-path "$root_folder" -c release --static-swift-stdlib >"$1" 2>&1 || {
        echo "The build failed; errors in $1:" >&2
        grep -E 'error' "$1" | head -n 20 >&2
        tail -n 5 "$1" >&2
        return 1
    }
}
