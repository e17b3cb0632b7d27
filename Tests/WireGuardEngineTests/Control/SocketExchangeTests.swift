import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import WireGuardEngine

/// The monitor's sockets over the lives of workers that take what they asked for, or die before.
@Suite struct SocketExchangeTests {
    /// Whether somebody else could have the port now.
    private func isFree(_ port: UInt16) throws -> Bool {
        let socket = FileDescriptor(
            owning: try systemCall("socket") { Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) })
        let number = socket.rawValue
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return withSocketAddress(&address) { bind(number, $0, $1) } == 0
    }

    /// Two ports that were free a moment ago.
    private func freePorts() throws -> (UInt16, UInt16) {
        let first = try UDPSocketPair.open(port: 0, mark: 0)
        let second = try UDPSocketPair.open(port: 0, mark: 0)
        return (first.port, second.port)
    }

    @Test func `A6: the old pair stays bound until the worker has taken the new one`() throws {
        let (one, two) = try freePorts()
        var exchange = SocketExchange()
        let first = try exchange.open(port: one, mark: 0)
        exchange.wasTaken(serial: first.serial)
        let second = try exchange.open(port: two, mark: 0)
        #expect(second.port == two && second.serial != first.serial && second.descriptors != first.descriptors)
        exchange.wasTaken(serial: first.serial)
        let duringChange = try (isFree(one), isFree(two))
        #expect(duringChange == (false, false), "late news of the first pair end nothing")
        exchange.wasTaken(serial: second.serial)
        let afterChange = try (isFree(one), isFree(two))
        #expect(afterChange == (true, false))
        exchange.close()
        let afterEnd = try isFree(two)
        #expect(afterEnd)
    }

    @Test
    func
        `a worker that died before it took the new pair is followed by one that gets the old, and the new is given back`()
        throws
    {
        let (one, two) = try freePorts()
        var exchange = SocketExchange()
        let first = try exchange.open(port: one, mark: 0)
        exchange.wasTaken(serial: first.serial)
        _ = try exchange.open(port: two, mark: 0)
        let again = try exchange.open(port: one, mark: 0)
        #expect(again.port == one && again.descriptors == first.descriptors)
        exchange.wasTaken(serial: again.serial)
        let free = try (isFree(one), isFree(two))
        #expect(free == (false, true))
    }

    @Test func `the next worker gets the same sockets, and whatever waits in them`() throws {
        var exchange = SocketExchange()
        let random = try exchange.open(port: 0, mark: 0)
        exchange.wasTaken(serial: random.serial)
        let again = try exchange.open(port: random.port, mark: 0)
        #expect(again.descriptors == random.descriptors && again.serial != random.serial)
        exchange.wasTaken(serial: again.serial)
        let isStillThere = try !isFree(random.port)
        #expect(isStillThere)
    }

    @Test func `A6: a port that somebody else has changes nothing`() throws {
        let other = try UDPSocketPair.open(port: 0, mark: 0)
        var exchange = SocketExchange()
        let first = try exchange.open(port: 0, mark: 0)
        var answer: Int32 = 0
        do throws(SystemError) { _ = try exchange.open(port: other.port, mark: 0) } catch {
            answer = error.errno.rawValue
        }
        #expect(answer == EADDRINUSE)
        let again = try exchange.open(port: first.port, mark: 0)
        #expect(again.descriptors == first.descriptors)
        _ = other.port
    }

    @Test func `a worker that asks for one random port after the other holds two, not all`() throws {
        var exchange = SocketExchange()
        var ports: [UInt16] = []
        for _ in 0..<10 { ports.append(try exchange.open(port: 0, mark: 0).port) }
        let held = try ports.filter { try !isFree($0) }
        #expect(held == Array(ports.suffix(2)))
    }
}
