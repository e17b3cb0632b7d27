import FoundationEssentials
import Glibc

/// Bytes of hexadecimal text; white space is skipped.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// The public vector files outside the repository: SWG_VECTORS, else `../shared/vectors` beside the package.
enum VectorFiles {
    static let directory: String = {
        if let chosen = getenv("SWG_VECTORS") { return String(cString: chosen) }
        let package = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(package)/../shared/vectors"
    }()

    static let areThere = access(directory, R_OK) == 0

    static func read<Content: Decodable>(_ name: String, as type: Content.Type) throws -> Content {
        let data = try Data(contentsOf: URL(filePath: "\(directory)/\(name)"))
        return try JSONDecoder().decode(type, from: data)
    }
}

struct WycheproofFile<Case: Decodable>: Decodable {
    struct Group: Decodable {
        let tests: [Case]
    }

    let numberOfTests: Int
    let testGroups: [Group]

    var cases: [Case] { testGroups.flatMap(\.tests) }
}

struct WycheproofAEAD: Decodable {
    let tcId: Int
    let key: String
    let iv: String
    let aad: String
    let msg: String
    let ct: String
    let tag: String
    let result: String
}

struct WycheproofX25519: Decodable {
    let tcId: Int
    let `public`: String
    let `private`: String
    let shared: String
    let result: String
}
