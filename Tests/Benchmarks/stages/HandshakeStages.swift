import WireGuardCrypto

/// What a handshake and the flood check are made of.
func handshakeStages() -> [Stage] {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 512, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0x42, count: 512)
    let key = UnsafeRawBufferPointer(start: memory, count: 32)
    let message = UnsafeRawBufferPointer(start: memory + 32, count: 116)
    let output = memory + 256
    return [
        Stage(name: "mac1-of-an-initiation", unitsPerRun: 1) { { BLAKE2s.mac(key: key, message, into: output) } },
        Stage(name: "kdf2", unitsPerRun: 1) {
            { KDF.derive2(chainingKey: memory, input: key, into: output, output + 32) }
        },
        Stage(name: "x25519", unitsPerRun: 1) {
            { _ = X25519.sharedSecret(privateKey: memory, publicKey: memory + 64, into: output) }
        },
    ]
}
