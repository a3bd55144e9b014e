//! The folder of one training run: what `cfconv train` writes into it, and what is left to do.
//!
//! ```text
//! config.toml              the configuration in full
//! metrics.jsonl            one object a line, with "event": start, step, epoch, end
//! checkpoint.safetensors   the state to go on from
//! best.safetensors         the network with the best validation accuracy
//! summary.json             figures of the finished run
//! request.json             what xtask asked for (written by xtask)
//! log.txt                  what the program printed (written by xtask)
//! sizes.json               tests at other image sizes, where the experiment has them (written by xtask)
//! kernels.json             some kernels, where the experiment draws them (written by xtask)
//! evaluation.json          the test of the best network, where the experiment shows mistakes (written by xtask)
//! mistakes                 pictures of the worst mistakes of that test (written by xtask)
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seeds::{MeanStd, SizeScore};
use crate::files;

pub(crate) const METRICS: &str = "metrics.jsonl";
pub(crate) const BEST: &str = "best.safetensors";
pub(crate) const LOG: &str = "log.txt";
pub(crate) const KERNELS: &str = "kernels.json";
pub(crate) const EVALUATION: &str = "evaluation.json";
pub(crate) const MISTAKES: &str = "mistakes";

/// Everything that decides the result of a run: equal requests give equal results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Text of the configuration file.
    pub(crate) config: String,
    /// Further arguments of `cfconv train`.
    pub(crate) arguments: Vec<String>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) seed: u64,
}

/// What is left to do for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It is finished.
    Skip,
    /// It stopped on the way.
    Resume,
    /// There is nothing, or something of another request.
    Start,
}

/// A run's folder.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

/// Figures of a finished run: what reports show of the trainer's `summary.json`. An absent figure was not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Share of the test images that are classified correctly.
    #[serde(alias = "test_accuracy")]
    pub(crate) accuracy: Option<f64>,
    pub(crate) validation_accuracy: Option<f64>,
    pub(crate) train_accuracy: Option<f64>,
    pub(crate) step_ms: f64,
    pub(crate) peak_mib: Option<f64>,
    pub(crate) steps: Option<u64>,
    #[serde(alias = "total_seconds")]
    pub(crate) seconds: f64,
    /// Failures that the run recognised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) signatures: Vec<Signature>,
    /// This and what follows stands in a report once for a network, not for each run.
    #[serde(skip_serializing)]
    pub(crate) parameters: Option<u64>,
    #[serde(skip_serializing)]
    pub(crate) epochs: Option<u64>,
    #[serde(skip_serializing)]
    pub(crate) test_loss: Option<f64>,
    #[serde(skip_serializing)]
    pub(crate) test_images: Option<u64>,
}

/// A failure signature of a run: its name, what was seen and what to change (docs/failure-signatures.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) kind: String,
    pub(crate) seen: String,
    pub(crate) advice: String,
}

/// Measures after one epoch; absent if they were not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochPoint {
    /// Number of epochs done.
    pub(crate) epoch: u64,
    pub(crate) train_loss: Option<f64>,
    pub(crate) train_accuracy: Option<f64>,
    pub(crate) validation_loss: Option<f64>,
    pub(crate) validation_accuracy: Option<f64>,
    /// Mean over the CF-Conv layers.
    pub(crate) shadow_gap: Option<f64>,
    /// Mean over the CF-Conv layers.
    pub(crate) coverage: Option<f64>,
    /// Positions of the largest kernel.
    pub(crate) kernel_positions: Option<f64>,
}

/// The validation score of an `epoch` event: that of the averaged parameters, if the run has some.
pub(crate) fn validation(event: &Value) -> &Value {
    event.get("validation_averaged").unwrap_or(&event["validation"])
}

impl EpochPoint {
    /// Reads an `epoch` event, which counts epochs from 0.
    fn from_event(event: &Value) -> Option<Self> {
        let kernels = || event["kernels"].as_array().into_iter().flatten();
        let over_layers = |measure: &str| {
            let values: Vec<_> = kernels().filter_map(|kernel| kernel[measure].as_f64()).collect();
            MeanStd::of(&values).map(|value| value.mean)
        };
        Some(Self {
            epoch: event["epoch"].as_u64()? + 1,
            train_loss: event["train"]["loss"].as_f64(),
            train_accuracy: event["train"]["accuracy"].as_f64(),
            validation_loss: validation(event)["loss"].as_f64(),
            validation_accuracy: validation(event)["accuracy"].as_f64(),
            shadow_gap: over_layers("shadow_gap"),
            coverage: over_layers("coverage"),
            kernel_positions: kernels()
                .filter_map(|kernel| kernel["num_positions"].as_f64())
                .reduce(f64::max),
        })
    }
}

