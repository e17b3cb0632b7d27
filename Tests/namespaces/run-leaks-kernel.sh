#!/bin/bash
# `run`: kernel interfaces beside the network's own. Leak rows 14, 15, 16, 17, 22.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes

for mode in $modes; do
    # /proc/net is the reader's own at every level; sysfs shows that of whoever mounted it.
    ! behind "$mode" grep -q uplink /proc/net/dev || fail "leak row 14 ($mode): /proc/net shows the host's interfaces"
    if is_strict "$mode"; then
        shown=$(behind "$mode" ls /sys/class/net | tr '\n' ' ')
        [ "$shown" = "lo wg0 " ] || [ -z "$shown" ] || fail "leak row 14 ($mode): /sys shows $shown"
        [ "$(behind "$mode" "$BASH" -c 'echo /proc/[0-9]*' | wc -w)" -le 3 ] || fail "leak row 14 ($mode): host processes in /proc"
        ok "leak row 14 ($mode): /proc and /sys show nothing of the host's network and processes"
        expect_closed 15 "$mode" EAFNOSUPPORT family 40
        expect_closed 15 "$mode" EAFNOSUPPORT family 17
        expect_closed 15 "$mode" open family 1
        ok "leak row 15 ($mode): vsock and packet sockets are refused"
        expect_closed 16 "$mode" EPERM keyring
        ok "leak row 16 ($mode): no keyrings, whose upcalls run outside"
        devices=$(behind "$mode" ls /dev | tr '\n' ' ')
        [ "$devices" = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero " ] ||
            fail "leak row 17 ($mode): /dev holds $devices"
        ok "leak row 17 ($mode): /dev holds the basic nodes and no /dev/net/tun"
        expect_closed 22 "$mode" "EROFS|EACCES" write /proc/sys/kernel/core_pattern
        expect_closed 22 "$mode" "EROFS|EACCES|ENOENT" write /proc/sysrq-trigger
        ok "leak row 22 ($mode): /proc/sys cannot be written"
    else
        ok "leak row 14 ($mode): /proc/net is the tunnel's; /sys still names the host's interfaces (--strict hides them)"
        outside=$(caller_of "$mode" /srv/bin/leak-probe session)
        inside=$(behind "$mode" /srv/bin/leak-probe session)
        if [ "$outside" -gt 0 ]; then
            [ "$inside" != "$outside" ] || fail "leak row 16 ($mode): the caller's session keyring"
            ok "leak row 16 ($mode): a session keyring of its own"
        else
            ok "leak row 16 ($mode): there are no keyrings here"
        fi
        ok "leak rows 15, 17, 22 ($mode): left to --strict"
    fi
done

# A FUSE mount without a server is all that the warning needs.
mkdir -p /srv/remote
if python3 - <<'PYTHON'; then
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
os.set_inheritable(device, True)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
sys.exit(0 if libc.mount(b"remote", b"/srv/remote", b"fuse.sshfs", 0, options) == 0 else 1)
PYTHON
    expect_status 0 swg root run "$(configuration_of root)" -- true
    expect_output 'warning: files below /srv/remote \(fuse.sshfs\) come over the host'
    umount -l /srv/remote
    ok "leak row 16: a network file system is named"
else
    ok "leak row 16: no FUSE here; the list of file systems is a unit test"
fi

# Root without capabilities still owns the host's files: --strict makes them read-only.
for path in /etc/crontab-swg /usr/local/bin/swg-probe /var/spool/swg-probe; do
    expect_status 1 behind root-strict "$BASH" -c "echo x >$path"
    expect_output 'Read-only file system'
done
expect_status 0 behind root-strict "$BASH" -c 'echo x >/tmp/file && echo x >/run/file && echo x >/dev/shm/file'
ok "root under --strict cannot write the host's programs and jobs"
