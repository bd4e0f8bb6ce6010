/// Names that enrolled workers bear. Each name belongs to one certificate holder for good, so a
/// second machine that asks for it gets the next free one: `node`, `node-2`, `node-3`.

import MusterTLS
import NIOConcurrencyHelpers

final class MemberNames: Sendable {
    private let path: String
    private let names: NIOLockedValueBox<Set<String>>

    /// - Throws: `PrivateFileError` where there is a file that cannot be read: taken for empty, it
    ///   would be written over and its names given out again.
    init(path: String) throws {
        self.path = path
        let bytes = try PrivateFile.readIfThere(path) ?? []
        let text = String(decoding: bytes, as: UTF8.self)
        names = NIOLockedValueBox(Set(text.split(separator: "\n").map(String.init)))
    }

    /// A free name like `wished`, taken from now on and written down.
    func take(_ wished: String) throws -> String {
        try names.withLockedValue { names in
            var name = wished
            var number = 2
            while names.contains(name) {
                name = "\(wished.prefix(58))-\(number)"
                number += 1
            }
            let all = names.union([name])
            let text = all.sorted().joined(separator: "\n") + "\n"
            try PrivateFile.write(Array(text.utf8), to: path)
            names = all
            return name
        }
    }
}

extension PrivateFile {
    /// The content; nil where there is no such file.
    static func readIfThere(_ path: String) throws -> [UInt8]? {
        do {
            return try read(path)
        } catch let error where error.code == .missing {
            return nil
        }
    }
}
