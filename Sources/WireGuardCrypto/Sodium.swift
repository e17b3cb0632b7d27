import CSodium

/// sodium_init(3): before it libsodium computes the same, but without the CPU's vectors. As often as anybody likes.
func startSodium() { precondition(sodium_init() >= 0, "libsodium refuses to start") }
