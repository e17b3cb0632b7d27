#!/bin/bash
# `run`: what it cannot work with is said with the cure, and leaves nothing behind.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
inventory >"$test_folder/before"

refused() { # refused MODE PATTERN OPTIONS-AND-COMMAND…
    local mode=$1 pattern=$2
    shift 2
    expect_status 125 swg "$mode" run "$@"
    expect_output "$pattern"
}

refused root 'is not a tunnel id' --id ../../etc "$(configuration_of root)" -- true
refused root 'cannot be the name of a tunnel' --ifname 'a/b' "$(configuration_of root)" -- true
refused root 'cannot be the name of a tunnel' --ifname sixteencharacter "$(configuration_of root)" -- true
refused root 'cannot be the name of a tunnel' --ifname lo "$(configuration_of root)" -- true
ok "hostile ids and interface names are refused"
refused rootless 'kernel.s WireGuard cannot be used without root' --engine kernel "$(configuration_of rootless)" -- true
ok "the kernel's driver without root is refused with the cure"

truncate -s 1T /srv/sparse.conf
chmod 600 /srv/sparse.conf
refused root 'EFBIG.*more than [0-9]+ bytes' /srv/sparse.conf -- true
rm /srv/sparse.conf
ok "a file of any size is refused, not swallowed"

# No TUN, and a TUN that the user may not open.
chmod_tun=$(stat -c %a /dev/net/tun)
mount -t tmpfs tmpfs /dev/net
for mode in root rootless root-strict; do
    # shellcheck disable=SC2046
    refused $mode '/dev/net/tun: ENOENT.*modprobe tun' $(strict_of $mode) --engine userspace "$(configuration_of $mode)" -- true
done
umount /dev/net
ok "a missing /dev/net/tun is named with the cure"
cp -a /dev/net/tun /srv/tun
chmod 600 /srv/tun
mount --bind /srv/tun /dev/net/tun
refused rootless '/dev/net/tun: EACCES.*chmod 0666' "$(configuration_of rootless)" -- true
umount /dev/net/tun
[ "$(stat -c %a /dev/net/tun)" = "$chmod_tun" ] || fail "the machine's /dev/net/tun was changed"
ok "a /dev/net/tun that the user may not open is named with the cure"

# User namespaces forbidden. The limit belongs to the machine's first user namespace: a nested one has its own.
if unshare --user --map-root-user true 2>/dev/null; then
    expect_status 125 as_tester unshare --user --map-current-user --keep-caps \
        sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -all --inh-caps -all --ambient-caps -all "$@"' \
        sh /srv/bin/swg-ns run "$(configuration_of rootless)" -- true
    expect_output 'making a user namespace.*(max_user_namespaces|ENOSPC)'
    ok "forbidden user namespaces are named with the cure"
fi

refused root 'standard input is a directory|descriptor 0 .*is a directory' "$(configuration_of root)" -- true </srv
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind by any of them"

[ "$(swg root run --dry-run --quiet "$(configuration_of root)" -- touch /srv/started)" = "" ] && [ ! -e /srv/started ] ||
    fail "--dry-run started something"
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "--dry-run makes nothing"
