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
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep >/dev/null '^install ok installed$' || echo "$name"
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
        tail -n 5 "$log" >&2
        return 1
    }
}

# owner: the user who owns the sources.
owner() { stat -c %U "$root_folder"; }

# find_swift: puts swift into PATH. sudo's secure_path hides it, so the login PATH and the home of the invoking user and
# of the sources' owner are tried as well, and the usual places.
find_swift() {
    command -v swift >/dev/null && return 0
    local place user
    local places=()
    for user in "${SUDO_USER:-}" "$(owner)"; do
        [ -n "$user" ] && [ "$user" != root ] && [ "$user" != UNKNOWN ] || continue
        places+=("$(su - "$user" -c 'command -v swift' </dev/null 2>/dev/null | tail -n 1 || true)"
            "$(getent passwd "$user" | cut -d: -f6)/.local/share/swiftly/bin/swift")
    done
    for place in ${places[@]+"${places[@]}"} /opt/swift/usr/bin/swift /usr/local/swift/usr/bin/swift \
        /usr/share/swift/usr/bin/swift /usr/libexec/swift/bin/swift "$HOME/.local/share/swiftly/bin/swift"; do
        [ -n "$place" ] && [ -x "$place" ] || continue
        PATH=$PATH:$(dirname "$place")
        export PATH
        return 0
    done
    echo "No Swift toolchain found (PATH, /opt/swift, /usr/local/swift, swiftly). Get one from https://swift.org/install" >&2
    return 1
}

# check_swift: that it runs, and is new enough for the package.
check_swift() {
    local answer version wanted
    answer=$(as_owner swift --version 2>&1) || {
        echo "$(command -v swift) does not run: $answer" >&2
        return 1
    }
    version=$(sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' <<<"$answer" | head -n 1)
    wanted=$(sed -n 's/.*swift-tools-version: *\([0-9.]*\).*/\1/p' "$root_folder/Package.swift")
    [ "$(printf '%s\n' "$wanted" "$version" | sort -V | head -n 1)" = "$wanted" ] || {
        echo "Swift $version at $(command -v swift) is too old: this needs $wanted or newer, from https://swift.org/install" >&2
        return 1
    }
}

# as_owner COMMAND…: as the user who owns the sources, so that no root-owned file is left in their .build.
as_owner() {
    local user
    user=$(owner)
    if [ "$(id -u)" = 0 ] && [ "$user" != root ] && [ "$user" != UNKNOWN ]; then
        setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
            env HOME="$(getent passwd "$user" | cut -d: -f6)" USER="$user" PATH="$PATH" "$@"
    else
        "$@"
    fi
}

# build_programs LOG: the four programs into .build/release.
build_programs() {
    echo "+ swift build -c release --static-swift-stdlib --disable-local-rpath"
    as_owner swift build --package-path "$root_folder" -c release --static-swift-stdlib --disable-local-rpath >"$1" 2>&1 || {
        echo "The build failed; errors in $1:" >&2
        grep -E 'error' "$1" | head -n 20 >&2
        tail -n 5 "$1" >&2
        return 1
    }
}
