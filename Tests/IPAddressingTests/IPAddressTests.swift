import IPAddressing
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: ["0.0.0.0", "10.0.0.1", "255.255.255.255"])
    func `IPv4 text is read and written back`(text: String) {
        #expect(IPv4Address(text)?.description == text)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.-4", "1.2.3.+4", " 1.2.3.4", "1..2.3"])
    func `what is no IPv4 address is refused`(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    /// RFC 5952 sections 4 and 5.
    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::A", "2001:db8::a"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("0:0:0:0:0:ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("::192.0.2.1", "::c000:201"),
    ])
    func `IPv6 text is written in canonical form`(text: String, canonical: String) {
        #expect(IPv6Address(text)?.description == canonical)
    }

    @Test(arguments: [
        "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7::8",
        "::1.2.3", "fe80::1%eth0",
    ])
    func `what is no IPv6 address is refused`(text: String) {
        #expect(IPv6Address(text) == nil)
    }

    @Test func `bytes go both ways`() throws {
        for text in ["192.0.2.7", "2001:db8::42"] {
            let address = try #require(IPAddress(text))
            #expect(IPAddress(bytes: address.bytes) == address)
        }
    }

    @Test func `A1: host bits of a prefix are masked off`() {
        #expect(IPPrefix("10.1.2.3/8")?.description == "10.0.0.0/8")
        #expect(IPPrefix("2001:db8::ff/65")?.description == "2001:db8::/65")
        #expect(IPPrefix("2001:db8::ff")?.description == "2001:db8::ff/128")
        #expect(IPPrefix("0.0.0.0/0") == .everythingIPv4)
        #expect(IPPrefix("10.0.0.0/33") == nil)
        #expect(IPPrefix("10.0.0.0/") == nil)
        #expect(IPPrefix("::/129") == nil)
    }

    @Test func `a prefix contains its own and no others`() throws {
        let prefix = try #require(IPPrefix("10.64.0.0/10"))
        #expect(prefix.contains(try #require(IPAddress("10.127.255.255"))))
        #expect(!prefix.contains(try #require(IPAddress("10.128.0.0"))))
        #expect(!prefix.contains(try #require(IPAddress("::a40:0"))))
    }

    @Test func `an interface address keeps host bits and its peer`() {
        #expect(InterfaceAddress("10.1.2.3/8")?.description == "10.1.2.3/8")
        #expect(InterfaceAddress("172.20.0.1/32 peer 172.20.0.2/32")?.peer?.description == "172.20.0.2/32")
        #expect(InterfaceAddress("172.20.0.1/32 peer fd00::1") == nil)
        #expect(InterfaceAddress("10.0.0.1 10.0.0.2") == nil)
    }

    @Test func `endpoints need a port, and brackets for IPv6`() {
        #expect(Endpoint("192.0.2.1:51820")?.description == "192.0.2.1:51820")
        #expect(Endpoint("[2001:db8::1]:1")?.description == "[2001:db8::1]:1")
        #expect(Endpoint("[fe80::1%3]:1")?.scopeID == 3)
        for wrong in [
            "192.0.2.1", "192.0.2.1:65536", "2001:db8::1:1", "[192.0.2.1]:1", "[::1]", "host:1", ":1", "1.2.3.4:",
            "1.2.3.4:+1",
        ] {
            #expect(Endpoint(wrong) == nil, "\(wrong)")
        }
    }
}