impl RunFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Decides what to do for `request`; without `resume` the run starts again.
    pub(crate) fn plan(&self, request: &Request, resume: bool) -> Plan {
        if !resume || files::read_json::<Request>(&self.file("request.json")).ok().as_ref() != Some(request) {
            Plan::Start
        } else if self.summary().is_ok() {
            Plan::Skip
        } else if self.file("checkpoint.safetensors").is_file() {
            Plan::Resume
        } else {
            Plan::Start
        }
    }

    /// Removes what an earlier run left and writes the request.
    pub(crate) fn start(&self, request: &Request) -> Result<()> {
        if self.path.exists() {
            let context = || format!("removing {}", self.path.display());
            std::fs::remove_dir_all(&self.path).with_context(context)?;
        }
        files::replace_json(&self.file("request.json"), request)
    }

    /// Reads the figures of the finished run.
    pub(crate) fn summary(&self) -> Result<Summary> {
        files::read_json(&self.file("summary.json"))
    }

    /// Reads the tests at other image sizes.
    pub(crate) fn size_scores(&self) -> Result<Vec<SizeScore>> {
        files::read_json(&self.file("sizes.json"))
    }

    pub(crate) fn write_size_scores(&self, scores: &[SizeScore]) -> Result<()> {
        files::replace_json(&self.file("sizes.json"), scores)
    }

    /// Reads the full configuration of the run.
    pub(crate) fn config(&self) -> Result<Value> {
        let path = self.file("config.toml");
        toml::from_str(&files::read(&path)?).with_context(|| format!("reading {}", path.display()))
    }

    /// Reads the measures after each epoch. A resumed run repeats an epoch: its last line counts.
    pub(crate) fn curve(&self) -> Result<Vec<EpochPoint>> {
        let path = self.file(METRICS);
        let mut points: Vec<EpochPoint> = Vec::new();
        for (index, line) in
            files::read(&path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
        {
            let place = || format!("{}, line {}", path.display(), index + 1);
            let event: Value = serde_json::from_str(line).with_context(place)?;
            if event["event"] == "epoch" {
                let point =
                    EpochPoint::from_event(&event).context("the event has no epoch").with_context(place)?;
                points.retain(|earlier| earlier.epoch < point.epoch);
                points.push(point);
            }
        }
        Ok(points)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fills a folder as `cfconv train` would.
    pub(crate) fn write_finished_run(folder: &RunFolder, request: &Request, accuracy: f64) {
        folder.start(request).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.file(name), text).unwrap();
        write("config.toml", "[train]\nepochs = 2\n");
        write(
            "metrics.jsonl",
            r#"{"event":"start","epochs":2,"steps_per_epoch":10}
{"event":"step","step":10,"loss":0.9}
{"event":"epoch","epoch":0,"train":{"loss":0.8,"accuracy":0.4},"validation":{"loss":0.9,"accuracy":0.5},"kernels":[{"shadow_gap":0.2,"coverage":1.0,"num_positions":640},{"shadow_gap":0.4,"coverage":0.5,"num_positions":320}]}
{"event":"epoch","epoch":1,"train":{"loss":0.7,"accuracy":0.5},"validation":{"loss":0.8,"accuracy":0.6},"validation_averaged":{"loss":0.7,"accuracy":0.65}}
{"event":"end"}
"#,
        );
        write(
            "summary.json",
            &format!(
                "{{\"model\":\"m\",\"parameters\":1234,\"epochs\":2,\"steps\":20,\"seed\":{},\"train_accuracy\":0.9,\
                 \"validation_accuracy\":0.6,\"test_accuracy\":{accuracy},\"test_loss\":0.4,\"test_images\":100,\
                 \"signatures\":[{{\"kind\":\"plateau\",\"step\":9,\"seen\":\"it fell by 0.2 %\",\"advice\":\"less\"}}],\
                 \"step_ms\":12.5,\"epoch_seconds\":1.5,\"total_seconds\":3.0,\"peak_mib\":100.0}}",
                request.seed
            ),
        );
    }

    pub(crate) fn request(seed: u64) -> Request {
        Request { config: "[train]".to_owned(), arguments: vec![], data: None, seed }
    }

    #[test]
    fn plans_follow_what_the_folder_holds() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(parent.path().join("run"));
        assert_eq!(folder.plan(&request(0), true), Plan::Start, "nothing is there");

        folder.start(&request(0)).unwrap();
        assert_eq!(folder.plan(&request(0), true), Plan::Start, "no checkpoint yet");
        std::fs::write(folder.file("checkpoint.safetensors"), "").unwrap();
        assert_eq!(folder.plan(&request(0), true), Plan::Resume);
        assert_eq!(folder.plan(&request(0), false), Plan::Start, "resuming was not asked for");

        write_finished_run(&folder, &request(0), 0.5);
        assert_eq!(folder.plan(&request(0), true), Plan::Skip);
        assert_eq!(folder.plan(&request(1), true), Plan::Start, "another seed");
        let edited = Request { config: "[train]\nepochs = 3".to_owned(), ..request(0) };
        assert_eq!(folder.plan(&edited, true), Plan::Start, "the configuration was edited");
    }

    #[test]
    fn a_torn_summary_is_not_a_finished_run() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(parent.path().join("run"));
        write_finished_run(&folder, &request(0), 0.5);
        std::fs::write(folder.file("summary.json"), "{\"parameters\":12").unwrap();
        std::fs::write(folder.file("checkpoint.safetensors"), "").unwrap();
        assert_eq!(folder.plan(&request(0), true), Plan::Resume);
    }

    #[test]
    fn curve_keeps_the_last_of_a_repeated_epoch() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(parent.path().join("run"));
        write_finished_run(&folder, &request(0), 0.5);
        let mut text = std::fs::read_to_string(folder.file(METRICS)).unwrap();
        let curve = folder.curve().unwrap();
        assert_eq!(curve.iter().map(|point| point.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((curve[0].train_loss, curve[0].validation_accuracy), (Some(0.8), Some(0.5)));
        assert!((curve[0].shadow_gap.unwrap() - 0.3).abs() < 1e-12, "the mean over layers");
        assert_eq!((curve[0].coverage, curve[1].coverage), (Some(0.75), None));
        assert_eq!(curve[0].kernel_positions, Some(640.0), "the largest of the layers");
        assert_eq!(curve[1].validation_accuracy, Some(0.65), "averaged parameters count where they exist");

        text += "{\"event\":\"epoch\",\"epoch\":1,\"train\":{\"loss\":0.1}}\n";
        std::fs::write(folder.file(METRICS), text).unwrap();
        let curve = folder.curve().unwrap();
        assert_eq!(curve.iter().map(|point| point.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(curve[1].train_loss, Some(0.1));
        assert_eq!(curve[1].validation_accuracy, None);
    }
}
