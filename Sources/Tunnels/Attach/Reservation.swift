import LinuxSystem

/// An id that is ours, with its lock.
struct Reservation: ~Copyable {
    let id: TunnelID
    let lock: FileLock
}

extension TunnelKeeper {
    /// The id that a request gets: its own, its owner's, or the file's base name with `-2`, `-3`, ….
    func chooseID(_ request: AttachRequest) throws(TunnelError) -> TunnelID {
        if let id = request.id ?? request.owner?.tunnelID { return id }
        let base = request.configuration.baseName
        for number in 1..<10_000 {
            let id = try TunnelID.numbered(base, number)
            if !state.exists(id) { return id }
        }
        throw TunnelError(.usage, "there are too many tunnels named \(base)", cure: "give one with --id")
    }

    func reserve(_ request: AttachRequest) throws(TunnelError) -> Reservation {
        // Another attach may take the chosen name first; each round chooses afresh.
        for _ in 0..<10_000 {
            let id = try chooseID(request)
            if let lock = try state.reserve(id) { return Reservation(id: id, lock: lock) }
            guard request.id != nil || request.owner != nil else { continue }
            // A leftover of a crash does not block its own second try.
            var report = TeardownReport()
            collectIfAbandoned(id, &report)
            if let lock = try state.reserve(id) { return Reservation(id: id, lock: lock) }
            throw taken(id, request)
        }
        throw TunnelError(.busy, "no id could be taken", cure: "give one with --id")
    }

    private func taken(_ id: TunnelID, _ request: AttachRequest) -> TunnelError {
        if let owner = request.owner {
            return TunnelError(
                .interfaceExists,
                "container \(printable(owner.containerID)) has a tunnel on \(printable(owner.interface)) already (\(id))",
                cure: "delete it first: swg-ns detach \(id)")
        }
        return TunnelError(
            .usage, "the id \(id) is in use", cure: "choose another --id, or take that tunnel down: swg-ns detach \(id)"
        )
    }
}

extension TunnelID {
    /// `base`, `base-2`, …: shortened where the number needs the room.
    static func numbered(_ base: String, _ number: Int) throws(TunnelError) -> TunnelID {
        let suffix = number == 1 ? "" : "-\(number)"
        let allowed = base.utf8.map { byte -> UInt8 in isNameByte(byte) ? byte : UInt8(ascii: "-") }
        let text = String(decoding: allowed.prefix(15 - suffix.utf8.count), as: UTF8.self) + suffix
        return try TunnelID(text.isEmpty || text == "." || text == ".." ? "tunnel\(suffix)" : text)
    }
}

extension ConfigurationSource {
    /// The default id: the file's name without `.conf`.
    var baseName: String {
        switch self {
        case .file(let path):
            let name = path.split(separator: "/").last.map(String.init) ?? "tunnel"
            return name.hasSuffix(".conf") && name.utf8.count > 5 ? String(name.dropLast(5)) : name
        case .text(_, let name): return name
        case .pool: return "pool"
        }
    }

    var isPool: Bool { if case .pool = self { true } else { false } }
}
