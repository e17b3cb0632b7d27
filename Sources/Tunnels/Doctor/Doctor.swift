import Glibc
import LinuxSystem

extension TunnelKeeper {
    /// What this machine can do for this user, and the cure for what it cannot. Changes nothing.
    public func diagnose() -> [DoctorFinding] { Doctor(machine: Machine.observe(self)).findings }
}

/// One finding for each thing that tunnels depend on, and last what follows from all of them.
struct Doctor {
    let machine: Machine

    /// The oldest kernel that has all we ask of it: mount_setattr(2) is of 5.12, CLOSE_RANGE_CLOEXEC of 5.11.
    static let oldestKernel = (5, 12)

    var findings: [DoctorFinding] {
        [
            kernel, privileges, kernelWireGuard, tunDevice, engine, userNamespaces, lockedMemory, state, placement,
            containers, wayToMakeTunnels,
        ]
    }

    var kernel: DoctorFinding {
        let numbers = machine.kernelRelease.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        let oldest = Doctor.oldestKernel
        guard numbers.count == 2, (numbers[0], numbers[1]) < oldest else {
            return DoctorFinding(.good, "kernel", "Linux \(machine.kernelRelease)")
        }
        return DoctorFinding(
            .missing, "kernel", "Linux \(machine.kernelRelease) lacks system calls of \(oldest.0).\(oldest.1)",
            cure: "a newer kernel, such as Debian 12's 6.1")
    }

    var privileges: DoctorFinding {
        if machine.lackingCapabilities.isEmpty {
            return DoctorFinding(.good, "privileges", "attach, detach and run with full rights")
        }
        let names = machine.lackingCapabilities.joined(separator: " and ")
        if machine.isRoot {
            return DoctorFinding(
                .limited, "privileges", "root without \(names): attach and detach cannot work",
                cure: "in a container: start it with --cap-add NET_ADMIN --cap-add SYS_ADMIN, or use swg-ns outside")
        }
        return DoctorFinding(
            .limited, "privileges", "no root: run works by a user namespace, attach and detach do not",
            cure: "sudo swg-ns … for attach and detach")
    }

    var kernelWireGuard: DoctorFinding {
        let subject = "kernel's WireGuard"
        if machine.hasWireGuard {
            let text =
                machine.isRoot
                ? "the driver is there; --engine auto takes it"
                : "the driver is there, for root's tunnels; without root the engine is used"
            return DoctorFinding(.good, subject, text)
        }
        if machine.hasWireGuardModule {
            return DoctorFinding(
                .limited, subject, "the driver is not loaded; --engine auto takes the engine",
                cure: "sudo modprobe wireguard, if the driver is wanted")
        }
        return DoctorFinding(.limited, subject, "this kernel has no driver; --engine auto takes the engine")
    }

    var tunDevice: DoctorFinding {
        let subject = "TUN device"
        guard let refusal = machine.tunRefusal else {
            if machine.isRoot, machine.tunMode & 0o006 != 0o006 {
                return DoctorFinding(
                    .limited, subject, "\(TunDevice.path) can be opened, but not by ordinary users for run",
                    cure: "chmod 0666 \(TunDevice.path): it gives no rights that a user namespace does not give anyway")
            }
            return DoctorFinding(.good, subject, "\(TunDevice.path) can be opened")
        }
        let cure =
            switch refusal.errno.rawValue {
            case EACCES:
                "sudo chmod 0666 \(TunDevice.path): it gives no rights that a user namespace does not give anyway"
            case EPERM:
                "this container forbids the device: start it with --device \(TunDevice.path)"
            default: "sudo modprobe tun; in a container start it with --device \(TunDevice.path)"
            }
        return DoctorFinding(.missing, subject, "\(refusal)", cure: cure)
    }

