//! What a network answers on the test images: which classes it takes for which, and its worst mistakes.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::experiment::Variant;
use super::kernels::data_uri;
use super::run_folder::{EVALUATION, MISTAKES, RunFolder};
use crate::files;

/// Mistakes of each network in a report.
pub(crate) const MOST_MISTAKES: usize = 8;

/// The answers of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkAnswers {
    pub(crate) model: String,
    pub(crate) label: String,
    pub(crate) classes: Vec<String>,
    /// Numbers of images: rows are true classes, columns predicted ones. Absent for many classes.
    pub(crate) confusion: Option<Vec<Vec<u64>>>,
    /// The most confident mistakes, the worst first.
    pub(crate) mistakes: Vec<Mistake>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mistake {
    /// The image as a data URI.
    pub(crate) picture: String,
    /// Its name in the data set.
    pub(crate) image: String,
    pub(crate) class: String,
    pub(crate) predicted: String,
    /// Of the predicted class.
    pub(crate) probability: f64,
}

/// What `cfconv eval --mistakes` prints.
#[derive(Deserialize)]
struct Evaluation {
    classes: Vec<Class>,
    confusion: Option<Vec<Vec<u64>>>,
    mistakes: Vec<NamedMistake>,
}

#[derive(Deserialize)]
struct Class {
    class: String,
}

#[derive(Deserialize)]
struct NamedMistake {
    file: String,
    image: String,
    class: String,
    predicted: String,
    probability: f64,
}

/// Reads the answers that `cfconv eval` wrote into the folder of a run.
pub(crate) fn read(variant: &Variant, folder: &RunFolder) -> Result<NetworkAnswers> {
    let Evaluation { classes, confusion, mistakes } = files::read_json(&folder.file(EVALUATION))?;
    let picture = |mistake: NamedMistake| {
        let NamedMistake { file, image, class, predicted, probability } = mistake;
        let path = folder.file(MISTAKES).join(file);
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Mistake { picture: data_uri(&bytes), image, class, predicted, probability })
    };
    Ok(NetworkAnswers {
        model: variant.name.clone(),
        label: variant.label.clone(),
        classes: classes.into_iter().map(|class| class.class).collect(),
        confusion,
        mistakes: mistakes.into_iter().map(picture).collect::<Result<_>>()?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::row::tests::variant;
    use super::*;
    use serde_json::json;

    /// Writes what `cfconv eval --mistakes` would.
    pub(crate) fn write_answers(folder: &RunFolder) {
        let mistake = json!({
            "file": "mistake-01.png", "image": "dog/1.png", "class": "Dog", "predicted": "Cat", "probability": 0.98,
        });
        let evaluation = json!({
            "accuracy": 0.9, "classes": [{ "class": "Cat" }, { "class": "Dog" }],
            "confusion": [[9, 1], [0, 10]], "mistakes": [mistake],
        });
        files::replace_json(&folder.file(EVALUATION), &evaluation).unwrap();
        std::fs::create_dir_all(folder.file(MISTAKES)).unwrap();
        std::fs::write(folder.file(MISTAKES).join("mistake-01.png"), "a picture").unwrap();
    }

    #[test]
    fn pictures_become_a_part_of_the_answers() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(parent.path().join("run"));
        let network = variant("CF-Conv", None);
        assert!(read(&network, &folder).is_err());
        write_answers(&folder);
        let answers = read(&network, &folder).unwrap();
        assert_eq!((answers.label.as_str(), answers.classes.join(" ")), ("CF-Conv", "Cat Dog".to_owned()));
        assert_eq!(answers.confusion.unwrap()[0], [9, 1]);
        assert_eq!(answers.mistakes[0].picture, data_uri(b"a picture"));

        std::fs::remove_dir_all(folder.file(MISTAKES)).unwrap();
        let error = format!("{:#}", read(&network, &folder).unwrap_err());
        assert!(error.contains("mistake-01.png"), "{error}");
    }
}
