import CLinux
import Confinement
import Glibc
import LinuxSystem
import Namespaces
import Netlink

extension TunnelKeeper {
    /// What this machine can do for this user, and the cure for what it cannot. Changes nothing.
    public func diagnose() -> [DoctorFinding] {
        let kernel = Doctor.kernelWireGuard()
        let tun = Doctor.tunDevice()
        let engine = Doctor.engine(self)
        var findings = [Doctor.privileges(), kernel, tun, engine]
        if kernel.verdict != .good, tun.verdict != .good || engine.verdict != .good {
            findings.append(
                DoctorFinding(
                    .missing, "a way to make tunnels", "neither the kernel's driver nor the engine can be used",
                    cure: "follow one of the cures above"))
        }
        findings += [Doctor.userNamespaces(), Doctor.lockedMemory(), Doctor.state(stateDirectory)]
        findings += [Doctor.placement(), Doctor.containers()]
        return findings
    }
}

/// The single examinations; each names what was tried.
enum Doctor {
    static func privileges() -> DoctorFinding {
        let needed: [(CapabilitySet, String)] = [
            (.networkAdministration, "CAP_NET_ADMIN"), (.systemAdministration, "CAP_SYS_ADMIN"),
        ]
        let effective = (try? ThreadCapabilities.current())?.effective ?? []
        let lacking = needed.filter { !effective.contains($0.0) }.map(\.1)
        if lacking.isEmpty { return DoctorFinding(.good, "privileges", "attach, detach and run with full rights") }
        return DoctorFinding(
            .limited, "privileges", "without \(lacking.joined(separator: " and ")): run works, attach does not",
            cure: "sudo swg-ns … for attach and detach")
    }

    static func kernelWireGuard() -> DoctorFinding {
        if WireGuardNetlink.isAvailable() {
            return DoctorFinding(.good, "kernel's WireGuard", "the driver is there; --engine auto takes it")
        }
        return DoctorFinding(
            .limited, "kernel's WireGuard", "this kernel does not answer for the netlink family \"wireguard\"",
            cure: "modprobe wireguard; or leave it: --engine auto takes the engine")
    }

    static func tunDevice() -> DoctorFinding {
        do throws(SystemError) {
            _ = try FileDescriptor.open(TunDevice.path, O_RDWR)
            return DoctorFinding(.good, "TUN device", "\(TunDevice.path) can be opened")
        } catch {
            let cure =
                error.errno.rawValue == EACCES
                ? "sudo chmod 0666 \(TunDevice.path): it gives no rights that a user namespace does not give anyway"
                : "sudo modprobe tun; in a container start it with --device \(TunDevice.path)"
            return DoctorFinding(.missing, "TUN device", "\(error)", cure: cure)
        }
    }

    static func engine(_ keeper: TunnelKeeper) -> DoctorFinding {
        do throws(TunnelError) {
            let path = try EngineLocator.find(mayUseEnvironment: keeper.mayUseEnvironment)
            return DoctorFinding(.good, "engine", path)
        } catch {
            return DoctorFinding(.missing, "engine", error.message, cure: error.cure)
        }
    }

    static func userNamespaces() -> DoctorFinding {
        do throws(SystemError) {
            try UserNamespaceProbe.run()
            return DoctorFinding(.good, "user namespaces", "run works without root")
        } catch {
            return DoctorFinding(
                .limited, "user namespaces", "run needs root here: \(error)",
                cure: UserNamespaceTrouble.explain(error).split(separator: ";", maxSplits: 1).last.map {
                    String($0.drop { $0 == " " })
                })
        }
    }

    static func lockedMemory() -> DoctorFinding {
        var limit = rlimit()
        getrlimit(__RLIMIT_MEMLOCK, &limit)
        let unlimited = limit.rlim_cur == rlim_t.max
        // One engine locks its keys and a page or two more for each hundred peers.
        if unlimited || limit.rlim_cur >= 1 << 20 {
            let size = unlimited ? "no limit" : "\(limit.rlim_cur >> 10) KiB"
            return DoctorFinding(.good, "locked memory", "\(size) for keys that must not be swapped out")
        }
        return DoctorFinding(
            .limited, "locked memory", "RLIMIT_MEMLOCK is \(limit.rlim_cur >> 10) KiB: keys may be swapped out",
            cure: "ulimit -l 8192, or LimitMEMLOCK= of the service")
    }

    static func state(_ path: String) -> DoctorFinding {
        do throws(SystemError) {
            try File.makeDirectories(path)
            let probe = "\(path)/.doctor-\(getpid())"
            try File.replace(probe, with: "")
            try File.remove(probe)
            // Only if it is empty: a directory with tunnels stays.
            rmdir(path)
            return DoctorFinding(.good, "state directory", "\(path) can be written")
        } catch {
            return DoctorFinding(
                .missing, "state directory", "\(error)", cure: "make room, or give another with --state-dir")
        }
    }

    static func placement() -> DoctorFinding {
        if SystemdScope.isBooted {
            return DoctorFinding(.good, "engines of containers", "get a systemd scope of their own")
        }
        let places =
            (try? File.readText("/proc/self/mountinfo")).map(ControlGroup.mountPoints(mountInformation:)) ?? [:]
        if places.values.contains(where: { access($0, W_OK) == 0 }) {
            return DoctorFinding(.good, "engines of containers", "get a control group of their own (no systemd here)")
        }
        return DoctorFinding(
            .limited, "engines of containers", "stay in the runtime's control group: stopping the runtime cuts tunnels",
            cure: "mount cgroup2 writable at /sys/fs/cgroup")
    }

    static func containers() -> DoctorFinding {
        let searched = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"]
        let found = ["podman", "docker", "ctr"].filter { name in
            searched.contains { access("\($0)/\(name)", X_OK) == 0 }
        }
        if found.isEmpty {
            return DoctorFinding(.limited, "container runtimes", "none found: --container cannot be used; --pid can")
        }
        return DoctorFinding(.good, "container runtimes", "--container asks \(found.joined(separator: ", "))")
    }
}