    var engine: DoctorFinding {
        switch machine.engine {
        case .failure(let error): return DoctorFinding(.missing, "engine", error.message, cure: error.cure)
        case .success(let path):
            guard let version = machine.engineVersion else {
                return DoctorFinding(
                    .missing, "engine", "\(path) does not run: no answer to --version", cure: "install it again")
            }
            return DoctorFinding(.good, "engine", "\(path), version \(version)")
        }
    }

    var userNamespaces: DoctorFinding {
        let subject = "user namespaces"
        guard let refusal = machine.userNamespaceRefusal else {
            return DoctorFinding(.good, subject, "run works without root")
        }
        let trouble = UserNamespaceTrouble(refusal, readSetting: machine.readSetting)
        let cause = trouble.cause.map { "; \($0)" } ?? ""
        return DoctorFinding(.limited, subject, "run needs root here: \(refusal)\(cause)", cure: trouble.cure)
    }

    var lockedMemory: DoctorFinding {
        let subject = "locked memory"
        guard let bytes = machine.lockedMemoryBytes else {
            return DoctorFinding(.good, subject, "no limit for keys that must not be swapped out")
        }
        // One engine locks its keys and a page or two more for each hundred peers.
        if bytes >= 1 << 20 {
            return DoctorFinding(.good, subject, "\(bytes >> 10) KiB for keys that must not be swapped out")
        }
        return DoctorFinding(
            .limited, subject, "RLIMIT_MEMLOCK is \(bytes >> 10) KiB: keys may be swapped out",
            cure: "ulimit -l 8192, or LimitMEMLOCK= of the service")
    }

    var state: DoctorFinding {
        guard let refusal = machine.stateRefusal else {
            return DoctorFinding(.good, "state directory", "\(machine.stateDirectory) can be written")
        }
        return DoctorFinding(
            .missing, "state directory", "\(refusal)", cure: "make room, or give another with --state-dir")
    }

    var placement: DoctorFinding {
        let subject = "engines of containers"
        switch machine.engines {
        case .inScopes: return DoctorFinding(.good, subject, "get a systemd scope of their own")
        case .inControlGroups:
            return DoctorFinding(.good, subject, "get a control group of their own (no systemd here)")
        case .whereTheyAre:
            return DoctorFinding(
                .limited, subject, "stay in the runtime's control group: stopping the runtime cuts tunnels",
                cure: machine.isRoot ? "mount cgroup2 writable at /sys/fs/cgroup" : nil)
        }
    }

    var containers: DoctorFinding {
        if machine.containerRuntimes.isEmpty {
            return DoctorFinding(
                .limited, "container runtimes", "none found: --container cannot be used; --pid can")
        }
        return DoctorFinding(
            .good, "container runtimes", "--container asks \(machine.containerRuntimes.joined(separator: ", "))")
    }

    /// The exit status hangs on this one.
    var wayToMakeTunnels: DoctorFinding {
        let subject = DoctorFinding.conclusion
        var obstacles: [String] = []
        if kernel.verdict == .missing { obstacles.append("the kernel") }
        if state.verdict == .missing { obstacles.append("the state directory") }
        let engineWorks = tunDevice.verdict != .missing && engine.verdict != .missing
        let driverWorks = machine.hasWireGuard && machine.lackingCapabilities.isEmpty
        if !engineWorks, !driverWorks {
            if tunDevice.verdict == .missing { obstacles.append("the TUN device") }
            if engine.verdict == .missing { obstacles.append("the engine") }
        }
        if !machine.lackingCapabilities.isEmpty, machine.userNamespaceRefusal != nil {
            obstacles.append("neither privileges nor user namespaces")
        }
        if !obstacles.isEmpty {
            return DoctorFinding(
                .missing, subject, "none, because of: \(obstacles.joined(separator: ", "))",
                cure: "follow the cures above")
        }
        let ways = [driverWorks ? "the kernel's driver" : nil, engineWorks ? "the engine" : nil].compactMap { $0 }
        return DoctorFinding(.good, subject, ways.joined(separator: " and "))
    }
}
