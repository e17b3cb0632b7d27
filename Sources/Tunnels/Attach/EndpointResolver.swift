import CLinux
import Glibc
import IPAddressing
import LinuxSystem
import Netlink

// Theory of operation. getaddrinfo(3) has no deadline of its own and cannot be interrupted: it runs on a thread
// that is given up when the time is over (the program is short-lived). The thread belongs to the calling
// process's network namespace, which is the birthplace: names are looked up where the UDP socket will be,
// never inside the target. The answer comes over a pipe's hang-up and a box that both sides share.

/// Resolves endpoint names in the birth namespace.
struct EndpointResolver {
    /// For all names together.
    var deadlineMilliseconds: Int32 = 10_000
    /// Routes of the birthplace: an address that has a way there is preferred to one that has none.
    let birthplace: RouteNetlink
    var mark: UInt32 = 0

    func resolve(_ endpoints: [HostAndPort]) throws(TunnelError) -> [Endpoint] {
        var result: [Endpoint] = []
        let deadline = BootTime.now.advanced(byNanoseconds: UInt64(deadlineMilliseconds) * 1_000_000)
        for endpoint in endpoints { result.append(try resolve(endpoint, deadline)) }
        return result
    }

    private func resolve(_ endpoint: HostAndPort, _ deadline: BootTime) throws(TunnelError) -> Endpoint {
        // Most files hold a number; it needs no thread.
        if let literal = Endpoint(endpoint.description) { return literal }
        let candidates = try lookUp(endpoint, deadline)
        let reachable = candidates.first { candidate in
            (try? birthplace.lookUpRoute(to: candidate.address, mark: mark)) != nil
        }
        guard let choice = reachable ?? candidates.first else {
            throw TunnelError(.resolution, "the endpoint \(endpoint) has no address")
        }
        return choice
    }

    private func lookUp(_ endpoint: HostAndPort, _ deadline: BootTime) throws(TunnelError) -> [Endpoint] {
        let lookup = Lookup(host: endpoint.host, port: endpoint.port, deadline: deadline)
        let finished: Bool
        do throws(SystemError) {
            let pipe = try Pipe()
            try lookup.start(notifying: pipe.writeEnd.duplicate())
            let milliseconds = Int32(clamping: deadline.since(.now) / 1_000_000)
            let reader = pipe.takeReadEnd()
            finished = try waitReadable(reader.rawValue, milliseconds: milliseconds)
        } catch {
            throw TunnelError(error, doing: "resolving \(endpoint)", kind: .resolution)
        }
        guard finished else {
            throw TunnelError(
                .resolution,
                "the endpoint's name \(printable(endpoint.host)) was not resolved within \(deadlineMilliseconds / 1000) s",
                cure: "check /etc/resolv.conf here, or give the endpoint as an address")
        }
        switch lookup.outcome {
        case .found(let endpoints): return endpoints
        case .failed(let code):
            throw TunnelError(
                .resolution,
                "the endpoint's name \(printable(endpoint.host)) does not resolve: \(String(cString: gai_strerror(code)))",
                cure: "check the name and /etc/resolv.conf here; endpoint names are resolved outside the tunnel")
        }
    }
}

/// One getaddrinfo(3) on a thread that may be given up.
private final class Lookup: @unchecked Sendable {
    enum Outcome {
        case found([Endpoint])
        case failed(Int32)
    }

    private let host: String
    private let port: String
    private let deadline: BootTime
    /// Written by the thread before it closes its end of the pipe, read by the caller after that.
    private(set) var outcome = Outcome.failed(EAI_AGAIN)
    private var notification: Int32 = -1

    init(host: String, port: String, deadline: BootTime) {
        self.host = host
        self.port = port
        self.deadline = deadline
    }

    func start(notifying end: consuming FileDescriptor) throws(SystemError) {
        notification = end.release()
        let argument = Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Lookup>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, argument)
        guard error == 0 else {
            Unmanaged<Lookup>.fromOpaque(argument).release()
            close(notification)
            throw SystemError(call: "pthread_create", errno: Errno(error))
        }
        pthread_detach(thread)
    }

    private func run() {
        outcome = ask()
        close(notification)
    }

    private func ask() -> Outcome {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_protocol = Int32(IPPROTO_UDP)
        var list: UnsafeMutablePointer<addrinfo>?
        var code = getaddrinfo(host, port, &hints, &list)
        // A resolver that is just starting (boot) answers "try again"; wg(8) retries as well.
        while code == EAI_AGAIN, BootTime.now.advanced(byNanoseconds: 1_000_000_000) < deadline {
            usleep(500_000)
            code = getaddrinfo(host, port, &hints, &list)
        }
        guard code == 0 else { return .failed(code) }
        defer { freeaddrinfo(list) }
        var endpoints: [Endpoint] = []
        var entry = list
        while let current = entry {
            let address = UnsafeRawBufferPointer(
                start: current.pointee.ai_addr, count: Int(current.pointee.ai_addrlen))
            if let endpoint = Endpoint(socketAddress: address) { endpoints.append(endpoint) }
            entry = current.pointee.ai_next
        }
        return .found(endpoints)
    }
}
