// Small helpers around the C library that several files of this target need.

import Glibc

/// The system's words for an errno.
func systemMessage(_ number: Int32) -> String {
    var text = [CChar](repeating: 0, count: 256)
    guard strerror_r(number, &text, text.count) == 0 else { return "error \(number)" }
    return text.withUnsafeBufferPointer { text in
        text.baseAddress.map { String(cString: $0) } ?? ""
    }
}

/// Calls again while a signal interrupts the call; -1 leaves the reason in `errno`.
func retryingInterrupts(_ call: () -> Int32) -> Int32 {
    while true {
        let answer = call()
        if answer != -1 || errno != EINTR { return answer }
    }
}

/// The beginning of a small file as text, at most `limit` bytes; nil when it cannot be read.
func readSmallFile(_ path: String, limit: Int = 1 << 20) -> String? {
    let descriptor = retryingInterrupts { open(path, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16384)
    while bytes.count < limit {
        let got = read(descriptor, &block, min(block.count, limit - bytes.count))
        if got < 0 && errno == EINTR { continue }
        guard got >= 0 else { return nil }
        if got == 0 { break }
        bytes.append(contentsOf: block[..<got])
    }
    return String(decoding: bytes, as: UTF8.self)
}
