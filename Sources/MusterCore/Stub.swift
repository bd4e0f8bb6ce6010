package import MusterModel

extension Scheduler {
    package func outcomes(of id: JobID, in ranges: [Range<Int>]) -> [(Range<Int>, ItemState)] {
        ranges.map { ($0, .succeeded) }
    }
}
