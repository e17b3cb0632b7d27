import Glibc
import LinuxSystem
import Namespaces
import Netlink
import WireGuardCrypto

/// Carries out undo steps. Each of them succeeds when there is nothing left to undo: its mutation may never
/// have happened, or somebody else has undone it, or the namespace is gone with all that was in it.
struct UndoRunner {
    let state: StateDirectory
    let id: String

    func perform(_ step: UndoStep) throws(TunnelError) {
        do {
            switch step.action {
            case .deleteLink: try deleteLink(step)
            case .setLinkDown: try setLinkDown(step)
            case .endProcess: try endProcess(step)
            case .removeFile: try removeFile(step)
            case .removeSocket: if let path = step.path { try UnixSocket.removeStale(path) }
            case .removeDirectory: if let path = step.path { try removeDirectory(path) }
            case .deleteNamespace: try deleteNamespace(step)
            case .releaseLease:
                if let key = step.publicKey {
                    try LeaseBook(state: state).release(key, by: id, remember: step.remember ?? false)
                }
            case .restoreSetting: try restoreSetting(step)
            default:
                throw TunnelError(
                    .state,
                    "tunnel \(id) needs \"\(printable(step.action.rawValue))\" to be undone, which this version does not know",
                    cure: "use the newer swg-ns that made it")
            }
        } catch let error as TunnelError {
            throw error
        } catch let error as SystemError {
            throw TunnelError(error, doing: "undoing \(step.action.rawValue) of tunnel \(id)")
        } catch {
            throw TunnelError(.system, "undoing \(step.action.rawValue) of tunnel \(id): \(error)")
        }
    }

    /// The interface of that name, in exactly that namespace, of exactly that kind.
    private func deleteLink(_ step: UndoStep) throws {
        guard let name = step.name, let namespace = try step.namespace?.open() else { return }
        let network = try namespace.routeNetlink()
        guard let link = try network.link(named: name), step.kind == nil || link.kind == step.kind else { return }
        try network.deleteLink(
            index: link.index, name: name, kind: step.kind, from: namespace.openRouteSocket())
    }

    private func setLinkDown(_ step: UndoStep) throws {
        guard let name = step.name, let namespace = try step.namespace?.open() else { return }
        let network = try namespace.routeNetlink()
        guard let link = try network.link(named: name) else { return }
        if link.isUp { try network.setLink(link.index, up: false) }
        guard step.flushAddresses == true else { return }
        for one in try network.addresses(linkIndex: link.index) {
            try network.deleteAddress(one.address, linkIndex: link.index)
        }
    }

    private func endProcess(_ step: UndoStep) throws {
        guard let path = step.identityPath, let bootID = step.bootID,
            let identity = try EngineTermination.recordedProcess(path, bootID: bootID)
        else { return }
        try EngineTermination.end(identity)
    }

    private func restoreSetting(_ step: UndoStep) throws {
        guard let path = step.path, path.hasPrefix("/proc/sys/net/"), !path.holds(".."), let value = step.value,
            let namespace = try step.namespace?.open()
        else { return }
        try withNamespace(namespace) { () throws(SystemError) in try File.write(value, to: path) }
    }

    private func removeFile(_ step: UndoStep) throws {
        guard let path = step.path else { return }
        let contents: [UInt8]
        do {
            contents = try File.readBytes(path)
        } catch {
            if error.errno.rawValue == ENOENT { return }
            throw error
        }
        // Changed by somebody since: theirs now. Empty is ours, from a crash before it was written.
        guard contents.isEmpty || step.digest == KeyText.hex(digestOfBytes(contents)) else { return }
        try File.remove(path)
    }

    /// Under the directory's lock: who holds that is about to make something in it (`UnixSocket.listen`).
    private func removeDirectory(_ path: String) throws {
        do throws(SystemError) {
            let lock = try FileLock.acquireExisting(path, wait: true)
            let result = rmdir(path)
            let error = Errno.current
            _ = consume lock
            if result != 0 { throw SystemError(call: "rmdir", object: path, errno: error) }
        } catch {
            switch error.errno.rawValue {
            case ENOENT, ENOTEMPTY, EEXIST, ENOTDIR, ELOOP: return
            default: throw error
            }
        }
    }

    /// Whether somebody has put a process or an interface there: in what we made a moment before we died there is
    /// nothing. False for what is no namespace, or gone.
    private func isInUse(_ name: String) throws -> Bool {
        let namespace: NetworkNamespace
        do throws(NamespaceError) {
            namespace = try NetworkNamespace.open(name: name, allowOwn: true)
        } catch {
            switch error {
            case .notFound, .notANamespace: return false
            default: throw error
            }
        }
        let links = try namespace.routeNetlink().links()
        if links.contains(where: { !$0.isLoopback && !$0.isKernelFallback }) { return true }
        return try !NamespaceProcesses.inside(namespace.identity).pids.isEmpty
    }

    private func deleteNamespace(_ step: UndoStep) throws {
        guard let name = step.name else { return }
        if let made = step.namespace {
            do {
                // Somebody may have deleted ours, and made another one under its name.
                guard made.matches(try NetworkNamespace.open(name: name, allowOwn: true)) else { return }
            } catch {
                // Its mount is gone already, and the file was left: somebody died between the two.
                guard case .notANamespace = error else { return }
            }
        } else if try isInUse(name) {
            // Who died between the journal and the making cannot say whether it is theirs.
            return
        }
        do {
            try NamedNamespace.delete(name, onlyIf: step.namespace?.identity)
        } catch {
            switch error {
            // Somebody's new namespace, or file, under the name: not ours.
            case .replaced, .notANamespace: return
            default: throw error
            }
        }
    }
}
