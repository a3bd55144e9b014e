//! Whether both sides compute the same numbers.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest relative distance ‖peer − ours‖/‖ours‖ of a tensor, ours in single and the peer in double precision.
pub(crate) const TOLERANCE: f64 = 1e-4;

/// The same for gradients of whole networks. Rounding can move a value across the kink of a rectifier, or past its
/// neighbour in a pooling window, which changes a gradient by one pixel's share. A wrong convention changes it by 1.
pub(crate) const NETWORK_GRADIENT_TOLERANCE: f64 = 5e-2;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) command: String,
    /// The tensor that comes closest to its tolerance.
    pub(crate) largest_of: String,
    /// Its distance from the peer in double precision.
    pub(crate) largest: f64,
    /// The distance of each tensor from the peer in `float32` and `float64`.
    pub(crate) differences: Value,
}

impl Check {
    /// Judges the peer's answer. Fails if a tensor is too far off, or if the peer did not compute everything.
    pub(crate) fn judge(command: &str, report: &Value) -> Result<Self> {
        let unchecked: Vec<_> =
            report["unchecked"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        ensure!(unchecked.is_empty(), "`{command}`: the peer did not compute {}", unchecked.join(", "));
        let is_network = command.starts_with("net ");
        let mut largest: Option<(&str, f64, f64)> = None;
        for (name, distances) in report["differences"].as_object().into_iter().flatten() {
            // A distance that is not a number reaches us as null.
            let distance = distances["float64"].as_f64().unwrap_or(f64::INFINITY);
            let gradient = is_network && name.starts_with("grad.");
            let tolerance = if gradient { NETWORK_GRADIENT_TOLERANCE } else { TOLERANCE };
            if largest.is_none_or(|(_, other, bound)| distance / tolerance > other / bound) {
                largest = Some((name, distance, tolerance));
            }
        }
        let Some((name, distance, tolerance)) = largest else {
            anyhow::bail!("`{command}`: the peer compared nothing");
        };
        ensure!(
            distance <= tolerance,
            "`{command}`: the two sides compute different numbers: {name} differs by {distance:.1e} \
             (relative L2), expected at most {tolerance:.0e}"
        );
        Ok(Self {
            command: command.to_owned(),
            largest_of: name.to_owned(),
            largest: distance,
            differences: report["differences"].clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(distance: Value) -> Value {
        json!({ "differences": {
            "output": { "float32": 1e-7, "float64": 1e-7 },
            "grad.input": { "float32": 0.01, "float64": distance },
        }, "unchecked": [] })
    }

    #[test]
    fn small_distances_pass_and_the_largest_is_named() {
        let check = Check::judge("layer", &report(json!(9e-5))).unwrap();
        assert_eq!((check.largest_of.as_str(), check.largest), ("grad.input", 9e-5));
    }

    #[test]
    fn large_distances_fail_with_the_tensor_and_both_numbers() {
        let error = Check::judge("layer", &report(json!(2e-4))).unwrap_err().to_string();
        assert!(error.contains("`layer`") && error.contains("grad.input differs by 2.0e-4"), "{error}");
        assert!(error.contains("at most 1e-4"), "{error}");
        assert!(Check::judge("layer", &report(Value::Null)).is_err(), "not a number");
    }

    #[test]
    fn gradients_of_networks_may_cross_a_kink() {
        assert!(Check::judge("net --batch 4", &report(json!(1e-2))).is_ok());
        assert!(Check::judge("net --batch 4", &report(json!(0.1))).is_err());
    }

    #[test]
    fn comparing_less_than_all_fails() {
        assert!(Check::judge("layer", &json!({ "differences": {} })).is_err());
        let partial = json!({ "differences": { "output": { "float64": 0.0 } }, "unchecked": ["grad.bias"] });
        assert!(Check::judge("layer", &partial).unwrap_err().to_string().contains("grad.bias"));
    }
}
