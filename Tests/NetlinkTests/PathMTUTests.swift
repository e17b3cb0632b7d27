import Glibc
import IPAddressing
import Netlink
import Testing

@Suite struct PathMTUTests {
    @Test func `who may not mark packets hears of the way that unmarked ones take`() async {
        await #expect(processExitsWith: .exitCode(0)) {
            if getuid() == 0, setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0 { exit(4) }
            let here = Endpoint(address: .v4(IPv4Address(127, 0, 0, 1)), port: 9)
            guard let unmarked = try PathMTU.bytes(to: here) else { exit(3) }
            exit(try PathMTU.bytes(to: here, mark: 5) == unmarked ? 0 : 1)
        }
    }
}
