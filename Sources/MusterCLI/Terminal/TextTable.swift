// Rows for people and for scripts. Cells come in as text of any origin, lines go out: aligned
// columns, or TAB-separated for `--plain`.

import Muster

package struct TextTable: Equatable, Sendable {
    package enum Side: Equatable, Sendable {
        case left
        /// Numbers.
        case right
    }

    package struct Column: Equatable, Sendable {
        package let title: String
        package let side: Side

        package init(_ title: String, _ side: Side = .left) {
            self.title = title
            self.side = side
        }
    }

    private static let gap = "  "

    private let columns: [Column]
    private var rows: [[String]] = []

    package init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row; missing cells are empty, cells beyond the last column are left out.
    package mutating func add(_ cells: [String]) {
        rows.append(
            columns.indices.map { $0 < cells.count ? Escaping.visible(cells[$0]) : "" })
    }

    /// Aligned columns under their titles. If `width` is too small, the last column is cut.
    package func aligned(width: Int? = nil, ascii: Bool = false) -> String {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { index in
            all.map { DisplayWidth.columns($0[index]) }.max() ?? 0
        }
        var text = ""
        for row in all {
            var line = ""
            for (index, cell) in row.enumerated() {
                let blanks = String(
                    repeating: " ", count: widths[index] - DisplayWidth.columns(cell))
                line += index == 0 ? "" : Self.gap
                line += columns[index].side == .left ? cell + blanks : blanks + cell
            }
            while line.last == " " { line.removeLast() }
            text += (width.map { DisplayWidth.cut(line, to: $0, ascii: ascii) } ?? line) + "\n"
        }
        return text
    }

    /// One row a line, cells separated by TAB, no titles.
    package func plain() -> String {
        rows.map { $0.joined(separator: "\t") + "\n" }.joined()
    }
}
