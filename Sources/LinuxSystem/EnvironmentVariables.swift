import CLinux

/// An environment as it is handed from process to process. A list, because few of the entries are looked at, all are
/// handed on, and a dictionary takes longer to make than either.
public struct EnvironmentVariables: Hashable, Sendable {
    /// `NAME=VALUE`.
    public let entries: [String]

    public init(entries: [String]) { self.entries = entries }

    /// This process's own.
    public static var own: EnvironmentVariables {
        var entries: [String] = []
        guard var entry = swg_environment() else { return EnvironmentVariables(entries: []) }
        while let text = entry.pointee {
            entries.append(String(cString: text))
            entry += 1
        }
        return EnvironmentVariables(entries: entries)
    }

    /// The first of that name, as getenv(3) finds it.
    public subscript(_ name: String) -> String? {
        let start = "\(name)=".utf8
        return entries.first { $0.utf8.starts(with: start) }.map { String($0.utf8.dropFirst(start.count)) ?? "" }
    }

    /// Every other of that name goes.
    public func setting(_ name: String, to value: String) -> EnvironmentVariables {
        let start = "\(name)=".utf8
        return EnvironmentVariables(entries: entries.filter { !$0.utf8.starts(with: start) } + ["\(name)=\(value)"])
    }
}
