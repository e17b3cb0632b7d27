import CLinux
import Glibc
import LinuxSystem

/// The layout of STATE: `tunnels/ID/{journal.json,state.json,lock}`, `leases/PUBLICKEYHEX`, `uapi/`, `log/`.
///
/// Directories are 0700, files 0600. Empty directories are removed by whoever empties them, so every creation
/// may find its parent gone again and starts over.
struct StateDirectory: Sendable {
    let path: String

    var tunnels: String { "\(path)/tunnels" }
    var leases: String { "\(path)/leases" }
    /// UAPI sockets of tunnels that are not root's.
    var uapi: String { "\(path)/uapi" }
    /// Logs and last failures where there is no logging service.
    var log: String { "\(path)/log" }

    func directory(of id: TunnelID) -> String { "\(tunnels)/\(id)" }
    func journal(of id: TunnelID) -> String { "\(directory(of: id))/journal.json" }
    func record(of id: TunnelID) -> String { "\(directory(of: id))/state.json" }
    func lock(of id: TunnelID) -> String { "\(directory(of: id))/lock" }
    /// Written by the engine's process itself before it becomes the engine: its line of /proc/self/stat.
    func engineIdentity(of id: TunnelID) -> String { "\(directory(of: id))/engine" }

    /// Ids that have a directory, sorted. A name that is no id is not ours and left alone.
    func ids() throws(TunnelError) -> [TunnelID] {
        let names: [String]
        do throws(SystemError) {
            names = try File.list(tunnels)
        } catch {
            if error.errno.rawValue == ENOENT { return [] }
            throw StateFile.unusable(error)
        }
        var ids: [TunnelID] = []
        for name in names {
            if let id = try? TunnelID(name) { ids.append(id) }
        }
        return ids
    }

    func exists(_ id: TunnelID) -> Bool { File.exists(directory(of: id)) }

    /// Takes the id and its lock; nil when it is taken already. The lock is what says "somebody works on it".
    func reserve(_ id: TunnelID) throws(TunnelError) -> FileLock? {
        do throws(SystemError) {
            while true {
                try makePrivate(tunnels)
                if mkdir(directory(of: id), 0o700) != 0 {
                    switch Glibc.errno {
                    case EEXIST: return nil
                    case ENOENT: continue
                    default: throw SystemError(call: "mkdir", object: directory(of: id), errno: .current)
                    }
                }
                do throws(SystemError) {
                    // Who holds it already is somebody's gc, which found a directory without a lock: it removes that,
                    // and we start over. What came into its place since then has a journal, or a lock for long.
                    if let lock = try FileLock.acquire(lock(of: id), wait: true) {
                        if File.exists(journal(of: id)) { return nil }
                        return lock
                    }
                } catch {
                    // Full or read-only after all: nothing of ours may stay.
                    rmdir(directory(of: id))
                    removeIfEmpty()
                    // Somebody's gc removed the fresh directory before it had a lock: start over.
                    if error.errno.rawValue != ENOENT { throw error }
                }
            }
        } catch {
            throw StateFile.unusable(error)
        }
    }

    /// The lock of an existing tunnel. Nil when there is no such tunnel.
    func lock(_ id: TunnelID, wait: Bool) throws(TunnelError) -> FileLock? {
        guard exists(id) else { return nil }
        do throws(SystemError) {
            if let lock = try FileLock.acquire(lock(of: id), wait: wait) { return lock }
        } catch {
            if error.errno.rawValue == ENOENT { return nil }
            if error.errno.rawValue == EROFS, let lock = try lockReadOnly(id, wait: wait) { return lock }
            throw StateFile.unusable(error)
        }
        throw TunnelError(.busy, "another process works on tunnel \(id)", cure: "try again when it is done")
    }

    /// On a read-only file system the lock file can still be locked if it is there.
    private func lockReadOnly(_ id: TunnelID, wait: Bool) throws(TunnelError) -> FileLock? {
        do throws(SystemError) {
            return try FileLock.acquireExisting(lock(of: id), wait: wait)
        } catch {
            throw StateFile.unusable(error)
        }
    }

    /// Removes a tunnel's directory, then what has become empty. The caller holds its lock, which goes too.
    func remove(_ id: TunnelID) throws(SystemError) {
        let directory = directory(of: id)
        let names: [String]
        do throws(SystemError) {
            names = try File.list(directory)
        } catch {
            if error.errno.rawValue == ENOENT { return }
            throw error
        }
        // The journal goes first: without one the directory is an empty reservation, whatever else is in it.
        for name in ["journal.json"] + names.filter({ $0 != "journal.json" && $0 != "lock" }) + ["lock"] {
            try File.remove("\(directory)/\(name)")
        }
        if rmdir(directory) != 0, Glibc.errno != ENOENT, Glibc.errno != ENOTEMPTY {
            throw SystemError(call: "rmdir", object: directory, errno: .current)
        }
        removeIfEmpty()
    }

    /// Best effort: a directory in use by somebody else stays.
    func removeIfEmpty() {
        if (try? ids())?.isEmpty == true { TimestampFloorFiles.sweep(self) }
        LeaseBook(state: self).removeIfEmpty()
        for directory in [tunnels, uapi, log, path] { rmdir(directory) }
    }

    /// Creates a directory of ours with its parents, and refuses one that others may write.
    func makePrivate(_ directory: String) throws(SystemError) {
        var status = stat()
        repeat { try File.makeDirectories(directory) } while try !look(&status)
        let isOurs = status.st_uid == geteuid() || status.st_uid == 0
        if !isOurs || status.st_mode & 0o022 != 0 {
            throw SystemError(
                call: "use", object: path, errno: Errno(EACCES),
                detail: "others may write it: chown it to the user that runs this, and chmod 0700")
        }
    }

    /// Makes a file in a directory of ours, which others remove whenever they find it empty: that may come between
    /// its making and its use, so it is tried again, but not for ever.
    func writing(into directory: String, _ body: () throws(SystemError) -> Void) throws(SystemError) {
        for attempt in 1... {
            try makePrivate(directory)
            do throws(SystemError) {
                return try body()
            } catch {
                if error.errno.rawValue != ENOENT || attempt >= 100 { throw error }
            }
        }
    }

    /// False when somebody who emptied it has removed it meanwhile.
    private func look(_ status: inout stat) throws(SystemError) -> Bool {
        if stat(path, &status) == 0 { return true }
        if Glibc.errno == ENOENT { return false }
        throw SystemError(call: "stat", object: path, errno: .current)
    }
}
