import Glibc
import LinuxSystem
import Testing
import WireGuardCrypto

/// Promise P3: whoever runs where RLIMIT_MEMLOCK is small is told that keys may be swapped out, and nobody else is.
struct KeyMemoryTests {
    private static let isSanitized = ["__asan_init", "__tsan_init"].contains { (name: String) in dlsym(nil, name) != nil
    }

    @Test(.disabled(if: isSanitized, "sanitizers answer mlock(2) themselves, and never refuse"))
    func `P3, N12: memory that could not be locked is noted`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            var none = rlimit(rlim_cur: 0, rlim_max: 0)
            guard setrlimit(__RLIMIT_MEMLOCK, &none) == 0 else { exit(3) }
            // Root may lock what it wants.
            if getuid() == 0, setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0 { exit(4) }
            guard keyMemoryIsLocked else { exit(5) }
            let key = PrivateKey.generate()
            exit(keyMemoryIsLocked || key.publicKey == PrivateKey.generate().publicKey ? 1 : 0)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root: the limit of others may be too small"))
    func `P3, N12: memory that was locked is not complained of`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let key = PrivateKey.generate()
            exit(keyMemoryIsLocked && key.publicKey != PrivateKey.generate().publicKey ? 0 : 1)
        }
    }
}
