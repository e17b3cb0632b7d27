import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

@Suite struct MachineTests {
    @Test func `S8: only the kernel's NEW_VMGENID says that the machine is a copy`() {
        func tells(_ text: String) -> Bool { MachineCopyWatch.tellsOfCopy(Array(text.utf8)[...]) }
        #expect(
            tells(
                "change@/devices/platform/QEMUVGID:00\0ACTION=change\0SUBSYSTEM=platform\0NEW_VMGENID=1\0SEQNUM=4711\0")
        )
        #expect(!tells("change@/devices/virtual/block/loop0\0ACTION=change\0DISK_MEDIA_CHANGE=1\0SEQNUM=1\0"))
        // What root can have said by writing to a uevent file, and a path that looks like it.
        #expect(!tells("change@/devices/x\0ACTION=change\0SYNTH_ARG_NEW_VMGENID=1\0"))
        #expect(!tells("NEW_VMGENID=1\0ACTION=change\0"))
        #expect(!tells("change@/devices/x\0NEW_VMGENID=12\0"))
        #expect(!tells(""))
    }

    @Test(.enabled(if: access("/sys/class/mem/null/uevent", W_OK) == 0, "needs a sysfs to write to"))
    func `S8: a watch hears changes, and devices that come do not wake it`() throws {
        let watch = try MachineCopyWatch()
        func trigger(_ action: String) throws {
            let file = try FileDescriptor.open("/sys/class/mem/null/uevent", O_WRONLY)
            #expect(action.withCString { write(file.rawValue, $0, strlen($0)) } > 0)
        }
        let number = watch.descriptor
        // What really changes on this machine meanwhile may wake it, but not every time.
        let wakes = try (0..<5).map { _ in
            _ = watch.drain()
            try trigger("add")
            return try waitReadable(number, milliseconds: 100)
        }
        #expect(wakes.contains(false))
        try trigger("change")
        // In a user namespace of its own the kernel tells nobody.
        _ = try waitReadable(number, milliseconds: 500)
        let isCopy = watch.drain()
        #expect(!isCopy)
    }

    @Test func `S8: another boot_id is noticed once, within a second of running again`() throws {
        let path = "/tmp/swg-boot-id-\(getpid())"
        defer { unlink(path) }
        func become(_ text: String) throws {
            let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC)
            #expect(text.withCString { write(file.rawValue, $0, strlen($0)) } > 0)
        }
        try become("0b6f6bd0-5bd4-4d0c-9d0e-000000000001\n")
        var boot = try BootIdentity(path: path)
        var now = BootTime(nanoseconds: 50_000_000_000)
        func changes(_ boot: inout BootIdentity, after nanoseconds: UInt64) -> Bool {
            now = now.advanced(byNanoseconds: nanoseconds)
            return boot.hasChanged(at: now)
        }
        var answers = [changes(&boot, after: 0)]
        try become("0b6f6bd0-5bd4-4d0c-9d0e-000000000002\n")
        answers.append(changes(&boot, after: 999_999_999))
        answers.append(changes(&boot, after: 1))
        answers.append(changes(&boot, after: 2_000_000_000))
        let cut = truncate(path, 0)
        answers.append(changes(&boot, after: 2_000_000_000))
        #expect(cut == 0 && answers == [false, false, true, false, false])
    }
}
