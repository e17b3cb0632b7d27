/// One data packet on its way through `TrainCipher`.
///
/// The layout is that of `swg_cipher_packet` in CTrainCipher; a test compares the two.
public struct CipherPacket {
    /// The plaintext to seal, or the ciphertext to open, at any alignment. The 16 bytes behind `length` are the
    /// tag's: written by `seal`, read by `open`. Nothing before or behind is touched.
    public var text: UnsafeMutablePointer<UInt8>
    /// The nonce (checklist N5).
    public var counter: UInt64
    /// Bytes of text, without the tag.
    public var length: UInt32
    /// Set by `open`: the tag fits.
    public var isAuthentic: Bool
    /// Set by `open`: authentic and admitted by the caller, so that `text` now is plaintext. Otherwise it still is
    /// ciphertext.
    public var isOpened: Bool

    @inlinable public init(text: UnsafeMutablePointer<UInt8>, length: UInt32, counter: UInt64) {
        self.text = text
        self.counter = counter
        self.length = length
        isAuthentic = false
        isOpened = false
    }
}
