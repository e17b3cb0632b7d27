import Glibc
import LinuxSystem
import WireGuardCrypto

/// The claim of one tunnel on one private key, host-wide: two devices with the same key take each other's
/// sessions away at the far end, again and again.
///
/// `STATE/leases/PUBLICKEYHEX`. A pool's lease leaves a note of its release, so that the least recently
/// released key is taken next.
struct Lease: StateDocument, Equatable {
    var format = StateFile.format
    /// Nil: released.
    var holder: String?
    var configurationPath: String?
    /// Nanoseconds since 1970 at the release.
    var releasedAt: Int64?
}

/// The leases of one state directory, under one lock for the moment of a decision.
struct LeaseBook {
    let state: StateDirectory

    private func path(_ publicKeyHex: String) -> String { "\(state.leases)/\(publicKeyHex)" }

    /// Runs `body` while nobody else takes or releases a lease.
    private func locked<Value>(_ body: () throws(TunnelError) -> Value) throws(TunnelError) -> Value {
        let lock: FileLock?
        do throws(SystemError) {
            lock = try lockDirectory()
        } catch {
            throw StateFile.unusable(error)
        }
        guard lock != nil else { throw TunnelError(.busy, "\(state.leases) is locked") }
        // Still under the lock: whoever waits for it finds that this is no directory any more, and makes another.
        // Without it, somebody who has the lock would write into a directory that is gone.
        defer { rmdir(state.leases) }
        return try body()
    }

    /// Best effort, and never from under somebody who is about to write into it.
    func removeIfEmpty() {
        do throws(SystemError) {
            guard let lock = try FileLock.acquireExisting(state.leases, wait: false) else { return }
            rmdir(state.leases)
            _ = consume lock
        } catch {
            // Gone already, or it cannot be looked into: then there is nothing to remove.
        }
    }

    /// The directory itself is the lock; whoever empties it removes it, hence the loop.
    private func lockDirectory() throws(SystemError) -> FileLock? {
        while true {
            try state.makePrivate(state.leases)
            do throws(SystemError) {
                return try FileLock.acquireExisting(state.leases, wait: true)
            } catch {
                if error.errno.rawValue != ENOENT { throw error }
            }
        }
    }

    /// Takes the lease for `id`; nil when it is taken, else the tunnel that holds it.
    func take(_ key: PublicKey, for id: TunnelID, configurationPath: String?) throws(TunnelError) -> TunnelID? {
        try locked { () throws(TunnelError) in
            let found = try StateFile.read(Lease.self, from: path(key.hex))
            if let holder = holder(of: found), holder != id { return holder }
            if let found { try StateFile.refuseNewer(found, at: path(key.hex)) }
            try StateFile.write(Lease(holder: id.text, configurationPath: configurationPath), to: path(key.hex))
            return nil
        }
    }

    /// Who holds the key. A lease whose tunnel has no directory any more holds nothing.
    func holder(of key: PublicKey) throws(TunnelError) -> TunnelID? {
        holder(of: try StateFile.read(Lease.self, from: path(key.hex)))
    }

    private func holder(of lease: Lease?) -> TunnelID? {
        guard let text = lease?.holder, let holder = try? TunnelID(text), state.exists(holder) else { return nil }
        return holder
    }

    /// When the key was released last; nil for never, which comes first.
    func releasedAt(_ key: PublicKey) throws(TunnelError) -> Int64? {
        try StateFile.read(Lease.self, from: path(key.hex))?.releasedAt
    }

    /// What leases tell of a file whose key is not known.
    struct Trace {
        /// The live tunnel that has a key from it.
        var holder: TunnelID?
        /// The newest release of a key from it.
        var releasedAt: Int64?
    }

    /// By the configuration's path.
    func tracesByPath() -> [String: Trace] {
        var traces: [String: Trace] = [:]
        for name in (try? File.list(state.leases)) ?? [] {
            guard let lease = try? StateFile.read(Lease.self, from: path(name)), let file = lease.configurationPath
            else { continue }
            var trace = traces[file] ?? Trace()
            trace.holder = trace.holder ?? holder(of: lease)
            trace.releasedAt = [trace.releasedAt, lease.releasedAt].compactMap { $0 }.max()
            traces[file] = trace
        }
        return traces
    }

    /// Gives the lease back if `id` holds it, and with it what a death in the middle of writing it has left.
    func release(_ publicKeyHex: String, by id: String, remember: Bool) throws(TunnelError) {
        guard publicKeyHex.utf8.count == 64, PublicKey(hex: publicKeyHex) != nil, File.exists(state.leases) else {
            return
        }
        try locked { () throws(TunnelError) in
            for name in (try? File.list(state.leases)) ?? []
            where name.hasPrefix("\(publicKeyHex).") && Self.isHalfWritten(name) {
                _ = try? File.remove("\(state.leases)/\(name)")
            }
            guard File.exists(path(publicKeyHex)) else { return }
            // A damaged lease is nobody's.
            let lease = try? StateFile.read(Lease.self, from: path(publicKeyHex))
            if let lease, lease.holder != id { return }
            if remember, lease.map(StateFile.isNewer) != true {
                let now = WallTime.now
                let released = Lease(
                    holder: nil, configurationPath: lease?.configurationPath,
                    releasedAt: now.seconds &* 1_000_000_000 &+ Int64(now.nanoseconds))
                try StateFile.write(released, to: path(publicKeyHex))
                return
            }
            do throws(SystemError) {
                try File.remove(path(publicKeyHex))
            } catch {
                throw StateFile.unusable(error)
            }
        }
    }

    /// Of `File.replace`: whoever writes one holds the lock, so with the lock in hand it is of somebody who died.
    private static func isHalfWritten(_ name: String) -> Bool { name.hasSuffix(".tmp") }

    /// Removes what a death at the wrong moment has left: half-written files, and leases whose tunnel is gone.
    func sweep() throws(TunnelError) {
        guard File.exists(state.leases) else { return }
        try locked { () throws(TunnelError) in
            let names = (try? File.list(state.leases)) ?? []
            for name in names {
                let isHalfWritten = Self.isHalfWritten(name)
                let lease = isHalfWritten ? nil : try? StateFile.read(Lease.self, from: "\(state.leases)/\(name)")
                let isAbandoned = lease?.holder.flatMap { try? TunnelID($0) }.map { !state.exists($0) } ?? false
                if isHalfWritten || isAbandoned { _ = try? File.remove("\(state.leases)/\(name)") }
            }
        }
    }
}
