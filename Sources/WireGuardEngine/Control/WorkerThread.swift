import CLinux
import Glibc
import LinuxSystem

/// A thread of the worker. It never ends but with the process.
enum WorkerThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// The cipher keeps a group's keystream on the stack; what is not touched costs nothing.
    private static let stackBytes = 2 << 20

    /// Of a thread that packets wait for. They pass through one thread after the other, and on a busy machine each waits
    /// for somebody's turn to end; the usual turn is 0.7 to 3 ms. Not the least that the kernel allows (0.1 ms): bulk
    /// traffic would be cut into more, and shorter, trains.
    static let turnNanoseconds: UInt64 = 400_000

    /// - Parameter name: at most 15 bytes, as ps(1) shows it.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Body(body)).toOpaque()
        let error = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context)
        guard error == 0 else {
            Unmanaged<Body>.fromOpaque(context).release()
            throw SystemError(call: "pthread_create", object: name, errno: Errno(error))
        }
        pthread_setname_np(thread, name)
    }
}
