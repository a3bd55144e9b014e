//! Which classes a network takes for which.

use std::io::{self, Write};

use crate::trainer::Answer;

/// Most classes of a matrix in JSON.
const MAX_CLASSES: usize = 100;

/// Most classes of a matrix on a terminal.
const MAX_PRINTED: usize = 20;

/// Numbers of images: the rows are true classes, the columns predicted ones.
pub(super) struct Confusion(Vec<Vec<usize>>);

impl Confusion {
    /// A matrix without images; none for more classes than anyone reads.
    pub(super) fn new(classes: usize) -> Option<Self> {
        (classes <= MAX_CLASSES).then(|| Self(vec![vec![0; classes]; classes]))
    }

    pub(super) fn count(&mut self, answer: &Answer) {
        self.0[answer.label][answer.predicted] += 1;
    }

    pub(super) fn rows(&self) -> &[Vec<usize>] {
        &self.0
    }

    /// Prints the matrix, unless it is too wide for a terminal. Columns have the numbers of the rows, because names of
    /// classes are too long.
    pub(super) fn print(&self, out: &mut impl Write, names: &[String]) -> io::Result<()> {
        if self.0.len() > MAX_PRINTED {
            return Ok(());
        }
        let digits = |number: usize| number.to_string().len();
        let largest = self.0.iter().flatten().copied().max().unwrap_or(0);
        let width = digits(largest.max(self.0.len()));
        let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        writeln!(out, "confusion (rows: true class, columns: predicted class)")?;
        write!(out, "  {:>2}  {:<name_width$}", "", "")?;
        (1..=self.0.len()).try_for_each(|number| write!(out, "  {number:>width$}"))?;
        writeln!(out)?;
        for (number, (name, row)) in (1..).zip(names.iter().zip(&self.0)) {
            write!(out, "  {number:>2}  {name:<name_width$}")?;
            row.iter().try_for_each(|count| write!(out, "  {count:>width$}"))?;
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(classes: usize) -> Confusion {
        let mut confusion = Confusion::new(classes).unwrap();
        for (label, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
            confusion.count(&Answer { image: 0, label, predicted, probability: 0.9 });
        }
        confusion
    }

    fn printed(classes: usize) -> String {
        let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
        let mut text = Vec::new();
        matrix(classes).print(&mut text, &names).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn rows_are_true_classes() {
        assert_eq!(matrix(2).rows(), [[1, 1], [0, 2]]);
        assert!(Confusion::new(MAX_CLASSES + 1).is_none());
    }

    #[test]
    fn a_matrix_of_few_classes_is_printed_with_its_columns_under_each_other() {
        let lines = ["               1  2", "   1  class 0  1  1", "   2  class 1  0  2"];
        assert_eq!(printed(2).lines().skip(1).collect::<Vec<_>>(), lines);
        assert_eq!(printed(MAX_PRINTED).lines().count(), MAX_PRINTED + 2);
        assert_eq!(printed(MAX_PRINTED + 1), "", "too wide");
    }
}
