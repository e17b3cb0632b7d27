# Sourced after test.sh and cni.sh by the tests with real runtimes.

# host_like: what a runtime needs of a box. The box's own /sys hides the control groups, and crun and runc want
# one kind of them; caches of libcni go with the box.
host_like() {
    umount /sys 2>/dev/null || true
    umount /sys/fs/cgroup/unified 2>/dev/null || true
    local folder
    for folder in /var/lib/cni /var/lib/containers /etc/cni/net.d; do
        mkdir -p "$folder"
        mount -t tmpfs -o mode=700 tmpfs "$folder"
    done
}

# can_make_libcni_driver, make_libcni_driver FILE: the program of Tests/lib/libcni-driver, out of Debian's sources.
can_make_libcni_driver() {
    command -v go >/dev/null && [ -d /usr/share/gocode/src/github.com/containernetworking/cni/libcni ]
}
make_libcni_driver() {
    local compiled=$test_folder/go
    (cd "$(dirname "${BASH_SOURCE[0]}")/libcni-driver" &&
        GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-buildvcs=false GOCACHE=$compiled go build -o "$1" . 2>&1) ||
        fail "the driver does not build"
    rm -rf "$compiled"
}

# make_root FOLDER: a root file system of busybox, made here: no registry is asked.
make_root() {
    local name
    mkdir -p "$1"/{bin,etc,proc,sys,dev,tmp,root,run}
    cp "$(command -v busybox)" "$1/bin/busybox"
    for name in $(busybox --list); do [ "$name" = busybox ] || ln -sf busybox "$1/bin/$name"; done
    echo root:x:0:0:root:/root:/bin/sh >"$1/etc/passwd"
}

# make_archive FILE NAME: that root as a docker-archive whose command is a long sleep.
make_archive() {
    local folder=$test_folder/archive sum
    make_root "$folder/root"
    tar -C "$folder/root" -cf "$folder/layer.tar" .
    sum=$(sha256sum "$folder/layer.tar" | cut -d' ' -f1)
    jq -nc --arg sum "sha256:$sum" --arg machine "$(dpkg --print-architecture)" \
        '{architecture: $machine, os: "linux", config: {Env: ["PATH=/bin"], Cmd: ["/bin/sleep", "86400"]},
          rootfs: {type: "layers", diff_ids: [$sum]}}' >"$folder/config.json"
    jq -nc --arg name "$2" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$folder/manifest.json"
    tar -C "$folder" -cf "$1" manifest.json config.json layer.tar
    rm -rf "$folder"
}

# what_it_sees: run inside a container, it prints its links and what it fetched through the tunnel. One line each.
what_it_sees='ip -o link | sed -E "s/^[0-9]+: ([^:@]+).*/\1/" | sort | tr "\n" " "; echo
    for try in 1 2 3; do ping -q -c 1 -W 4 10.99.0.1 >/dev/null && echo pinged && break; done
    timeout 5 wget -q -O - http://10.99.0.1/'

# sees_tunnel FILE: what it printed is a container behind its tunnel.
sees_tunnel() {
    [ "$(cat "$1")" = "$(printf 'eth0 lo \npinged\nhello from behind the tunnel')" ] || {
        cat "$1"
        fail "the container is not behind its tunnel"
    }
}
