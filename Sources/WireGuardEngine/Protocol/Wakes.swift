/// Which threads have to be told after a batch, by one write to their eventfd each.
struct Wakes: OptionSet {
    var rawValue: UInt8

    static let control = Wakes(rawValue: 1)
    static let transmit = Wakes(rawValue: 2)
}
