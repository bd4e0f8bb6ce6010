// Codables as people write them: what the compiler makes, and what it does not.

import FoundationEssentials

enum Shape: Codable, Hashable, Sendable {
    case point
    case circle(radius: Double)
    case box(Square, label: String)
}

struct Tree: Codable, Equatable {
    var value: Int
    var children: [Tree]
}

/// Arrays of arrays without end.
struct Nest: Codable {
    var inner: [Nest]
    init(from decoder: any Decoder) throws {
        inner = []
        var container = try decoder.unkeyedContainer()
        while !container.isAtEnd { inner.append(try container.decode(Nest.self)) }
    }
}

struct Optionals: Codable, Equatable {
    var a: Int?
    var b: String?
    var c: [Int?]?
}

struct Packed: Codable, Equatable {
    var bytes: [UInt8]
    var ints: [Int]
    var doubles: [Double]
    var data: Data
}

struct Empty: Codable, Equatable {}

struct Wide: Codable, Equatable {
    var numbers: [String: Int]
}

/// Decodes in another order than it encodes, and asks for what is not there.
struct Backwards: Codable, Equatable {
    var a: Int
    var b: String
    var c: Double

    enum Key: String, CodingKey { case a, b, c, missing }

    init(a: Int, b: String, c: Double) { (self.a, self.b, self.c) = (a, b, c) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        c = try container.decode(Double.self, forKey: .c)
        guard !container.contains(.missing), container.contains(.a),
            try container.decodeIfPresent(Int.self, forKey: .missing) == nil
        else { throw Astray() }
        b = try container.decode(String.self, forKey: .b)
        a = try container.decode(Int.self, forKey: .a)
        guard Set(container.allKeys) == [.a, .b, .c] else {
            throw Astray()
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(a, forKey: .a)
        try container.encode(b, forKey: .b)
        try container.encode(c, forKey: .c)
    }
}

/// Fills two nested containers by turns, and the outer one in between.
struct Interleaved: Codable, Equatable {
    var rows: [Int]

    enum Key: String, CodingKey { case names, values, count }

    init(rows: [Int]) { self.rows = rows }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        var values = try container.nestedUnkeyedContainer(forKey: .values)
        let names = try container.nestedContainer(keyedBy: NameKey.self, forKey: .names)
        rows = []
        while !values.isAtEnd {
            rows.append(try values.decode(Int.self))
            guard try names.decode(Int.self, forKey: NameKey(rows.count)) == rows.last else {
                throw Astray()
            }
        }
        guard try container.decode(Int.self, forKey: .count) == rows.count else {
            throw Astray()
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        var names = container.nestedContainer(keyedBy: NameKey.self, forKey: .names)
        var values = container.nestedUnkeyedContainer(forKey: .values)
        for (index, row) in rows.enumerated() {
            try names.encode(row, forKey: NameKey(index + 1))
            try values.encode(row)
            if index == 0 { try container.encode(rows.count, forKey: .count) }
        }
    }

    struct NameKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ number: Int) { stringValue = "name \(number)" }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }
}

/// A superclass in a nested container of its own.
class Animal: Codable {
    var name: String
    init(name: String) { self.name = name }
}

final class Dog: Animal, Equatable {
    var tricks: Int
    enum Key: String, CodingKey { case tricks }

    init(name: String, tricks: Int) {
        self.tricks = tricks
        super.init(name: name)
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        tricks = try container.decode(Int.self, forKey: .tricks)
        try super.init(from: container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try super.encode(to: container.superEncoder())
        try container.encode(tricks, forKey: .tricks)
    }

    static func == (left: Dog, right: Dog) -> Bool {
        left.name == right.name && left.tricks == right.tricks
    }
}

/// A superclass in the same container.
final class SharedDog: Animal, Equatable {
    var tricks: Int
    enum Key: String, CodingKey { case tricks }

    init(name: String, tricks: Int) {
        self.tricks = tricks
        super.init(name: name)
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        tricks = try container.decode(Int.self, forKey: .tricks)
        try super.init(from: decoder)
    }

    override func encode(to encoder: any Encoder) throws {
        try super.encode(to: encoder)
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(tricks, forKey: .tricks)
    }

    static func == (left: SharedDog, right: SharedDog) -> Bool {
        left.name == right.name && left.tricks == right.tricks
    }
}

/// Encodes arrays as a whole and reads them one by one, as other types and by halves.
struct Elementwise: Codable, Equatable {
    var numbers: [Int]
    var bytes: [UInt8]

    enum Key: String, CodingKey { case numbers, bytes }

    init(numbers: [Int], bytes: [UInt8]) { (self.numbers, self.bytes) = (numbers, bytes) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        var elements = try container.nestedUnkeyedContainer(forKey: .numbers)
        numbers = []
        while !elements.isAtEnd { numbers.append(Int(try elements.decode(Int32.self))) }
        bytes = try container.decode([UInt16].self, forKey: .bytes).map {
            UInt8(truncatingIfNeeded: $0)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(numbers, forKey: .numbers)
        try container.encode(bytes, forKey: .bytes)
    }
}

/// Swallows the error of a part that cannot be encoded.
struct Lossy: Codable, Equatable {
    var kept: Int

    enum Key: String, CodingKey { case lost, kept }

    init(kept: Int) { self.kept = kept }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        guard !container.contains(.lost) else { throw Astray() }
        kept = try container.decode(Int.self, forKey: .kept)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try? container.encode([Fussy(number: 1), Fussy(number: -1)], forKey: .lost)
        try container.encode(kept, forKey: .kept)
    }
}

/// Does not encode negative numbers.
struct Fussy: Codable, Equatable {
    var number: Int

    enum Key: String, CodingKey { case number }

    init(number: Int) { self.number = number }

    init(from decoder: any Decoder) throws {
        number = try decoder.container(keyedBy: Key.self).decode(Int.self, forKey: .number)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(number, forKey: .number)
        guard number >= 0 else {
            throw EncodingError.invalidValue(
                number, .init(codingPath: [], debugDescription: "negative"))
        }
    }
}

/// A type has not found what it encoded.
struct Astray: Error {}
