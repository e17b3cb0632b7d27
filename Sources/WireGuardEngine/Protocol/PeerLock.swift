import Glibc

/// The lock of one peer: its keypair slots and its datagram path change under it. Held for a few instructions,
/// never across a call out; a mutex and not a spin, because control runs at a lower priority than the loops.
struct PeerLock: ~Copyable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inline(__always)
    func withLock<Result>(_ body: () -> Result) -> Result {
        Interleaving.point(.lock)
        Interleaving.lock(mutex)
        let result = body()
        pthread_mutex_unlock(mutex)
        Interleaving.point(.unlock)
        return result
    }
}
