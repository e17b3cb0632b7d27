import IPAddressing
import LinuxSystem

/// Everything that `attach` needs to know.
public struct AttachRequest: Sendable {
    public var configuration: ConfigurationSource
    public var target: Target
    /// Nil: the owner's, else the configuration file's base name, then with `-2`, `-3` ….
    public var id: TunnelID?
    public var interface: InterfaceName
    public var engine: EngineChoice = .automatic
    /// Bytes; 1280…65535 where the tunnel carries IPv6, else 576…65535. Nil: the file, else found by the path.
    public var mtu: Int?
    /// Instead of `DNS=`: addresses are servers, other words search domains.
    public var dns: [String]?
    /// Instead of `Table=`: `auto`, `off`, or a number.
    public var table: String?
    /// Instead of `Address=`, for IPAM; refused when the file has addresses as well.
    public var addresses: [InterfaceAddress]?
    /// As `addresses`, for what somebody else is still to say.
    public var addressSource: (any AddressSource)?
    /// Addresses that the file's `Address=` must hold; of a pool only such files are candidates.
    public var requiredAddresses: [IPAddress] = []
    /// Promise P1; false gives it up.
    public var soleInterface = true
    public var owner: Owner?
    /// Create the named namespace if it does not exist (`Target.name` only).
    public var createNamespace = false
    /// Run PreUp … PostDown (command line, root). Otherwise one notice lists them.
    public var runHooks = false
    /// Seconds to wait for the first handshake; nil does not wait.
    public var waitSeconds: Double?
    /// Everything up to the first mutation, then stop.
    public var dryRun = false
    /// Start the engine in a scope of its own: a runtime's service must not take it along when it ends.
    public var ownControlGroup = false
    /// Refuse configuration files that others than root may write (plugins).
    public var refuseWritableFiles = false

    public init(configuration: ConfigurationSource, target: Target, interface: InterfaceName) {
        self.configuration = configuration
        self.target = target
        self.interface = interface
    }
}

/// Somebody who gives addresses while the tunnel is made, such as an IPAM plugin. An error of it undoes the tunnel.
public protocol AddressSource: Sendable {
    /// Called once, at the latest when all that costs nothing was looked at; must not wait for the answer.
    func begin() throws(TunnelError)

    /// Called once after `begin`: waits for the answer.
    func addresses() throws(TunnelError) -> [InterfaceAddress]
}

/// Where a tunnel's wg-quick file comes from.
public enum ConfigurationSource: Hashable, Sendable {
    case file(String)
    /// Text that was read once already (`-`, a pipe); `name` gives the default id and the place in errors.
    /// Such a tunnel cannot be repaired by itself: keys are in no state file.
    case text(ConfigurationText, name: String)
    /// A directory of `*.conf`, each leased to one tunnel at a time, the least recently released first.
    case pool(directory: String)
}

/// Text that may hold keys, read once, in locked memory; it is never printed.
public final class ConfigurationText: Sendable, CustomStringConvertible, CustomReflectable {
    private let text: KeyFile

    /// Reads a descriptor to its end.
    public init(readingFrom descriptor: Int32, label: String) throws(TunnelError) {
        do throws(SystemError) {
            text = try KeyFile.read(from: descriptor, label)
        } catch {
            throw TunnelError(error, doing: "reading the configuration", kind: .configurationFile)
        }
    }

    var bytes: UnsafeRawBufferPointer { text.bytes }

    public var description: String { "(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension ConfigurationText: Hashable {
    /// Identity: the text is not compared.
    public static func == (left: ConfigurationText, right: ConfigurationText) -> Bool { left === right }

    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Who implements the device.
public enum EngineChoice: String, Hashable, Sendable, CaseIterable {
    /// The kernel where it has WireGuard and the caller may use it, else the engine; the report says which.
    case automatic = "auto"
    case kernel
    case userspace
}
