/// What people are told of a store that cannot go on.

extension StoreError {
    /// What is wrong, where, and what to do.
    package var words: String {
        switch self {
        case .noSpace(let path, let needed):
            "the disk of \(path) is full: \(needed) bytes are needed; make room there"
        case .damaged(let path, let offset, let reason):
            "\(path) is damaged at byte \(offset): \(reason); `muster coordinator doctor` says "
                + "what is whole"
        case .unusable(let path, let reason): "\(path) cannot be used: \(reason)"
        case .failed(let path, let operation, let reason):
            "cannot \(operation) \(path): \(reason); the coordinator stops, since it no longer "
                + "knows what is on the disk; look at the disk, then start it again"
        }
    }
}
