/// A version of the CNI specification that this plugin speaks.
///
/// The configuration's `cniVersion` rules the format of everything that is exchanged.
enum SpecificationVersion: String, CaseIterable, Comparable, Sendable {
    case v0_1_0 = "0.1.0"
    case v0_2_0 = "0.2.0"
    case v0_3_0 = "0.3.0"
    case v0_3_1 = "0.3.1"
    case v0_4_0 = "0.4.0"
    case v1_0_0 = "1.0.0"
    case v1_1_0 = "1.1.0"

    /// What a configuration without `cniVersion` means; libcni decodes it so.
    static let whenAbsent = v0_1_0

    /// For answers that are given before any configuration was read.
    static let current = v1_1_0

    static func < (left: Self, right: Self) -> Bool { left.order < right.order }

    private var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    /// Before 0.3.0 a result had one address per family and no interfaces.
    var hasInterfaces: Bool { self >= .v0_3_0 }

    /// `ips[].version` was compulsory up to 0.4.0 and went with 1.0.0.
    var hasAddressVersion: Bool { self < .v1_0_0 }

    /// Interface MTU and route attributes came with 1.1.0.
    var hasLinkAttributes: Bool { self >= .v1_1_0 }
}

/// What a runtime asks of a plugin. CNI specification 1.1.0, section 2.
enum Verb: String, CaseIterable, Sendable {
    case add = "ADD"
    case delete = "DEL"
    case check = "CHECK"
    case garbageCollect = "GC"
    case status = "STATUS"
    case version = "VERSION"

    /// The first version of the specification that has it.
    var since: SpecificationVersion {
        switch self {
        case .add, .delete, .version: .v0_1_0
        case .check: .v0_4_0
        case .garbageCollect, .status: .v1_1_0
        }
    }
}
