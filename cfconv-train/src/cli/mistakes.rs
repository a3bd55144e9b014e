//! The images that a network is most confidently wrong about.

use std::path::PathBuf;

use crate::data::{Dataset, save_image};
use crate::trainer::Answer;
use anyhow::Context;
use serde::Serialize;

/// Gathers mistakes and writes the worst of them into a folder.
pub(super) struct Mistakes {
    folder: PathBuf,
    most: usize,
    wrong: Vec<Answer>,
}

/// One mistake as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Mistake<'a> {
    /// The picture, in the folder.
    pub(super) file: String,
    /// The image's name in the data set.
    pub(super) image: &'a str,
    pub(super) class: &'a str,
    pub(super) predicted: &'a str,
    /// Of the predicted class.
    pub(super) probability: f64,
}

impl Mistakes {
    /// Makes the folder, before the work that fills it.
    pub(super) fn try_new(folder: PathBuf, most: usize) -> anyhow::Result<Self> {
        let context = || format!("cannot create the folder {}", folder.display());
        std::fs::create_dir_all(&folder).with_context(context)?;
        Ok(Self { folder, most, wrong: Vec::new() })
    }

    /// Remembers a wrong answer. One without a probability cannot be ranked.
    pub(super) fn count(&mut self, answer: Answer) {
        if answer.predicted != answer.label && answer.probability.is_finite() {
            self.wrong.push(answer);
        }
    }

    /// Writes the worst mistakes as the network sees them, worst first.
    pub(super) fn write<'a>(
        self,
        dataset: &'a Dataset,
        classes: &'a [String],
    ) -> anyhow::Result<Vec<Mistake<'a>>> {
        let folder = self.folder.clone();
        let one = |(number, answer): (usize, Answer)| {
            let file = format!("mistake-{number:02}.png");
            save_image(&folder.join(&file), dataset.image(answer.image), dataset.size())?;
            Ok(Mistake {
                file,
                image: &dataset.names()[answer.image],
                class: &classes[answer.label],
                predicted: &classes[answer.predicted],
                probability: answer.probability,
            })
        };
        (1..).zip(self.worst()).map(one).collect()
    }

    /// The most probable of the wrong answers; of equally probable ones the first.
    fn worst(mut self) -> Vec<Answer> {
        self.wrong.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        self.wrong.truncate(self.most);
        self.wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_confident_mistakes_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut mistakes = Mistakes::try_new(folder.path().join("a/b"), 3).unwrap();
        let answers = [(0, 0, 0.99), (1, 0, 0.6), (0, 1, f64::NAN), (0, 1, 0.9), (1, 0, 0.7), (0, 1, 0.7)];
        for (image, (label, predicted, probability)) in (0..).zip(answers) {
            mistakes.count(Answer { image, label, predicted, probability });
        }
        assert!(folder.path().join("a/b").is_dir());
        let worst: Vec<_> = mistakes.worst().iter().map(|answer| answer.image).collect();
        assert_eq!(worst, [3, 4, 5], "right answers and those without a probability are none");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Mistakes::try_new(file.path().join("sub"), 1).err().unwrap().to_string();
        assert!(error.contains("cannot create the folder") && error.contains("sub"), "{error}");
    }
}
