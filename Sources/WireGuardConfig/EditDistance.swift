/// How many slips lie between two short words: insertions, removals, replacements, and swaps of neighbours
/// (Damerau-Levenshtein, restricted). For "did you mean".
public func editDistance<Word: Sequence>(_ first: Word, _ second: Word) -> Int where Word.Element: Equatable {
    let first = Array(first)
    let second = Array(second)
    var rowBefore: [Int] = []
    var previous = Array(0...second.count)
    for row in first.indices {
        var current = [row + 1]
        for column in second.indices {
            let replacement = previous[column] + (first[row] == second[column] ? 0 : 1)
            var cost = min(replacement, previous[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, first[row] == second[column - 1], first[row - 1] == second[column] {
                cost = min(cost, rowBefore[column - 1] + 1)
            }
            current.append(cost)
        }
        rowBefore = previous
        previous = current
    }
    return previous[second.count]
}
