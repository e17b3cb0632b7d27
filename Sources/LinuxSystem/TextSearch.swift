import Glibc

extension String {
    /// Whether the bytes of `part` stand in it in a row (memmem(3)).
    ///
    /// The standard library's `contains` of a text brings its regular expressions into the program, and every start then
    /// relocates them.
    public func holds(_ part: String) -> Bool {
        var (text, part) = (self, part)
        return text.withUTF8 { bytes in
            part.withUTF8 { wanted in
                // An empty text may have no address.
                guard let start = bytes.baseAddress, let wantedStart = wanted.baseAddress else { return wanted.isEmpty }
                return memmem(start, bytes.count, wantedStart, wanted.count) != nil
            }
        }
    }
}
