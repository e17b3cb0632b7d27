import Glibc

/// The places where another thread may come in between: before a lock, while it is held and after it, at a
/// publication and at a reservation of nonces.
///
/// In a release build these are nothing. In a build for the simulation the scheduler that drives this thread may
/// suspend the role that has come here, and let others run as long as it likes: that is how it finds orders of
/// events that threads meet once a year.
enum Interleaving {
    enum Point {
        case lock
        case unlock
        case publish
        case reserve
        /// The lock is held by a role that is suspended: nothing is to be done here until that has gone on.
        case blocked
    }

    @inline(__always)
    static func point(_ point: Point) {
        #if SWG_SIMULATION
            hook(point)
        #endif
    }

    /// Waits for a mutex: as a thread does, or as one of the roles that a scheduler drives on one thread.
    @inline(__always)
    static func lock(_ mutex: UnsafeMutablePointer<pthread_mutex_t>) {
        #if SWG_SIMULATION
            while isScheduled {
                if pthread_mutex_trylock(mutex) == 0 { return }
                hook(.blocked)
            }
        #endif
        pthread_mutex_lock(mutex)
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

        private static var isScheduled: Bool { pthread_getspecific(key) != nil }

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

/// Decides at each point whether another role runs first.
protocol InterleavingScheduler: AnyObject {
    func reached(_ point: Interleaving.Point)
}
