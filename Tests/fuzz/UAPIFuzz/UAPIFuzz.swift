import WireGuardCrypto
import WireGuardModel
import WireGuardUAPI

/// libFuzzer's entry for the UAPI: requests and responses. The first byte says how the rest is cut into pieces; the
/// pieces must not matter, and a change that was understood must survive being written and read again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzUAPI(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 1 else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    let whole = requests(bytes, pieceBytes: bytes.count)
    let pieces = requests(bytes, pieceBytes: 1 + Int(start[0]))
    precondition(whole == pieces, "the pieces matter")
    for case .set(let change) in whole {
        var text = SecretText()
        text.append(uapiSet: change)
        var expected = change
        // Nothing but the key is written of a peer that goes.
        for index in expected.peers.indices where expected.peers[index].remove {
            expected.peers[index] = PeerChange(publicKey: expected.peers[index].publicKey)
            expected.peers[index].remove = true
        }
        let again = text.withBytes { requests($0, pieceBytes: $0.count) }
        precondition(again == [.set(expected)], "a change is not read as it was written")
        _ = DeviceConfiguration().applying(change)
    }
    var answer = UAPIResponseParser()
    _ = try? answer.feed(bytes)
    return 0
}

private func requests(_ bytes: UnsafeRawBufferPointer, pieceBytes: Int) -> [UAPIRequest] {
    var parser = UAPIRequestParser()
    var result: [UAPIRequest] = []
    var start = 0
    while start < bytes.count {
        let end = min(bytes.count, start + pieceBytes)
        result += parser.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        start = end
    }
    if let last = parser.finish() { result.append(last) }
    return result
}
