#if SWG_SIMULATION
    import Glibc
#endif

/// The places where another thread may come in between: before a lock and after it, at a publication and at a
/// reservation of nonces.
///
/// In a release build these are nothing. In a build for the simulation the scheduler that drives this thread
/// may run a step of another role here, which is how it finds orders of events that threads meet once a year.
enum Interleaving {
    enum Point {
        case lock
        case unlock
        case publish
        case reserve
    }

    @inline(__always)
    static func point(_ point: Point) {
        #if SWG_SIMULATION
            hook(point)
        #endif
    }

    /// Runs `body` with a scheduler in charge of this thread's interleaving points, if the build has any.
    static func withScheduler<Result>(
        _ scheduler: any InterleavingScheduler, _ body: () throws -> Result
    ) rethrows -> Result {
        #if SWG_SIMULATION
            let before = pthread_getspecific(key)
            let box = Unmanaged.passRetained(SchedulerBox(scheduler))
            pthread_setspecific(key, box.toOpaque())
            defer {
                pthread_setspecific(key, before)
                box.release()
            }
        #endif
        return try body()
    }

    #if SWG_SIMULATION
        /// Per thread, so that suites side by side do not meet each other's scheduler.
        private static let key: pthread_key_t = {
            var key = pthread_key_t()
            pthread_key_create(&key, nil)
            return key
        }()

        private static func hook(_ point: Point) {
            guard let box = pthread_getspecific(key) else { return }
            Unmanaged<SchedulerBox>.fromOpaque(box).takeUnretainedValue().scheduler.reached(point)
        }

        private final class SchedulerBox {
            let scheduler: any InterleavingScheduler
            init(_ scheduler: any InterleavingScheduler) { self.scheduler = scheduler }
        }
    #endif
}

/// Decides at each point whether another role runs now.
protocol InterleavingScheduler: AnyObject {
    func reached(_ point: Interleaving.Point)
}
