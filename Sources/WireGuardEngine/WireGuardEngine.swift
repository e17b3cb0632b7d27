import CLinux
import Glibc
import LinuxSystem

/// The engine as a program: `swg-engine [-f|--foreground] IFNAME`, a drop-in for wireguard-go.
public enum WireGuardEngine {
    /// Runs it; the exit status.
    public static func main(_ arguments: [String]) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        ChildProcess.makeWaitable()
        let environment = { (name: String) in getenv(name).map { String(cString: $0) } }
        if arguments.count == 3, arguments[1] == Worker.marker {
            return Worker.main(
                name: arguments[2], level: environment("LOG_LEVEL"),
                layout: environment("SWG_TUN_LAYOUT").flatMap { TunDevice.Layout($0) })
        }
        swg_set_name("swg-engine")
        if arguments.contains("--version") {
            complain("swg-engine \(programVersion)\nA userspace WireGuard engine.", to: 1)
            return 0
        }
        let options: LaunchOptions
        do throws(LaunchOptions.UsageError) {
            options = try LaunchOptions.parse(arguments, environment: environment)
        } catch {
            complain(error.text)
            return 2
        }
        if options.isForeground { return monitor(options, Readiness(options.ready.map { [$0] } ?? [])) }
        return Background.run(options) { monitor(options, $0) }
    }

    private static func monitor(_ options: LaunchOptions, _ readiness: Readiness) -> Int32 {
        do throws(SystemError) {
            return try Monitor(options, readiness: readiness).run()
        } catch {
            readiness.fail("\(error)")
            complain("swg-engine: \(error)")
            return 1
        }
    }

    static func complain(_ text: String, to descriptor: Int32 = 2) {
        let line = "\(text)\n"
        _ = line.utf8.withContiguousStorageIfAvailable { write(descriptor, $0.baseAddress, $0.count) }
    }
}
