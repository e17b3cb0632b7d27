import CLinux
import Glibc
import LinuxSystem
import WireGuardCrypto
import WireGuardUAPI

/// The real wg(8) and wg-quick(8), run against files and devices of ours.
///
/// A device is a UAPI socket that the test serves; wg runs in a mount namespace of its own where that socket
/// stands in /var/run/wireguard, so nothing of it shows on the machine.
public enum WgOracle {
    public static let reasonToSkip: String? =
        getuid() != 0
        ? "needs root"
        : ["/usr/bin/wg", "/usr/bin/wg-quick", "/usr/bin/unshare"].first { !File.exists($0) }.map { "\($0) is missing" }

    public static var isUsable: Bool { reasonToSkip == nil }

    public struct Outcome {
        public var status: Int32
        public var output: String
        public var errorOutput: String
        /// What wg asked the device for.
        public var requests: [UAPIRequest]
    }

    /// A directory that is gone after `body`.
    public static func withDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
        var template = Array("/tmp/swg-oracle-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError(call: "mkdtemp", errno: .current) }
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { removeTree(path) }
        return try body(path)
    }

    private static func removeTree(_ path: String) {
        for name in (try? File.list(path)) ?? [] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// Runs a shell script with wg and wg-quick in PATH.
    public static func shell(_ script: String, in directory: String) throws -> CapturedRun {
        var plan = Spawn(.path("/bin/bash"), arguments: ["bash", "-c", script], environment: environment)
        plan.directory = directory
        return try plan.capture(deadlineMilliseconds: 60_000)
    }

    private static let environment = [
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "WG_ENDPOINT_RESOLUTION_RETRIES=0", "WG_COLOR_MODE=never",
        "WG_HIDE_KEYS=never",
    ]

    /// Runs `wg ARGUMENTS` where `device` is a device that answers with what `answer` appends.
    public static func wg(
        _ arguments: [String], device: String, answer: (UAPIRequest, inout SecretText) -> Void
    ) throws -> Outcome {
        try withDirectory { directory in
            let listener = try UnixSocket.open()
            try UnixSocket.bind(listener, to: "\(directory)/\(device).sock")
            guard listen(listener.rawValue, 8) == 0 else { throw SystemError(call: "listen", errno: .current) }
            let output = try MemoryFile.create(name: "output")
            let errors = try MemoryFile.create(name: "errors")
            let script = """
                mount -t tmpfs none /var/run && mkdir /var/run/wireguard && mount --bind "$0" /var/run/wireguard && exec wg "$@"
                """
            let child = try Spawn(
                .path("/usr/bin/unshare"), arguments: ["unshare", "-m", "sh", "-c", script, directory] + arguments,
                environment: environment, descriptors: [nil, output.rawValue, errors.rawValue]
            ).start()
            var requests: [UAPIRequest] = []
            let deadline = BootTime.now.advanced(byNanoseconds: 60_000_000_000)
            while BootTime.now < deadline {
                var waiting = pollfd(fd: listener.rawValue, events: Int16(POLLIN), revents: 0)
                if poll(&waiting, 1, 5) > 0 { try serve(listener, &requests, answer) }
                guard let ending = try child.poll() else { continue }
                return Outcome(
                    status: ending.shellStatus, output: try text(output), errorOutput: try text(errors),
                    requests: requests)
            }
            child.kill()
            throw SystemError(call: "wg", object: arguments.joined(separator: " "), errno: Errno(ETIMEDOUT))
        }
    }

    private static func serve(
        _ listener: borrowing FileDescriptor, _ requests: inout [UAPIRequest],
        _ answer: (UAPIRequest, inout SecretText) -> Void
    ) throws {
        let number = accept4(listener.rawValue, __SOCKADDR_ARG(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue))
        guard number >= 0 else { throw SystemError(call: "accept4", errno: .current) }
        let connection = FileDescriptor(owning: number)
        var parser = UAPIRequestParser { $0 == "lo" ? 1 : nil }
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(connection.rawValue, &chunk, chunk.count)
            guard count > 0 else { return }
            for request in chunk.withUnsafeBytes({ parser.feed(UnsafeRawBufferPointer(rebasing: $0[..<count])) }) {
                requests.append(request)
                var response = SecretText()
                answer(request, &response)
                let bytes = response.withBytes { Array($0) }
                try connection.writeAll(bytes)
            }
        }
    }

    private static func text(_ file: borrowing FileDescriptor) throws -> String {
        lseek(file.rawValue, 0, SEEK_SET)
        return String(decoding: try file.readAll(), as: UTF8.self)
    }
}
