// Damage to a file as a bad disk does it: a bit is wrong, and nothing else tells of it.

import Glibc
import Testing

enum Damage {
    static func flip(_ path: String) throws {
        var before = stat()
        try #require(stat(path, &before) == 0)
        chmod(path, 0o600)
        let file = open(path, O_RDWR)
        try #require(file >= 0)
        defer { close(file) }
        var byte: UInt8 = 0
        try #require(pread(file, &byte, 1, 0) == 1)
        byte ^= 1
        try #require(pwrite(file, &byte, 1, 0) == 1)
        try #require(futimens(file, [before.st_atim, before.st_mtim]) == 0)
    }
}
