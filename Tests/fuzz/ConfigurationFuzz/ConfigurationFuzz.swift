import WireGuardConfig
import WireGuardCrypto
import WireGuardModel

/// libFuzzer's entry for configuration files: what is accepted is written and read back unchanged.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    do throws(ConfigurationErrors) {
        let tunnel = try TunnelConfiguration.parse(bytes, file: "f").configuration
        let text = tunnel.text()
        let again = try text.withBytes { (bytes) throws(ConfigurationErrors) in
            try TunnelConfiguration.parse(bytes, file: "f").configuration
        }
        precondition(again == tunnel, "a configuration is not read as it was written")
        _ = tunnel.device { _ in nil }
        _ = tunnel.hooks.expanded(interface: "wg0")
    } catch {
        precondition(error.problems.allSatisfy { $0.line >= 1 && $0.column >= 1 })
        _ = error.description
    }
    return 0
}
